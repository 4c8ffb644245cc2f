"""Zero divisors and indices outside that a graph takes care of are among what is verified."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from rtcompile.compile.compiler import Compiler
from rtcompile.errors import VerificationError
from rtcompile.frontends.onnx.import_onnx import import_onnx
from rtcompile.options import BuildOptions
from rtcompile.targets import resolve_target
from rtcompile.verification.draw_inputs import InputPlan
from rtcompile.verification.guarded_values import guarded_requests
from rtcompile.verification.network import loaded, verify_network
from tests.onnx_models import save

pytestmark = pytest.mark.slow

node = helper.make_node


def _model(path: Path, instead: int, last: int, guards: bool = True) -> Path:
    """Z = x // (n or `instead`), and E[i], with i clipped to [0, `last`]."""
    constants = {
        "E": np.arange(24, dtype=np.float32).reshape(8, 3),
        "zero": np.int64(0),
        "instead": np.int64(instead),
        "last": np.int64(last),
    }
    nodes = [
        node("Equal", ["n", "zero"], ["none"]),
        node("Where", ["none", "instead", "n"], ["divisor"]),
        node("Div", ["x", "divisor" if guards else "n"], ["Z"]),
        node("Clip", ["i", "zero", "last"], ["place"]),
        node("Gather", ["E", "place"], ["Y"]),
    ]
    row = (TensorProto.INT64, ["rows"])
    outputs = {"Z": row, "Y": (TensorProto.FLOAT, ["rows", 3])}
    return save(path, nodes, constants, dict.fromkeys("xni", row), outputs, 18)


def _build(path: Path) -> Any:
    target = resolve_target("host")
    return Compiler(path, None, BuildOptions(), target, lambda step: None).compile()


@pytest.mark.parametrize(
    ("instead", "last", "message"),
    [(1, 7, None), (2, 7, "a zero for 'n'"), (1, 6, "1000000 for 'i'")],
)
def test_what_a_guard_gives_is_compared(
    tmp_path: Path, instead: int, last: int, message: str | None
) -> None:
    graph = import_onnx(_model(tmp_path / "original.onnx", 1, 7))
    candidate = _build(_model(tmp_path / "other.onnx", instead, last))
    if message is None:
        verify_network(graph, None, candidate.manifest, candidate.sections)
        return
    with pytest.raises(VerificationError, match=message):
        verify_network(graph, None, candidate.manifest, candidate.sections)


def test_a_division_that_would_end_the_process_is_not_asked_for(tmp_path: Path) -> None:
    graph = import_onnx(_model(tmp_path / "m.onnx", 1, 7, guards=False))
    candidate = _build(tmp_path / "m.onnx")
    verify_network(graph, None, candidate.manifest, candidate.sections)
    with loaded(candidate.manifest, candidate.sections) as ranker:
        plan = InputPlan.of(graph.model, ranker.input_ports)
        kinds = [one.batch.kinds for one in guarded_requests(graph.model, plan)]
    assert kinds == [("-1000000 for 'i'",), ("1000000 for 'i'",)]
