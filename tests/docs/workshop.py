"""The files that the tutorial makes, without torch: what the commands of other pages work on.

Rows, items, requests and the config are the tutorial's own, out of its page. Only the network is
another: the same inputs and shapes, with weights that were never trained.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from onnx import TensorProto, helper
from safetensors.numpy import save_file

import rtcompile
from tests.docs.blocks import ROOT, Page, blocks_of
from tests.onnx_models import save

__all__ = ["make_workshop"]

_ROWS = {"user_id": 1000, "item_id": 1000, "category": 7, "price": 5}
_WIDTH, _HIDDEN = 8, 32


def make_workshop(folder: Path) -> None:
    """Write rows.parquet, items.jsonl, requests.jsonl, fg.json, model.onnx, tables.safetensors,
    model.rtc and scored.parquet into `folder`."""
    page, blocks = Page(folder), blocks_of(ROOT / "docs/tutorial.md")
    before = Path.cwd()
    os.chdir(folder)
    try:
        page.run(next(block for block in blocks if block.language == "python"))
    finally:
        os.chdir(before)
    page.run(next(block for block in blocks if block.title == "fg.json"))
    _write_network(folder)
    options = rtcompile.BuildOptions(
        features=folder / "fg.json", embeddings=folder / "tables.safetensors"
    )
    rtcompile.build(folder / "model.onnx", options, output=folder / "model.rtc")
    _write_scored(folder)


def _write_network(folder: Path) -> None:
    random = np.random.default_rng(0)
    constants = {
        f"tables.{name}.weight": random.normal(size=(rows, _WIDTH)).astype(np.float32) / 4
        for name, rows in _ROWS.items()
    }
    nodes = [
        helper.make_node("Gather", [table, name], [f"{name}_vector"])
        for table, name in zip(constants, _ROWS, strict=True)
    ]
    constants["axis"] = np.array([1], np.int64)
    parts = [*(f"{name}_vector" for name in _ROWS), "interests", "age", "affinity"]
    width = (len(_ROWS) + 1) * _WIDTH + 2
    constants["w1"] = random.normal(size=(width, _HIDDEN)).astype(np.float32) / 4
    constants["w2"] = random.normal(size=(_HIDDEN, 1)).astype(np.float32) / 4
    nodes += [
        helper.make_node("Concat", parts, ["x"], axis=1),
        helper.make_node("MatMul", ["x", "w1"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "w2"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["s"]),
        helper.make_node("Squeeze", ["s", "axis"], ["ctr"]),
    ]
    numbers = {"age": 1, "affinity": 1, "interests": _WIDTH}
    inputs = {
        **{name: (TensorProto.INT64, ["n"]) for name in _ROWS},
        **{name: (TensorProto.FLOAT, ["n", width]) for name, width in numbers.items()},
    }
    save(folder / "model.onnx", nodes, constants, inputs, {"ctr": (TensorProto.FLOAT, ["n"])})
    table = random.normal(size=(50, _WIDTH)).astype(np.float32) / 4
    save_file({"interests": table}, str(folder / "tables.safetensors"))


def _write_scored(folder: Path) -> None:
    """Rows with the scores that the artifact gives: the original's, on which the build agreed."""
    ranker = rtcompile.load(folder / "model.rtc")
    rows = pq.read_table(folder / "rows.parquet").slice(0, 200)
    scores = []
    for row in rows.to_pylist():
        row["clicks"] = dict(row["clicks"])
        fields = ranker.manifest["fields"]
        ranker.items.upsert([{name: row[name] for name in fields["item"]}])
        user = {name: row[name] for name in fields["user"]}
        scores.append(float(ranker.rank(user, [row["item_id"]])["ctr"][0]))
    pq.write_table(rows.append_column("ctr", [scores]), folder / "scored.parquet")
