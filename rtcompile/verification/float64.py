"""The original in float64: who is right where two float32 evaluations differ.

A network may amplify rounding: attention over large scores turns the last bits of a sum into the
fourth digit of a score. Then ONNX Runtime's float32 is no better a judge than any other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from rtcompile.frontends.onnx.length_inputs import has_lengths
from rtcompile.frontends.onnx.tensors import array_of, byte_count, in_memory
from rtcompile.verification.exact_deviations import EXACT_DEVIATIONS
from rtcompile.verification.exact_log_softmax import LogSoftmax

__all__ = ["Float64", "run_in_float64"]

Array = npt.NDArray[Any]

# Of weights: in float64, beside those that they are made of, three times as many.
_MOST_BYTES = 1 << 30


def run_in_float64(model: Any, inputs: Mapping[str, Array]) -> list[Array] | None:
    """The outputs of an onnx.ModelProto by onnx's own evaluator, in the order of the graph.

    None where that evaluator lacks an operator, or the tables are too large to be widened.
    """
    return Float64(model).run(inputs)


class Float64:
    """An onnx.ModelProto in float64, to be asked several times.

    `operators`: classes that evaluate operators, instead of those that onnx has.
    """

    def __init__(self, model: Any, operators: Sequence[Any] = ()) -> None:
        self._model = model
        self._operators = [*EXACT_DEVIATIONS, LogSoftmax, *operators]
        self._evaluator: Any = None

    def run(self, inputs: Mapping[str, Array]) -> list[Array] | None:
        """As `run_in_float64`."""
        if sum(map(byte_count, self._model.graph.initializer)) > _MOST_BYTES:
            return None
        if any(has_lengths(node) for node in self._model.graph.node):
            return None  # the evaluator takes no notice of them
        given = {
            name: array.astype(np.float64) if array.dtype == np.float32 else array
            for name, array in inputs.items()
        }
        try:
            if self._evaluator is None:
                wide = _widened(self._model)
                self._evaluator = ReferenceEvaluator(wide, new_ops=self._operators)
            with np.errstate(all="ignore"):
                found: list[Array] = self._evaluator.run(None, given)
        except Exception:  # of no public base class: an operator that it lacks, or has in float32
            return None
        return found


def _widened(model: Any) -> Any:
    """A copy whose float32 tensors, casts and values are float64."""
    wide = onnx.ModelProto()
    wide.CopyFrom(model)
    graph = wide.graph
    for tensor in graph.initializer:
        _widen(tensor)
    opset = max((o.version for o in wide.opset_import if o.domain in ("", "ai.onnx")), default=0)
    for node in graph.node:
        if node.op_type == "GroupNormalization" and opset >= 21:
            _compute_in_double(node)
        for attribute in node.attribute:
            if attribute.name == "value" and attribute.HasField("t"):
                _widen(attribute.t)
            if (node.op_type, attribute.name, attribute.i) == ("Cast", "to", TensorProto.FLOAT):
                attribute.i = TensorProto.DOUBLE
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type == TensorProto.FLOAT:
            value.type.tensor_type.elem_type = TensorProto.DOUBLE
    return wide


def _compute_in_double(node: Any) -> None:
    """The type that its definition casts to."""
    kept = [attribute for attribute in node.attribute if attribute.name != "stash_type"]
    del node.attribute[:]
    node.attribute.extend([*kept, helper.make_attribute("stash_type", TensorProto.DOUBLE)])


def _widen(tensor: Any) -> None:
    if tensor.data_type == TensorProto.FLOAT:
        wide = array_of(tensor).astype(np.float64)
        tensor.CopyFrom(numpy_helper.from_array(wide, tensor.name))
    else:
        tensor.CopyFrom(in_memory(tensor))
