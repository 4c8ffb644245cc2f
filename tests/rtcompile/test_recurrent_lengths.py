"""The lengths of a recurrent layer's sequences, `sequence_lens`, come from data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import rtcompile
from rtcompile import runtime
from tests.rtcompile.frontends.graphs import agrees, graph

pytestmark = pytest.mark.slow

_STEPS, _UNITS = 4, 3
_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}


def _model(operator: str, direction: str) -> onnx.ModelProto:
    both = 2 if direction == "bidirectional" else 1
    rng = np.random.default_rng(0)
    shape = (both, _GATES[operator] * _UNITS)
    layer = f'{operator}<hidden_size={_UNITS}, direction="{direction}">'
    return graph(
        f"""g (float[N,{_STEPS},2] x, int32[N] length) => (float[N,{both},{_UNITS}] last) {{
            turned = Transpose<perm=[1, 0, 2]>(x)
            y, h = {layer}(turned, w, r, , length)
            last = Transpose<perm=[1, 0, 2]>(h) }}""",
        w=rng.normal(size=(*shape, 2)).astype(np.float32),
        r=rng.normal(size=(*shape, _UNITS)).astype(np.float32),
    )


@pytest.mark.parametrize("operator", list(_GATES))
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_lengths(operator: str, direction: str, tmp_path: Path) -> None:
    rows = {
        "x": np.random.default_rng(1).normal(size=(9, _STEPS, 2)).astype(np.float32),
        "length": np.array([0, 1, 2, 3, 4, 4, 1, 0, 2], np.int32),
    }
    agrees(_model(operator, direction), rows, tmp_path, counts=(1, 70))
    ranker = runtime.load(tmp_path / "m.rtc")
    for length in (_STEPS + 1, -1, 2**31 - 1, -(2**31)):
        rows["length"][3] = length
        said = rf"'length': id {length} is outside the lengths 0 to 4 of {operator} \(row 3\)"
        with pytest.raises(runtime.UnknownIdError, match=said):
            ranker.predict(rows)


def test_a_constant_length_that_is_none_is_refused(tmp_path: Path) -> None:
    model = _model("GRU", "forward")
    del model.graph.input[1]
    length = onnx.numpy_helper.from_array(np.array([5], np.int32), "length")
    model.graph.initializer.append(length)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, tmp_path / "m.onnx")
    with pytest.raises(rtcompile.RtcompileError, match="5 is none of the lengths 0 to 4 of GRU"):
        rtcompile.build(tmp_path / "m.onnx", output=tmp_path / "m.rtc")
