"""What a model says of its inputs, by ONNX Runtime and by onnx's own evaluator.

ONNX Runtime is asked only where no value can end the process: it divides integers by the CPU's
instruction, which raises a signal for a zero.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx.inliner import inline_selected_functions
from onnx.reference import ReferenceEvaluator

from rtcompile.verification.float64 import run_in_float64

__all__ = ["Array", "Evaluator", "Feeds", "evaluators"]

Array = npt.NDArray[Any]
Feeds = Mapping[str, Array]
Evaluator = Callable[[Feeds], "list[Array]"]

_RAISES_SIGNALS = ("Div", "Mod")


def evaluators(model: onnx.ModelProto) -> dict[str, Evaluator]:
    """By name, whoever can run the model at all. One that fails on some inputs raises."""
    found: dict[str, Evaluator] = {}
    with contextlib.suppress(Exception):  # of no public base class: it has no such operator
        found["reference"] = _reference(model)
    defined = _definition(model)
    if defined is not None:
        found["definition"] = defined
    found["float64"] = lambda feeds: _in_float64(model, feeds)
    if not any(node.op_type in _RAISES_SIGNALS for node in model.graph.node):
        session = _session(model)
        if session is not None:
            found["onnxruntime"] = lambda feeds: list(session.run(None, dict(feeds)))
    return found


def _reference(model: onnx.ModelProto) -> Evaluator:
    evaluator = ReferenceEvaluator(model)

    def run(feeds: Feeds) -> list[Array]:
        with np.errstate(all="ignore"):
            return list(evaluator.run(None, dict(feeds)))

    return run


def _definition(model: onnx.ModelProto) -> Evaluator | None:
    """onnx's evaluator on the bodies of the operators that ONNX defines by others, if there are."""
    operators = [(node.domain, node.op_type) for node in model.graph.node]
    try:
        inlined = inline_selected_functions(
            _with_a_type_of_nothing(model), operators, exclude=False, inline_schema_functions=True
        )
        if [(node.domain, node.op_type) for node in inlined.graph.node] == operators:
            return None
        return _reference(inlined)
    except Exception:  # of no public base class: a body that needs types which are not known
        return None


def _with_a_type_of_nothing(model: onnx.ModelProto) -> onnx.ModelProto:
    """The inliner asks for the type of an optional input that is left out, whose name is empty."""
    typed = onnx.ModelProto()
    typed.CopyFrom(model)
    typed.graph.value_info.append(onnx.helper.make_tensor_value_info("", 1, None))
    return typed


def _in_float64(model: onnx.ModelProto, feeds: Feeds) -> list[Array]:
    found = run_in_float64(model, feeds)
    if found is None:
        raise NotImplementedError("the evaluator does not run in float64")
    return found


def _session(model: onnx.ModelProto) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options)
    except Exception:  # of no public base class: it lacks the operator, or its element type
        return None
