"""Operators in the element types that ONNX has them in, not in float32 alone."""

from __future__ import annotations

from pathlib import Path

import ml_dtypes
import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

import rtcompile
from rtcompile import BuildOptions, runtime
from rtcompile.errors import UnsupportedError
from tests.rtcompile.frontends.graphs import graph

_X = np.random.default_rng(0).normal(size=(4, 4, 5, 3)) * 2
_TYPES = {
    "float16": (np.float16, 1e-2),
    "bfloat16": (ml_dtypes.bfloat16, 5e-2),
    "double": (np.float64, 1e-12),
}
_NODES = {
    "Elu": "Elu<alpha=0.5>(x)",
    "Selu": "Selu(x)",
    "Celu": "Celu<alpha=0.5>(x)",
    "LRN": "LRN<size=3, alpha=0.75>(x)",
    "ReduceLogSumExp": "ReduceLogSumExp<keepdims=1, axes=[1]>(x)",
}


@pytest.mark.slow
@pytest.mark.parametrize("operator", list(_NODES))
@pytest.mark.parametrize("name", list(_TYPES))
def test_floats_of_other_sizes(operator: str, name: str, tmp_path: Path) -> None:
    dtype, tolerance = _TYPES[name]
    text = f"g ({name}[N,4,5,3] x) => ({name}[N,M,5,3] y) {{ y = {_NODES[operator]} }}"
    onnx.save(graph(text, opset=17), tmp_path / "m.onnx")
    options = BuildOptions(verify=False)  # ONNX Runtime lacks most of these
    rtcompile.build(tmp_path / "m.onnx", options, output=tmp_path / "m.rtc")
    x = _X.astype(dtype)
    got = runtime.load(tmp_path / "m.rtc").predict({"x": x})["y"]
    exact = graph(text.replace(name, "float"), opset=17)
    want = ReferenceEvaluator(exact).run(None, {"x": x.astype(np.float64)})[0]
    assert got.dtype == dtype
    np.testing.assert_allclose(got.astype(np.float64), want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("kind", ["int4", "uint4", "float8e4m3fn", "complex64"])
def test_inputs_of_types_that_no_array_has_are_refused(kind: str, tmp_path: Path) -> None:
    number = getattr(onnx.TensorProto, kind.upper())
    rows = [onnx.helper.make_tensor_value_info(n, number, ["N", 4]) for n in "xy"]
    node = onnx.helper.make_node("Identity", ["x"], ["y"])
    model = onnx.helper.make_model(
        onnx.helper.make_graph([node], "g", rows[:1], rows[1:]),
        opset_imports=[onnx.helper.make_opsetid("", 21)],
        ir_version=10,
    )
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(UnsupportedError, match=r"input 'x': tensors of .* are not supported"):
        rtcompile.build(tmp_path / "m.onnx", BuildOptions(), output=tmp_path / "m.rtc")
    assert not (tmp_path / "m.rtc").exists()
