"""A graph of more outputs than its function has arguments for: they come by a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper

import rtcompile
from rtcompile import runtime
from tests.onnx_models import save

_OUTPUTS = 40
_SHARED = "fixed"  # one row for all


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = Path(tmp_path_factory.mktemp("outputs"))
    names = [f"y{i}" for i in range(_OUTPUTS)]
    nodes = [helper.make_node("Add", ["x", f"c{i}"], [name]) for i, name in enumerate(names)]
    nodes += [helper.make_node("Identity", ["x"], ["same"])]
    nodes += [helper.make_node("Neg", ["c1"], [_SHARED])]
    constants = {f"c{i}": np.array([[i, -i]], np.float32) for i in range(_OUTPUTS)}
    outputs = {name: (TensorProto.FLOAT, ["n", 2]) for name in (*names, "same")}
    outputs[_SHARED] = (TensorProto.FLOAT, [1, 2])
    save(folder / "m.onnx", nodes, constants, {"x": (TensorProto.FLOAT, ["n", 2])}, outputs)
    rtcompile.build(folder / "m.onnx", output=folder / "m.rtc")
    return folder / "m.rtc"


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, 3])
def test_all_are_there(artifact: Path, threads: int) -> None:
    ranker = runtime.load(artifact, threads=threads)
    assert ranker.manifest["stages"]["cross"]["output_table"]
    for rows in (1, 2, 65, 5000, 0, 3):
        x = np.arange(2 * rows, dtype=np.float32).reshape(rows, 2)
        scores = ranker.predict({"x": x})
        assert len(scores) == _OUTPUTS + 2
        np.testing.assert_array_equal(scores["same"], x)
        np.testing.assert_array_equal(scores[_SHARED], [[-1, 1]])
        for i in range(_OUTPUTS):
            np.testing.assert_array_equal(scores[f"y{i}"], x + np.array([i, -i], np.float32))
