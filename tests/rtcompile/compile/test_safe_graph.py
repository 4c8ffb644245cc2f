from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

from rtcompile.compile.safe_graph import is_safe
from tests.onnx_models import two_input_model


def _saved(folder: Path, body: str, **constants: list[int]) -> Path:
    text = f'<ir_version: 9, opset_import: ["" : 17]> g (float[N, 8] x) => (float[N, M] y) {body}'
    model = onnx.parser.parse_model(text)
    for name, values in constants.items():
        tensor = numpy_helper.from_array(np.array(values, np.int64), name)
        model.graph.initializer.append(tensor)
    onnx.save(model, folder / "m.onnx")
    return folder / "m.onnx"


def test_a_ranking_model_is_safe(tmp_path: Path) -> None:
    assert is_safe(two_input_model(tmp_path / "m.onnx"))


def test_what_cannot_be_read_is_left_to_the_reader(tmp_path: Path) -> None:
    assert is_safe(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no model")
    assert is_safe(tmp_path / "text.onnx")


@pytest.mark.parametrize(
    ("body", "constants"),
    [
        ("{ y = Sin(x) }", {}),  # an operator that is no usual one
        ("{ y = Softmax<axis = 9>(x) }", {}),
        ("{ y = Transpose<perm = [0, 0]>(x) }", {}),
        ("{ y = Reshape(x, s) }", {"s": [-1, -1]}),
        ("{ y = Where(x, x, x) }", {}),
        ("{ a = Reshape(x, s) y = Identity(a) }", {"s": [1 << 20, 1 << 20]}),
    ],
)
def test_a_graph_that_breaks_a_rule_is_not(
    tmp_path: Path, body: str, constants: dict[str, list[int]]
) -> None:
    assert not is_safe(_saved(tmp_path, body, **constants))


def test_a_very_deep_graph_is_not(tmp_path: Path) -> None:
    nodes = [onnx.helper.make_node("Relu", [f"v{k}"], [f"v{k + 1}"]) for k in range(10_001)]
    ports = [onnx.helper.make_tensor_value_info(n, 1, ["N", 8]) for n in ("v0", "v10001")]
    graph = onnx.helper.make_graph(nodes, "g", ports[:1], ports[1:])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "m.onnx")
    assert not is_safe(tmp_path / "m.onnx")
