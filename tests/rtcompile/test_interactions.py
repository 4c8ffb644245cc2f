"""Interactions of fields: the compiled graph beside numpy."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from onnx import TensorProto, helper

import rtcompile
from rtcompile import runtime
from rtcompile.frontends.onnx.rewrite.rewrite_einsum import outer_form
from tests.onnx_models import save

_FLOAT = TensorProto.FLOAT
Array = npt.NDArray[np.float32]


def _ranker(tmp_path: Path, nodes: list[Any], inputs: Any, **constants: Any) -> runtime.Ranker:
    path = save(tmp_path / "m.onnx", nodes, constants, inputs, {"Y": (_FLOAT, None)})
    rtcompile.build(path, output=tmp_path / "m.rtc")
    return runtime.load(tmp_path / "m.rtc")


def _draw(rng: np.random.Generator, *shape: int) -> Array:
    return rng.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(
    ("equation", "form"),
    [
        ("bhd,bmd->bhmd", ([2], [1])),
        ("bmd,bhd->bhmd", ([1], [2])),
        ("ij,ij->ij", ([], [])),
        ("bi,bj->bij", ([2], [1])),
        ("bhd,bmd->bhm", None),  # a sum
        ("bdh,bmd->bhmd", None),  # an operand is transposed
        ("ii,ij->ij", None),  # a diagonal
        ("ij,jk", None),  # an implied result
    ],
)
def test_which_einsums_are_outer_products(
    equation: str, form: tuple[list[int], list[int]] | None
) -> None:
    assert outer_form(equation) == form


def _interaction(first: str, second: str) -> list[Any]:
    """A layer of a compressed interaction network, and its sum over the embeddings."""
    return [
        helper.make_node("Einsum", [first, second], ["z"], equation="bhd,bmd->bhmd"),
        helper.make_node("Reshape", ["z", "flat"], ["f"]),
        helper.make_node("Conv", ["f", "w", "b"], ["c"], kernel_shape=[1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("ReduceSum", ["r", "last"], ["Y"], keepdims=0),
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rows", "columns", "outputs"), [(3, 26, 70), (5, 4, 8), (2, 33, 100), (26, 26, 40), (4, 3, 9)]
)
@pytest.mark.parametrize("itself", [False, True])
def test_a_layer_over_outer_products(
    tmp_path: Path, rows: int, columns: int, outputs: int, itself: bool
) -> None:
    rows = columns if itself else rows
    rng, depth = np.random.default_rng(0), 5
    constants: dict[str, npt.NDArray[Any]] = {"b": _draw(rng, outputs)}
    constants["w"] = _draw(rng, outputs, rows * columns, 1) / np.float32(columns)
    nodes = _interaction("B" if itself else "A", "B")
    inputs = {"A": (_FLOAT, ["n", rows, depth]), "B": (_FLOAT, ["n", columns, depth])}
    if itself:
        del inputs["A"]
    constants |= {"flat": np.array([-1, rows * columns, depth]), "last": np.array([2])}
    ranker = _ranker(tmp_path, nodes, inputs, **constants)
    for count in (1, 7, 100):
        given = {name: _draw(rng, count, *shape[1:]) for name, (_, shape) in inputs.items()}
        products = np.einsum("bhd,bmd->bhmd", given["B" if itself else "A"], given["B"])
        z = products.reshape(count, rows * columns, depth)
        y = np.einsum("ok,bkd->bod", constants["w"][:, :, 0], z) + constants["b"][:, None]
        want = np.maximum(y, 0).sum(2)
        np.testing.assert_allclose(ranker.predict(given)["Y"], want, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("width", [1, 2, 5, 8, 16, 23, 40, 70])
def test_products_of_pairs(tmp_path: Path, width: int) -> None:
    """Every two of four fields, taken apart and joined again, and one field as it is."""
    fields = [f"f{i}" for i in range(4)]
    nodes = [helper.make_node("Split", ["X"], fields, axis=1, num_outputs=4)]
    names = []
    for a, b in combinations(fields, 2):
        names.append(f"{a}_{b}")
        nodes.append(helper.make_node("Mul", [a, b], [names[-1]]))
    nodes.append(helper.make_node("Concat", [*names, "f2"], ["joined"], axis=1))
    nodes.append(helper.make_node("Flatten", ["joined"], ["flat"]))
    nodes.append(helper.make_node("Concat", ["flat", "flat"], ["Y"], axis=1))
    inputs = {"X": (_FLOAT, ["n", 4, width])}
    path = save(tmp_path / "m.onnx", nodes, {}, inputs, {"Y": (_FLOAT, None)}, opset=18)
    rtcompile.build(path, output=tmp_path / "m.rtc")
    ranker = runtime.load(tmp_path / "m.rtc")
    for count in (1, 7, 100):
        x = _draw(np.random.default_rng(count), count, 4, width)
        parts = [x[:, i] * x[:, j] for i, j in combinations(range(4), 2)] + [x[:, 2]]
        want = np.concatenate([*parts, *parts], 1)
        np.testing.assert_array_equal(ranker.predict({"X": x})["Y"], want)


@pytest.mark.parametrize("fields", [3, 27])
def test_dot_products_of_pairs(tmp_path: Path, fields: int) -> None:
    """The lower triangle of a tensor's products with itself, by constant indices."""
    first, second = np.tril_indices(fields, -1)
    nodes = [
        helper.make_node("Transpose", ["X"], ["t"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["X", "t"], ["products"]),
        helper.make_node("Flatten", ["products"], ["flat"]),
        helper.make_node("Gather", ["flat", "pairs"], ["Y"], axis=1),
    ]
    pairs = (first * fields + second).astype(np.int64)
    ranker = _ranker(tmp_path, nodes, {"X": (_FLOAT, ["n", fields, 16])}, pairs=pairs)
    for count in (1, 7, 100):
        x = _draw(np.random.default_rng(count), count, fields, 16)
        want = np.einsum("bid,bjd->bij", x, x)[:, first, second]
        np.testing.assert_allclose(ranker.predict({"X": x})["Y"], want, rtol=1e-5, atol=1e-5)
