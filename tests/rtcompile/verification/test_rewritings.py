"""A graph whose look-ups lead from each row's own start is held to the file's look-ups."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
import onnx
import pytest

import rtcompile
from rtcompile.codegen.program.program import Port
from rtcompile.errors import VerificationError
from rtcompile.frontends.onnx import import_onnx as onnx_import
from rtcompile.verification.rewritings import verify_rewritings
from tests.rtcompile.frontends.graphs import graph

# y = x[row, length - 1], by the flat number of the item: 5 in each row.
_LAST_ITEM = """g (float[N,5,3] x, int64[N] length) => (float[N,3] y) {
    s = Shape(x)
    n = Gather(s, zero)
    rows = Range(zero, n, one)
    starts = Mul(rows, five)
    place = Sub(length, one)
    flat = Add(starts, place)
    items = Reshape(x, wide)
    y = Gather(items, flat)
}"""


def _last_item(path: Path) -> Path:
    numbers = {"zero": np.array(0), "one": np.array(1), "five": np.array(5)}
    onnx.save(graph(_LAST_ITEM, **numbers, wide=np.array([-1, 3])), str(path))
    return path


def test_the_graph_keeps_what_the_file_says(tmp_path: Path) -> None:
    found = onnx_import.import_onnx(_last_item(tmp_path / "m.onnx"))
    ((before, after),) = found.rewritings
    assert "GatherND" not in [node.op_type for node in before.graph.node]
    assert "GatherND" in [node.op_type for node in after.graph.node]


@pytest.mark.slow
def test_a_length_of_zero_is_the_rows_own_last_item(tmp_path: Path) -> None:
    built = rtcompile.build(_last_item(tmp_path / "m.onnx"), output=tmp_path / "m.rtc")
    assert built.verification is not None


@pytest.mark.parametrize("operator", ["Sub", "Add"])
def test_another_item_than_the_files_is_told(tmp_path: Path, operator: str) -> None:
    found = onnx_import.import_onnx(_last_item(tmp_path / "m.onnx"))
    ((_, after),) = found.rewritings
    next(node for node in after.graph.node if "place" in node.output).op_type = operator
    ports = [Port("x", "float32", (5, 3)), Port("length", "int64", ())]
    told = pytest.raises(VerificationError, match="file's own graph")
    with told if operator == "Add" else contextlib.nullcontext():
        verify_rewritings(found, ports)
