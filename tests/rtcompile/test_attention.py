"""Batched products, softmax and einsums: the compiled graph beside numpy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

import rtcompile
from rtcompile import runtime
from rtcompile.frontends.onnx.rewrite.rewrite_einsum import product_form
from tests.onnx_models import save

_FLOAT = TensorProto.FLOAT


def _ranker(tmp_path: Path, nodes: list[Any], inputs: Any, **constants: Any) -> runtime.Ranker:
    rank = max(len(shape) for _, shape in inputs.values())
    outputs = {"Y": (_FLOAT, ["n", *[None] * (rank - 1)])}
    path = save(tmp_path / "m.onnx", nodes, constants, inputs, outputs)
    rtcompile.build(path, output=tmp_path / "m.rtc")
    return runtime.load(tmp_path / "m.rtc")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "depth", "columns"), [(3, 1, 3), (26, 4, 26), (7, 33, 70), (50, 16, 5), (2, 4, 9)]
)
@pytest.mark.parametrize("transposed", [False, True])
def test_batched_products(
    tmp_path: Path, rows: int, depth: int, columns: int, transposed: bool
) -> None:
    right = [columns, depth] if transposed else [depth, columns]
    nodes = [helper.make_node("MatMul", ["A", "t" if transposed else "B"], ["Y"])]
    if transposed:
        nodes.insert(0, helper.make_node("Transpose", ["B"], ["t"], perm=[0, 2, 1]))
    inputs = {"A": (_FLOAT, ["n", rows, depth]), "B": (_FLOAT, ["n", *right])}
    ranker = _ranker(tmp_path, nodes, inputs)
    rng = np.random.default_rng(0)
    for count in (1, 7, 100):
        a = rng.normal(size=(count, rows, depth)).astype(np.float32)
        b = rng.normal(size=(count, *right)).astype(np.float32)
        got = ranker.predict({"A": a, "B": b})["Y"]
        want = a @ (b.transpose(0, 2, 1) if transposed else b)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1, 2, 15, 16, 17, 26, 31, 50, 64, 100])
def test_softmax(tmp_path: Path, width: int) -> None:
    node = helper.make_node("Softmax", ["X"], ["Y"], axis=-1)
    ranker = _ranker(tmp_path, [node], {"X": (_FLOAT, ["n", 3, width])})
    x = np.random.default_rng(0).normal(size=(65, 3, width), scale=30).astype(np.float32)
    x[1], x[2, 0, 0], x[3, 1, -1] = -1e38, np.nan, np.inf
    got = ranker.predict({"X": x})["Y"]
    with np.errstate(all="ignore"):
        e = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
        want = e / e.sum(-1, keepdims=True)
    bad = np.isnan(want).any(-1)
    assert np.isnan(got[bad]).all()
    assert bad.sum() == 2
    np.testing.assert_allclose(got[~bad], want[~bad], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize(
    ("equation", "shape"),
    [
        ("ij,jk->ik", (4, 6)),
        ("ij,kj->ik", (6, 4)),
        ("abj,jk->abk", (4, 6)),
        ("abj,kj->abk", (6, 4)),
    ],
)
def test_einsum_by_a_matrix(tmp_path: Path, equation: str, shape: tuple[int, int]) -> None:
    weight = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    axes = ["n", 4] if equation.startswith("ij") else ["n", 3, 4]
    node = helper.make_node("Einsum", ["X", "w"], ["Y"], equation=equation)
    ranker = _ranker(tmp_path, [node], {"X": (_FLOAT, axes)}, w=weight)
    x = np.random.default_rng(1).normal(size=(9, *axes[1:])).astype(np.float32)
    want = np.einsum(equation, x, weight)
    np.testing.assert_allclose(ranker.predict({"X": x})["Y"], want, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("equation", "form"),
    [
        ("ij,jk->ik", (2, False)),
        ("bnik,bnjk->bnij", (4, True)),
        ("bik,bkj->bij", (3, False)),
        ("ij,jk->ki", None),  # the result is transposed
        ("bik,bjk->bji", None),
        ("ij,ij->ij", None),  # no contraction
        ("ii,ij->ij", None),  # a diagonal
        ("ij,jk", None),  # an implied result
        ("ij->ji", None),
        ("cik,bjk->bij", None),  # another batch
        ("bcik,bjk->bcij", None),  # MatMul would align other axes
    ],
)
def test_which_einsums_are_products(equation: str, form: tuple[int, bool] | None) -> None:
    assert product_form(equation) == form
