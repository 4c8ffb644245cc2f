"""Which graphs are compiled in the caller's process, and which in one of their own.

TVM is safe on the operators that ranking models are made of, as long as the graph keeps ONNX's
rules and its tensors are of a usual size: what is inferred of types and shapes, strictly, says so.
All else, and graphs that are very deep or files that are very large, may end the process that
compiles them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from rtcompile.frontends.onnx.read_model import UNREADABLE

__all__ = ["is_safe"]

_MOST_BYTES = 1 << 28
_MOST_NODES = 10_000
_MOST_ELEMENTS = 1 << 31

# fmt: off
_USUAL = frozenset(
    (
        *("Abs", "Add", "And", "ArgMax", "ArgMin", "BatchNormalization", "Cast"),
        *("Ceil", "Clip", "Concat", "Constant", "Div", "Dropout", "Elu", "Equal"),
        *("Erf", "Exp", "Flatten", "Floor", "Gather", "Gelu", "Gemm", "Greater"),
        *("GreaterOrEqual", "HardSigmoid", "HardSwish", "Identity", "IsInf", "IsNaN"),
        *("LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log"),
        *("LogSoftmax", "MatMul", "Max", "Mean", "Min", "Mish", "Mod", "Mul", "Neg"),
        *("Not", "Or", "PRelu", "Pow", "Reciprocal", "ReduceL1", "ReduceL2"),
        *("ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin"),
        *("ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Reshape", "Round"),
        *("Selu", "Shape", "Sigmoid", "Sign", "Slice", "Softmax", "Softplus"),
        *("Softsign", "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh"),
        *("ThresholdedRelu", "Transpose", "Unsqueeze", "Where", "Xor"),
        *("DequantizeLinear", "QuantizeLinear"),
    )
)
# fmt: on


def is_safe(path: Path) -> bool:
    """Whether the model at `path` can be compiled without a process of its own.

    What cannot be read is: there is nothing to compile, and reading it says why.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            return False
        model = onnx.load(str(path), load_external_data=False)
    except UNREADABLE:
        return True
    graph = model.graph
    if model.functions or len(graph.node) > _MOST_NODES or graph.sparse_initializer:
        return False
    if any(n.op_type not in _USUAL or n.domain not in ("", "ai.onnx") for n in graph.node):
        return False
    return _keeps_the_rules(model)


def _keeps_the_rules(model: Any) -> bool:
    """Whether types and shapes can be inferred strictly, and none is out of the ordinary."""
    light = _without_large_values(model)
    try:
        onnx.checker.check_model(light)
        # Types checked, strictly, with the values that shapes are computed from.
        inferred = onnx.shape_inference.infer_shapes(light, True, True, True)
    except Exception:  # of several classes without a public base
        return False
    return all(_is_usual(value) for value in inferred.graph.value_info)


def _without_large_values(model: Any) -> Any:
    """The model with matrices as inputs: what they hold decides no shape."""
    small = [tensor for tensor in model.graph.initializer if _elements(tensor.dims) <= 64]
    large = [tensor for tensor in model.graph.initializer if _elements(tensor.dims) > 64]
    given = {value.name for value in model.graph.input}
    inputs = [
        onnx.helper.make_tensor_value_info(t.name, t.data_type, list(t.dims))
        for t in large
        if t.name not in given
    ]
    graph = onnx.helper.make_graph(
        list(model.graph.node),
        model.graph.name or "g",
        [*model.graph.input, *inputs],
        list(model.graph.output),
        small,
    )
    return onnx.helper.make_model(
        graph, opset_imports=list(model.opset_import), ir_version=model.ir_version
    )


def _elements(extents: Any) -> int:
    count = 1
    for extent in extents:
        count *= max(int(extent), 0)
    return count


def _is_usual(value: Any) -> bool:
    shape = value.type.tensor_type.shape
    extents = [dim.dim_value for dim in shape.dim if dim.HasField("dim_value")]
    return all(extent > 0 for extent in extents) and _elements(extents) <= _MOST_ELEMENTS
