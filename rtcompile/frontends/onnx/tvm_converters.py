"""Operators whose converter in TVM's frontend is right, checked by ONNX's node tests."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

from tvm import relax
from tvm.relax.frontend.onnx.onnx_frontend import _get_convert_map, onnx_input

from rtcompile.frontends.onnx.node import Node
from rtcompile.frontends.onnx.values import Value

__all__ = ["TVM_CONVERTERS", "convert_by_tvm"]

TVM_CONVERTERS = (
    "Abs", "Acos", "Acosh", "Add", "And", "ArgMax", "ArgMin", "Asin", "Asinh", "Atan", "Atanh",
    "AveragePool", "BatchNormalization", "Cast", "Ceil", "Clip", "Concat", "Conv",
    "ConvTranspose", "Cos", "Cosh", "CumSum", "DepthToSpace", "DequantizeLinear", "Div", "Elu",
    "Equal", "Erf", "Exp", "Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Gelu",
    "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual", "HardSigmoid",
    "HardSwish", "InstanceNormalization", "IsNaN", "LRN", "LayerNormalization", "LeakyRelu", "Less",
    "LessOrEqual", "Log", "LogSoftmax", "MatMul", "MatMulInteger", "Max", "MaxPool", "Mean", "Min",
    "Mish", "Mul", "Neg", "Not", "OneHot", "Or", "PRelu", "Pad", "Pow", "QuantizeLinear",
    "Reciprocal", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceMax",
    "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare", "Relu", "Resize",
    "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Slice", "Softmax", "Softplus",
    "Softsign", "SpaceToDepth", "Split", "Sqrt", "Sub", "Sum", "Tan", "Tanh", "ThresholdedRelu",
    "Tile", "TopK", "Transpose", "Trilu", "Where", "Xor",
)  # fmt: skip


def convert_by_tvm(node: Node) -> Sequence[Value]:
    """The outputs of a node, by TVM's converter."""
    converter = _get_convert_map()[node.operator].get_converter(node.opset)
    inputs = onnx_input()
    inputs.extend(
        None if value is None else node.tensor(place) for place, value in enumerate(node.inputs)
    )
    attributes = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in node.attributes.items()
    }
    attributes["tvm_custom"] = {"name": node.name, "num_outputs": len(node.outputs)}
    with contextlib.redirect_stdout(io.StringIO()):
        result = node.block.normalize(converter(node.block, inputs, attributes, [{}, {}]))
    return _outputs(node, result)


def _outputs(node: Node, result: Any) -> list[Value]:
    if isinstance(result, relax.Tuple):
        return [node.emit(field) for field in result.fields]
    if isinstance(result.ty, relax.TupleType):
        whole = node.emit(result)
        return [node.emit(relax.TupleGetItem(whole, i)) for i in range(len(result.ty.fields))]
    return [result]
