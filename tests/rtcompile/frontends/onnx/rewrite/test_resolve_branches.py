"""Loops and branches become straight graphs that mean the same, at any count of rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx.rewrite.resolve_branches import resolve_branches
from tests.rtcompile.frontends.embedding_bags import (
    ids_of_bags,
    masked_bag,
    scanned_bag,
    sequence_bag,
)
from tests.rtcompile.frontends.graphs import agrees, graph, run

_CONTROL = {"If", "Loop", "Scan", "ConcatFromSequence", "SequenceInsert", "SequenceEmpty"}

_RNG = np.random.default_rng(0)


def _same(model: Any, feeds: dict[str, Any]) -> Any:
    """The model without control flow, which gives the same in ONNX Runtime."""
    resolved = resolve_branches(model, model.opset_import[0].version)
    assert not _CONTROL & {node.op_type for node in resolved.graph.node}
    assert resolve_branches(resolved, 17) is resolved
    for want, got in zip(run(model, feeds), run(resolved, feeds), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-7)
    return resolved


@pytest.mark.parametrize("reduction", ["ReduceSum", "ReduceMean", "ReduceMax"])
@pytest.mark.parametrize("opset", [13, 17, 20])
def test_a_loop_over_bags_with_a_scan_output(reduction: str, opset: int) -> None:
    model = scanned_bag(reduction, opset)
    for rows in (1, 2, 5):
        _same(model, {"id": ids_of_bags(rows)})


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["ReduceSum", "ReduceMean", "ReduceMax"])
def test_a_loop_over_bags_that_builds_a_sequence(reduction: str, weighted: bool) -> None:
    model = sequence_bag(reduction, weighted)
    for rows in (1, 2, 5):
        feeds = {"id": ids_of_bags(rows)}
        if weighted:
            feeds["w"] = _RNG.normal(size=(rows, 6)).astype(np.float32)
        _same(model, feeds)


@pytest.mark.parametrize("size", [1, 6])
@pytest.mark.parametrize("reduction", ["ReduceSum", "ReduceMean", "ReduceMax"])
def test_a_loop_that_skips_padding(reduction: str, size: int) -> None:
    model = masked_bag(reduction, size)
    ids = np.where(_RNG.random((9, size)) < 0.5, 0, ids_of_bags(9, size))
    ids[3] = 0  # an empty bag
    ids[4, 0] = -3  # counted from the back
    _same(model, {"id": ids})


@pytest.mark.slow
@pytest.mark.parametrize("make", [scanned_bag, sequence_bag, masked_bag])
def test_bags_are_built(tmp_path: Path, make: Any) -> None:
    agrees(make("ReduceMean"), {"id": ids_of_bags(50)}, tmp_path)


_SUM_OVER_ROWS = """g (float[N,4] x) => (float[4] y) {
  s = Shape<start = 0, end = 1>(x)
  n = Squeeze(s)
  zero = Constant<value = float[4] {0.0, 0.0, 0.0, 0.0}>()
  going = Constant<value = bool {1}>()
  y = Loop(n, going, zero) <body = b (int64 i, bool c, float[4] sum) => (bool d, float[4] next) {
    d = Identity(c)
    row = Gather(x, i)
    next = Add(sum, row)
  }>
}"""

_PREVIOUS_ROW = """g (float[N,4] x) => (float[N,4] y) {
  s = Shape<start = 0, end = 1>(x)
  n = Squeeze(s)
  going = Constant<value = bool {1}>()
  y = Loop(n, going) <body = b (int64 i, bool c) => (bool d, float[4] row) {
    d = Identity(c)
    one = Constant<value = int64 {1}>()
    j = Sub(i, one)
    row = Gather(x, j)
  }>
}"""

_COUNT_FROM_DATA = """g (int64[N] k, float[N,4] x) => (float[N,4] y) {
  n = ReduceMax<keepdims = 0>(k)
  going = Constant<value = bool {1}>()
  y = Loop(n, going, x) <body = b (int64 i, bool c, float[N,4] h) => (bool d, float[N,4] z) {
    d = Identity(c)
    z = Tanh(h)
  }>
}"""

_BRANCH_ON_DATA = """g (float[N,4] x) => (float[N,4] y) {
  s = ReduceSum<keepdims = 0>(x)
  zero = Constant<value = float {0.0}>()
  c = Greater(s, zero)
  y = If(c) <then_branch = t () => (float[N,4] a) { a = Relu(x) },
             else_branch = e () => (float[N,4] b) { b = Neg(x) }>
}"""

_BRANCH_ON_THE_BATCH = """g (float[N,4] x) => (float[N,4] y) {
  s = Shape<start = 0, end = 1>(x)
  n = Squeeze(s)
  few = Constant<value = int64 {50}>()
  c = Less(n, few)
  y = If(c) <then_branch = t () => (float[N,4] a) { a = Relu(x) },
             else_branch = e () => (float[N,4] b) { b = Neg(x) }>
}"""


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (_SUM_OVER_ROWS, r"node y \(Loop\).*carried from one row to the next"),
        (_PREVIOUS_ROW, r"node y \(Loop\).*another row"),
        (_COUNT_FROM_DATA, r"node y \(Loop\).*told by data"),
        (_BRANCH_ON_DATA, r"node y \(If\).*depends on data.*Where"),
        (_BRANCH_ON_THE_BATCH, r"node y \(If\).*depends on the batch size"),
    ],
    ids=["sum over rows", "previous row", "count from data", "branch on data", "on the batch"],
)
def test_what_mixes_rows_or_depends_on_data_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UnsupportedError, match=reason):
        resolve_branches(graph(text), 17)


def test_bags_whose_bounds_are_data_are_refused() -> None:
    model = graph(
        """g (int64[M] id, int64[N] start) => (float[N,8] y) {
  total = Shape(id)
  bounds = Concat<axis = 0>(start, total)
  n = Size(start)
  going = Constant<value = bool {1}>()
  y = Loop(n, going) <body = b (int64 i, bool c) => (bool d, float[8] bag) {
    d = Identity(c)
    one = Constant<value = int64 {1}>()
    zero = Constant<value = int64[1] {0}>()
    j = Add(i, one)
    s = Gather(bounds, i)
    e = Gather(bounds, j)
    s1 = Unsqueeze(s, zero)
    e1 = Unsqueeze(e, zero)
    ids = Slice(id, s1, e1, zero)
    rows = Gather(table, ids)
    bag = ReduceSum<keepdims = 0>(rows, zero)
  }>
}""",
        table=_RNG.normal(size=(50, 8)).astype(np.float32),
    )
    with pytest.raises(UnsupportedError, match=r"EmbeddingBag with offsets.*\[rows, size\]"):
        resolve_branches(model, 17)


def test_a_loop_of_fixed_turns_is_written_out() -> None:
    text = """g (float[N,4] x) => (float[N,4] y, float[3,N,4] all) {
  n = Constant<value = int64 {3}>()
  going = Constant<value = bool {1}>()
  y, all = Loop(n, going, x) <
    body = b (int64 i, bool c, float[N,4] h) => (bool d, float[N,4] z, float[N,4] o) {
    d = Identity(c)
    f = Cast<to = 1>(i)
    m = MatMul(h, W)
    z = Add(m, f)
    o = Identity(z)
  }>
}"""
    model = graph(text, W=_RNG.normal(size=(4, 4)).astype(np.float32))
    _same(model, {"x": _RNG.normal(size=(5, 4)).astype(np.float32)})


@pytest.mark.parametrize("backward", [0, 1])
def test_a_scan_along_a_sequence_is_written_out(backward: int) -> None:
    text = f"""g (float[N,5,4] x) => (float[N,4] last, float[N,5,4] all) {{
  s = Shape<start = 0, end = 1>(x)
  four = Constant<value = int64[1] {{4}}>()
  shape = Concat<axis = 0>(s, four)
  h0 = ConstantOfShape(shape)
  last, all = Scan<num_scan_inputs = 1, scan_input_axes = [1], scan_output_axes = [1],
                   scan_input_directions = [{backward}], scan_output_directions = [{backward}],
    body = b (float[N,4] h, float[N,4] v) => (float[N,4] next, float[N,4] o) {{
      m = MatMul(h, W)
      a = Add(m, v)
      next = Tanh(a)
      o = Identity(next)
    }}>(h0, x)
}}"""
    model = graph(text, W=_RNG.normal(size=(4, 4)).astype(np.float32))
    _same(model, {"x": _RNG.normal(size=(3, 5, 4)).astype(np.float32)})


def test_a_scan_along_the_batch_is_refused() -> None:
    text = """g (float[N,4] x) => (float[4] last, float[N,4] all) {
  h0 = Constant<value = float[4] {0.0, 0.0, 0.0, 0.0}>()
  last, all = Scan<num_scan_inputs = 1,
    body = b (float[4] h, float[4] v) => (float[4] next, float[4] o) {
      next = Add(h, v)
      o = Identity(next)
    }>(h0, x)
}"""
    with pytest.raises(UnsupportedError, match=r"node last \(Scan\).*is the batch"):
        resolve_branches(graph(text), 17)


def test_a_branch_on_an_extent_is_taken() -> None:
    text = """g (float[N,1,4] x) => (float[N,4] y) {
  s = Shape<start = 1, end = 2>(x)
  one = Constant<value = int64[1] {1}>()
  c = Equal(s, one)
  y = If(c) <then_branch = t () => (float[N,4] a) { a = Squeeze(x, one) },
             else_branch = e () => (float[N,4] b) { b = ReduceSum<keepdims = 0>(x, one) }>
}"""
    _same(graph(text), {"x": _RNG.normal(size=(3, 1, 4)).astype(np.float32)})
