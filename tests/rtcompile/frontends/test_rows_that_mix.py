"""Graphs whose rows depend on each other are refused by the node that mixes them."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import onnx
import pytest

import rtcompile
from rtcompile.errors import UnsupportedError
from rtcompile.options import BuildOptions
from tests.rtcompile.frontends.graphs import agrees, graph

_CONSTANTS = {
    "W": np.ones(4, np.float32),
    "gw": np.ones((1, 15, 4), np.float32),
    "gr": np.ones((1, 15, 5), np.float32),
    "s0": np.array(0),
    "s1": np.array(1),
    "last": np.array(-1),
    "v0": np.array([0]),
    "v1": np.array([1]),
    "v2": np.array([2]),
    "minus": np.array([-1]),
    "many": np.array([2000]),
    "far": np.array([2**63 - 1]),
    "near": np.array([-(2**63) + 1]),
    "shift": np.array([1, 0, -1, 0]),
    "wide": np.array([4, -1]),
    "flat": np.array([-1, 4]),
    "steps": np.array([-1, 3, 4]),
}

_X, _Y = "g (float[N,4] x)", "float[N,4] y"

# What mixes -> the operator that is to be named, and the graph; the node gives m.
_MIXING = {
    "first row": ("Gather", f"{_X} => ({_Y}) {{ m = Gather(x, v0) y = Mul(x, m) }}"),
    "first row, a slice": ("Slice", f"{_X} => ({_Y}) {{ m = Slice(x, v0, v1, v0) y = Mul(x, m) }}"),
    "last row": ("Gather", f"{_X} => ({_Y}) {{ m = Gather(x, last) y = Mul(x, m) }}"),
    "a part of the rows": ("Slice", f"{_X} => (float[M,4] m) {{ m = Slice(x, v1, far, v0) }}"),
    "rows by data": (
        "Gather",
        f"g (float[N,4] x, int64[N] i) => ({_Y}) {{ m = Gather(x, i) y = Relu(m) }}",
    ),
    "rows by data, element-wise": (
        "GatherElements",
        f"g (float[N,4] x, int64[N,4] i) => ({_Y}) {{"
        " m = GatherElements<axis = 0>(x, i) y = Relu(m) }",
    ),
    "shift by a row": ("Pad", f"{_X} => ({_Y}) {{ m = Pad(x, shift) y = Relu(m) }}"),
    "reverse the rows": (
        "Slice",
        f"{_X} => ({_Y}) {{ m = Slice(x, minus, near, v0, minus) y = Relu(m) }}",
    ),
    "every second row": (
        "Slice",
        f"{_X} => (float[M,4] y) {{ m = Slice(x, v0, far, v0, v2) y = Relu(m) }}",
    ),
    "einsum over the rows": (
        "Einsum",
        f'{_X} => (float[4,4] y) {{ m = Einsum<equation = "bi,bj->ij">(x, x) y = Relu(m) }}',
    ),
    "einsum of all pairs": (
        "Einsum",
        f'{_X} => (float[N,N] y) {{ m = Einsum<equation = "ai,bi->ab">(x, x) y = Relu(m) }}',
    ),
    "divide by the batch": (
        "Cast",
        f"{_X} => ({_Y}) {{ s = Shape<start = 0, end = 1>(x) m = Cast<to = 1>(s) y = Div(x, m) }}",
    ),
    "batch normalization in training": (
        "BatchNormalization",
        f"{_X} => (float[N,4] m) {{"
        " m, a, b = BatchNormalization<training_mode = 1>(x, W, W, W, W) }",
    ),
    "softmax": ("Softmax", f"{_X} => ({_Y}) {{ m = Softmax<axis = 0>(x) y = Relu(m) }}"),
    "log-softmax": ("LogSoftmax", f"{_X} => ({_Y}) {{ m = LogSoftmax<axis = -2>(x) y = Abs(m) }}"),
    "hardmax": ("Hardmax", f"{_X} => ({_Y}) {{ m = Hardmax<axis = 0>(x) y = Relu(m) }}"),
    "running sum": ("CumSum", f"{_X} => ({_Y}) {{ m = CumSum(x, s0) y = Relu(m) }}"),
    "largest": ("ArgMax", f"{_X} => (int64[1,4] m) {{ m = ArgMax<axis = 0>(x) }}"),
    "top rows": ("TopK", f"{_X} => (float[2,4] m) {{ m, i = TopK<axis = 0>(x, v2) }}"),
    "concat": ("Concat", f"{_X} => (float[M,4] m) {{ m = Concat<axis = 0>(x, x) }}"),
    "tile": ("Tile", f"{_X} => (float[M,4] m) {{ k = Concat<axis = 0>(v2, v1) m = Tile(x, k) }}"),
    "transposed": ("Transpose", f"{_X} => (float[4,N] m) {{ m = Transpose<perm = [1, 0]>(x) }}"),
    "reshaped across rows": (
        "Reshape",
        f"{_X} => (float[4,N] y) {{ m = Reshape(x, wide) y = Relu(m) }}",
    ),
    "sum": ("ReduceSum", f"{_X} => ({_Y}) {{ m = ReduceSum(x, v0) y = Sub(x, m) }}"),
    "sum of all": ("ReduceSum", f"{_X} => ({_Y}) {{ m = ReduceSum(x) y = Sub(x, m) }}"),
    "mean": ("ReduceMean", f"{_X} => ({_Y}) {{ m = ReduceMean<axes = [0]>(x) y = Sub(x, m) }}"),
    "norm": ("ReduceL2", f"{_X} => ({_Y}) {{ m = ReduceL2<axes = [0]>(x) y = Div(x, m) }}"),
    "largest of a transposed": (
        "ReduceMax",
        f"{_X} => ({_Y}) {{ t = Transpose<perm = [1, 0]>(x)"
        " m = ReduceMax<axes = [1], keepdims = 0>(t) y = Sub(x, m) }",
    ),
    "product of the transposed": (
        "MatMul",
        f"{_X} => ({_Y}) {{ t = Transpose<perm = [1, 0]>(x) m = MatMul(t, x) y = MatMul(x, m) }}",
    ),
    "a layer over the rows": ("Gemm", f"{_X} => (float[4,4] m) {{ m = Gemm<transA = 1>(x, x) }}"),
    "all pairs": (
        "MatMul",
        f"{_X} => (float[N,N] m) {{ t = Transpose<perm = [1, 0]>(x) m = MatMul(x, t) }}",
    ),
    "pairs by broadcasting": (
        "Sub",
        f"{_X} => (float[N,N,4] m) {{ a = Unsqueeze(x, v1) b = Unsqueeze(x, v0) m = Sub(a, b) }}",
    ),
    "rows beside their transposed": (
        "Add",
        f"{_X} => (float[N,N] m) {{ k = Slice(x, v0, v1, v1) t = Transpose<perm = [1, 0]>(k)"
        " m = Add(k, t) }",
    ),
    "merged axes": (
        "ReduceSum",
        f"g (float[N,3,4] x) => ({_Y}) {{ f = Reshape(x, flat) m = ReduceSum(f, v0)"
        " t = ReduceMax<axes = [1], keepdims = 0>(x) y = Sub(t, m) }",
    ),
    "rows and steps changed over": (
        "Reshape",
        "g (float[N,3,4] x) => (float[N,3,4] y) { t = Transpose<perm = [1, 0, 2]>(x)"
        " m = Reshape(t, steps) y = Add(x, m) }",
    ),
    "triangle over the rows": ("Trilu", f"{_X} => ({_Y}) {{ m = Trilu(x) y = Relu(m) }}"),
    "rows as time": (
        "GRU",
        "g (float[N,1,4] x) => (float[N,1,1,5] m) { m, h = GRU<hidden_size = 5>(x, gw, gr) }",
    ),
    "the first 2,000 rows": (
        "Slice",
        f"{_X} => (float[M,4] y) {{ s = Shape<start = 0, end = 1>(x) k = Min(s, many)"
        " m = Slice(x, v0, k, v0) y = Relu(m) }",
    ),
    "another branch for many rows": (
        "If",
        f"{_X} => ({_Y}) {{ s = Shape<start = 0, end = 1>(x) c = Less(s, many)"
        " m = If(c) <then_branch = t () => (float[N,4] a) { a = Relu(x) },"
        " else_branch = e () => (float[N,4] b) { b = Neg(x) }> y = Abs(m) }",
    ),
    "numbered rows": (
        "Range",
        f"{_X} => ({_Y}) {{ s = Shape<start = 0, end = 1>(x) n = Squeeze(s) m = Range(s0, n, s1)"
        " c = Cast<to = 1>(m) u = Unsqueeze(c, v1) y = Mul(x, u) }",
    ),
    "how many rows": ("Shape", f"{_X} => (int64[1] m) {{ m = Shape<start = 0, end = 1>(x) }}"),
}


@pytest.mark.parametrize("what", _MIXING)
def test_the_node_that_mixes_rows_is_named(what: str, tmp_path: Path) -> None:
    operator, text = _MIXING[what]
    path = tmp_path / "m.onnx"
    onnx.save(graph(text, **_CONSTANTS), str(path))
    with pytest.raises(UnsupportedError) as caught:
        rtcompile.build(path, BuildOptions(verify=False), output=tmp_path / "m.rtc")
    assert re.search(rf"node m(: | \(){operator}", str(caught.value)), caught.value
    assert not (tmp_path / "m.rtc").exists()


# Rows that move about and come back, or that only look as if they mixed.
_ALIKE = {
    "transposed and back": f"{_X} => ({_Y}) {{ t = Transpose<perm = [1, 0]>(x)"
    " s = Softmax<axis = 0>(t) y = Transpose<perm = [1, 0]>(s) }",
    "merged and split": "g (float[N,3,4] x) => (float[N,3,4] y) { f = Reshape(x, flat)"
    " s = Softmax<axis = 1>(f) y = Reshape(s, steps) }",
    "all rows": f"{_X} => ({_Y}) {{ s = Slice(x, v0, far, v0) y = Relu(s) }}",
    "as many as there are": f"{_X} => ({_Y}) {{ n = Shape<start = 0, end = 1>(x)"
    " s = Slice(x, v0, n, v0) y = Relu(s) }",
    "the same for each row": f"{_X} => ({_Y}) {{ s = Shape(x)"
    " c = ConstantOfShape<value = float[1] {2.5}>(s) y = Mul(x, c) }",
    "a row's own pairs": "g (float[N,3,4] x) => (float[N,3,3] y) {"
    ' y = Einsum<equation = "bik,bjk->bij">(x, x) }',
    "padded columns": f"{_X} => (float[N,5] y) {{ p = Concat<axis = 0>(v0, v1, v0, v0)"
    " y = Pad(x, p) }",
}


@pytest.mark.slow
@pytest.mark.parametrize("what", _ALIKE)
def test_rows_that_do_not_mix_are_built(what: str, tmp_path: Path) -> None:
    text = _ALIKE[what]
    shape = (200, 3, 4) if "float[N,3,4] x" in text else (200, 4)
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    agrees(graph(text, **_CONSTANTS), {"x": x}, tmp_path)
