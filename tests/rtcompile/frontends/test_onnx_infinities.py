"""Operators of ONNX that give a number for an infinity, or NaN, by how they are computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from rtcompile import BuildOptions, build, runtime

_INF = np.inf


def _answer(folder: Path, node: Any, feeds: dict[str, Any], weights: dict[str, Any]) -> Any:
    def declared(name: str, array: Any) -> Any:
        number = helper.np_dtype_to_tensor_dtype(array.dtype)
        return helper.make_tensor_value_info(name, number, ["N", *array.shape[1:]])

    first = next(iter(feeds.values()))
    output = helper.make_tensor_value_info(
        "y",
        helper.np_dtype_to_tensor_dtype(first.dtype),
        ["N", *(f"e{axis}" for axis in range(1, first.ndim))],
    )
    graph = helper.make_graph(
        [node],
        "g",
        [declared(name, array) for name, array in feeds.items()],
        [output],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    onnx.save(model, str(folder / "m.onnx"))
    build(folder / "m.onnx", BuildOptions(verify=False), output=folder / "m.rtc")
    return runtime.load(folder / "m.rtc").predict(feeds)["y"]


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_float_modulo_an_infinity_has_the_sign_of_the_divisor(tmp_path: Path, dtype: Any) -> None:
    x = np.array([[-1, 1, -1, 1, _INF, -5.5, 5.5, 3]], dtype)
    by = np.array([[_INF, _INF, -_INF, -_INF, 2, 2, -2, np.nan]], dtype)
    found = _answer(tmp_path, helper.make_node("Mod", ["a", "b"], ["y"]), {"a": x, "b": by}, {})
    want = np.array([[_INF, 1, -1, -_INF, np.nan, 0.5, -0.5, np.nan]], dtype)
    np.testing.assert_array_equal(found, want)


@pytest.mark.slow
def test_a_large_odd_exponent_keeps_the_sign(tmp_path: Path) -> None:
    base = np.array([[-_INF, -1, -1, -2]], np.float32)
    exponent = np.array([[2**31 - 1, 2**31 - 1, 2**31 - 2, 3]], np.int32)
    node = helper.make_node("Pow", ["a", "b"], ["y"])
    found = _answer(tmp_path, node, {"a": base, "b": exponent}, {})
    np.testing.assert_array_equal(found, np.array([[-_INF, -1, 1, -8]], np.float32))


@pytest.mark.slow
@pytest.mark.parametrize("group", [1, 2])
def test_a_dilated_transposed_convolution_reads_no_zeros(tmp_path: Path, group: int) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(group)
    x = rng.normal(size=(3, 4, 5, 6)).astype(np.float32)
    x[1, 2, 3, 4] = _INF
    weights = {
        "w": rng.normal(size=(4, 3, 3, 2)).astype(np.float32),
        "b": rng.normal(size=3 * group).astype(np.float32),
    }
    node = helper.make_node(
        "ConvTranspose", ["x", "w", "b"], ["y"], dilations=[2, 3], strides=[2, 1],
        pads=[1, 0, 2, 1], output_padding=[1, 0], group=group,
    )  # fmt: skip
    found = _answer(tmp_path, node, {"x": x}, weights)
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    np.testing.assert_allclose(found, session.run(None, {"x": x})[0], rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_an_infinity_in_the_corner_of_a_resized_tensor(tmp_path: Path) -> None:
    x = np.array([[[[_INF, 1, 2, 3]]]], np.float32)
    node = helper.make_node("Resize", ["x", "", "s"], ["y"], mode="linear")
    scales = np.array([1, 1, 1, 2], np.float32)
    found = _answer(tmp_path, node, {"x": x}, {"s": scales})
    want = np.array([_INF, _INF, _INF, 1.25, 1.75, 2.25, 2.75, 3], np.float32)
    np.testing.assert_array_equal(found[0, 0, 0], want)
