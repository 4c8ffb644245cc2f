"""Operators whose converter in TVM's frontend is right, checked by ONNX's node tests."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

from tvm import relax
from tvm.relax.frontend.onnx.onnx_frontend import _get_convert_map, onnx_input

from rtcompile.frontends.onnx.operators.deviations import layer_normalization
from rtcompile.frontends.onnx.operators.dilated_transposed_convolution import (
    dilated_transposed_convolution,
)
from rtcompile.frontends.onnx.operators.node import Node
from rtcompile.frontends.onnx.operators.values import Value

__all__ = ["TVM_CONVERTERS", "convert_by_tvm"]

TVM_CONVERTERS = (
    "Abs", "Acos", "Acosh", "And", "Asin", "Asinh", "Atan", "Atanh", "BatchNormalization", "Ceil",
    "Conv", "ConvTranspose", "Cos", "Cosh", "DequantizeLinear", "Erf", "Exp", "Floor",
    "Gelu", "Gemm", "Greater", "GreaterOrEqual", "HardSigmoid", "HardSwish",
    "InstanceNormalization", "IsNaN", "LayerNormalization", "Less", "LessOrEqual", "Log",
    "MatMul", "MatMulInteger", "Mish", "Neg", "Not", "Or", "PRelu", "QuantizeLinear",
    "Reciprocal", "Relu", "Round", "Sigmoid", "Sin", "Sinh", "Softplus",
    "Softsign", "Sqrt", "Tan", "Tanh", "Xor",
)  # fmt: skip


def convert_by_tvm(node: Node) -> Sequence[Value]:
    """The outputs of a node, by TVM's converter."""
    if node.operator == "LayerNormalization" and any(node.outputs[1:]):
        return layer_normalization(node)  # TVM gives the mean and the deviation as 0
    if node.operator == "ConvTranspose" and "output_shape" in node.attributes:
        node.refuse("output_shape is not supported: export the model with pads")
    if node.operator == "ConvTranspose" and max(node.integers("dilations") or [1]) > 1:
        return [dilated_transposed_convolution(node)]
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
