"""The original in float64, which decides where float32 itself is off by more than the tolerance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper

import rtcompile
from rtcompile.verification.float64 import run_in_float64
from tests.onnx_models import save, two_input_model

FLOAT = TensorProto.FLOAT


def test_values_are_those_of_float64(tmp_path: Path) -> None:
    model = onnx.load(two_input_model(tmp_path / "model.onnx"))
    rng = np.random.default_rng(0)
    inputs = {"X": rng.normal(size=(9, 5)).astype(np.float32), "ids": np.arange(9)}
    found = run_in_float64(model, inputs)
    assert found is not None
    assert found[0].dtype == np.float64
    assert np.isfinite(found[0]).all()


def test_a_build_may_round_otherwise_where_rounding_is_amplified(tmp_path: Path) -> None:
    """y = 2**18 log(1 + 2**-18 x @ w): the sum with 1 loses 18 bits of the product."""
    rng = np.random.default_rng(0)
    constants = {
        "w": rng.normal(size=(64, 1)).astype(np.float32),
        "c": np.full(1, 2.0**-18, np.float32),
        "s": np.full(1, 2.0**18, np.float32),
        "one": np.ones(1, np.float32),
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["m"]),
        helper.make_node("Mul", ["m", "c"], ["small"]),
        helper.make_node("Add", ["small", "one"], ["near"]),
        helper.make_node("Log", ["near"], ["log"]),
        helper.make_node("Mul", ["log", "s"], ["y"]),
    ]
    path = tmp_path / "model.onnx"
    save(path, nodes, constants, {"x": (FLOAT, ["n", 64])}, {"y": (FLOAT, ["n", 1])})
    model = onnx.load(path)
    x = rng.normal(size=(50, 64)).astype(np.float32)
    exact = run_in_float64(model, {"x": x})
    assert exact is not None
    np.testing.assert_allclose(exact[0], x.astype(np.float64) @ constants["w"], atol=1e-2)
    result = rtcompile.build(path, output=tmp_path / "model.rtc")
    assert result.verification is not None


def test_an_operator_that_the_evaluator_lacks_is_no_answer() -> None:
    node = helper.make_node("Unheard", ["x"], ["y"], domain="nowhere")
    infos = [helper.make_tensor_value_info(name, FLOAT, ["n", 1]) for name in ("x", "y")]
    model = helper.make_model(helper.make_graph([node], "g", infos[:1], infos[1:]))
    assert run_in_float64(model, {"x": np.ones((1, 1), np.float32)}) is None


def test_a_masked_log_softmax_is_as_low_as_its_mask() -> None:
    node = helper.make_node("LogSoftmax", ["x"], ["y"], axis=-1)
    infos = [helper.make_tensor_value_info(name, FLOAT, ["n", 3]) for name in ("x", "y")]
    model = helper.make_model(helper.make_graph([node], "g", infos[:1], infos[1:]))
    found = run_in_float64(model, {"x": np.array([[0, 0, -1e9], [0, np.nan, 1]], np.float32)})
    assert found is not None
    low, half = -1e9 - np.log(2), -np.log(2)
    np.testing.assert_allclose(found[0][0], [half, half, low], rtol=1e-12)
    assert np.isnan(found[0][1]).all()
