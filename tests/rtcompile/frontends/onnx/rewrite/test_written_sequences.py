"""Sequences of tensors that a graph writes out are the tensors themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import rtcompile
from rtcompile import runtime
from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx.rewrite.written_sequences import without_written_sequences
from tests.onnx_models import save, two_input_model

FLOAT = TensorProto.FLOAT
node = helper.make_node


def model(path: Path, place: int, **concat: Any) -> Path:
    """Y = relu(one of [-X, X]) + the first two columns of both, joined."""
    constants = {"place": np.int64(place), "w": np.eye(4, 2, dtype=np.float32)}
    nodes = [
        node("Neg", ["X"], ["N"]),
        node("SequenceConstruct", ["N", "X"], ["both"]),
        node("SequenceAt", ["both", "place"], ["one"]),
        node("ConcatFromSequence", ["both"], ["joined"], **concat),
        node("Relu", ["one"], ["r"]),
        node("MatMul", ["joined", "w"], ["m"]),
        node("Add", ["r", "m"], ["Y"]),
    ]
    return save(path, nodes, constants, {"X": (FLOAT, ["n", 2])}, {"Y": (FLOAT, ["n", 2])})


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 1, -1])
def test_parts_and_their_concatenation(tmp_path: Path, place: int) -> None:
    path = model(tmp_path / "m.onnx", place, axis=1)
    rtcompile.build(path, output=tmp_path / "m.rtc")
    x = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    got = runtime.load(tmp_path / "m.rtc").predict({"X": x})["Y"]
    np.testing.assert_allclose(got, np.maximum([-x, x][place], 0) - x, atol=1e-6)


@pytest.mark.parametrize(("place", "concat"), [(2, {"axis": 1}), (0, {"axis": 0, "new_axis": 1})])
def test_others_are_refused(tmp_path: Path, place: int, concat: dict[str, int]) -> None:
    path = model(tmp_path / "m.onnx", place, **concat)
    with pytest.raises(UnsupportedError, match="sequences of tensors are not supported"):
        rtcompile.build(path, output=tmp_path / "m.rtc")


def test_a_model_without_sequences_is_left_alone(tmp_path: Path) -> None:
    given = onnx.load(two_input_model(tmp_path / "m.onnx"))
    assert without_written_sequences(given) is given
