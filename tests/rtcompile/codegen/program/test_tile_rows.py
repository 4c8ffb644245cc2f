"""Rows a tile: fewer where sequences do not fit in the cache, unless weights weigh more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper

import rtcompile
from rtcompile import runtime
from rtcompile.codegen.program.tile_rows import tile_rows
from rtcompile.relay_passes.matching import bindings
from rtcompile.runtime.abi.worker_pool import Pool
from tests.onnx_models import save
from tests.relay_passes.modules import Emit, const, kernel, network
from tests.runtime.sharing import pool_of, share_from

FLOAT = TensorProto.FLOAT


def _layer(emit: Emit, x: Any, length: int, depth: int, columns: int) -> Any:
    """A dense layer over `length` elements a row."""
    weight, bias = np.zeros((depth, columns)), np.zeros(columns)
    return emit(kernel("rtc.dense", [x, const(weight), const(bias)], x, length, columns))


@pytest.mark.parametrize(
    ("length", "after", "rows"),
    [
        (16, 0, 64),  # 64 x 16 x (64 + 32) x 4 bytes fit
        (32, 0, 32),
        (64, 0, 16),
        (1024, 0, 64),  # no size fits: weights are read least often
        (64, 4096, 64),  # a layer whose weights weigh more than what is spilt
    ],
)
def test_the_size_follows_what_does_not_fit(length: int, after: int, rows: int) -> None:
    def body(emit: Emit, x: Any, y: Any) -> Any:
        found = _layer(emit, x, length, 64, 32)
        return (found, _layer(emit, y, 1, 512, after)) if after else found

    mod = network({"x": ("n", length, 64), "y": ("n", 1, 512)}, body)
    assert tile_rows(bindings(mod["main"])) == rows


def test_a_look_up_does_not_read_its_whole_table() -> None:
    def body(emit: Emit, ids: Any, x: Any) -> Any:
        table = const(np.zeros((100_000, 8)))
        found = emit(kernel("rtc.embedding_lookup", [table, ids], ids, 8))
        return found, _layer(emit, x, 64, 64, 32)

    mod = network({"ids": ("n",), "x": ("n", 64, 64)}, body, dtypes={"ids": "int64"})
    assert tile_rows(bindings(mod["main"])) == 16


@pytest.mark.parametrize("count", [1, 15, 16, 17, 47, 100, 300])
def test_small_tiles_cover_every_row(sequences: Path, count: int) -> None:
    x = np.random.default_rng(count).normal(size=(count, 64, 64)).astype(np.float32)
    wanted = onnxruntime.InferenceSession(str(sequences)).run(None, {"x": x})[0]
    ranker = runtime.load(sequences.with_suffix(".rtc"), threads=2)
    share_from(ranker, 1)
    assert ranker.manifest["stages"]["cross"]["tile_rows"] == 16
    np.testing.assert_allclose(ranker.predict({"x": x})["y"], wanted, atol=1e-5)
    assert (pool_of(ranker)[Pool.NEXT] > 0) == (count > 16)


@pytest.fixture(scope="module")
def sequences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The mean over 64 elements of a dense layer of each."""
    rng = np.random.default_rng(0)
    constants = {"w": rng.normal(size=(64, 32)).astype(np.float32) / 8}
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Relu", ["m"], ["h"]),
        helper.make_node("ReduceMean", ["h"], ["y"], axes=[1], keepdims=0),
    ]
    path = tmp_path_factory.mktemp("tiles") / "sequences.onnx"
    inputs = {"x": (FLOAT, ["n", 64, 64])}
    save(path, nodes, constants, inputs, {"y": (FLOAT, ["n", 32])})
    rtcompile.build(path, output=path.with_suffix(".rtc"))
    return path
