"""Operators on bytes as the float operators that they stand for, each result clipped to its range.

QLinearMatMul, QGemm, QLinearAdd, QLinearConcat, ...   ->   MatMul, Gemm, Add, Concat, ...; Clip
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import helper

from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx.quantized.tensors import (
    BYTES_READ,
    LIMITS,
    Tensors,
    axis_of,
    bytes_read,
    label,
)
from rtcompile.frontends.onnx.quantized.weights import KnownConstant

__all__ = ["STATIC_OPERATORS"]

_ELEMENT_WISE = {
    "QLinearSigmoid": "Sigmoid",
    "QLinearLeakyRelu": "LeakyRelu",
    "QLinearSoftmax": "Softmax",
    "QLinearAdd": "Add",
    "QLinearMul": "Mul",
}


def _quantize(at: Tensors, node: Any) -> None:
    source, scale, *rest = node.input
    zero = rest[0] if rest else ""
    if not at.is_constant(source):
        at.give(node, at.name_of(source), scale, zero)
        return
    axis = axis_of(node)
    scales, zeros, dtype = at.code(node, scale, zero)
    if dtype not in LIMITS:
        raise UnsupportedError(
            f"node {label(node)}: quantized to {dtype}; int8 and uint8 are supported"
        )
    values = at.array(source, node, "what it reads")
    shape = [1] * values.ndim
    if scales.size > 1:
        shape[axis] = scales.size
    zero_points = zeros.reshape(shape) if zeros.size > 1 else zeros[0]
    q = np.rint(values / scales.reshape(shape)) + zero_points
    at.integers[node.output[0]] = np.clip(q, *LIMITS[dtype]).astype(dtype)


def _dequantize(at: Tensors, node: Any) -> None:
    value = at.real(node, (0, 1, 2), axis_of(node))
    taken = at.product_inputs.holds(node.output[0])
    at.renamed[node.output[0]] = value if taken else at.rounded(node.input[0], value)


def _matmul(at: Tensors, node: Any) -> None:
    values = [at.real(node, place) for place in BYTES_READ["QLinearMatMul"]]
    product = at.emit("MatMul", values, f"{node.output[0]}/float")
    at.give(node, product, node.input[6], node.input[7])


def _gemm(at: Tensors, node: Any) -> None:
    flags = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    left, right = BYTES_READ["QGemm"]
    axis = 0 if flags.get("transB", 0) else 1
    values = [at.real(node, left), at.real(node, right, axis)]
    if len(node.input) > 6 and node.input[6]:
        values.append(_bias(at, node, float(flags.get("alpha", 1.0))))
    to_bytes = len(node.input) > 8
    name = f"{node.output[0]}/float" if to_bytes else node.output[0]
    result = at.emit("Gemm", values, name, **flags)
    if to_bytes:
        at.give(node, result, node.input[7], node.input[8])


def _bias(at: Tensors, node: Any, alpha: float) -> str:
    """A bias of the sums' scale: alpha times those of both operands."""
    scales = [at.array(node.input[i], node, "a scale").astype(np.float32) for i in (1, 4)]
    name = f"{node.output[0]}/bias"
    scale = (np.float32(alpha) * scales[0] * scales[1]).reshape(-1)
    bias = at.array(node.input[6], node, "the bias")
    at.keep(name, KnownConstant(bias, scale, np.zeros(1, np.int32), bias.ndim - 1))
    return name


def _element_wise(at: Tensors, node: Any) -> None:
    places = BYTES_READ[node.op_type]
    values = [at.rounded(node.input[place[0]], at.real(node, place)) for place in places]
    flags = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    if flags.pop("opset", 13) < 13 and flags.get("axis") != -1:
        raise UnsupportedError(f"node {label(node)}: a softmax over more than one axis")
    name = f"{node.output[0]}/float"
    result = at.emit(_ELEMENT_WISE[node.op_type], values, name, **flags)
    behind = 3 * len(places)
    at.give(node, result, node.input[behind], node.input[behind + 1])


def _concat(at: Tensors, node: Any) -> None:
    values = [at.real(node, place) for place in bytes_read(node)]
    axis = next(a.i for a in node.attribute if a.name == "axis")
    result = at.emit("Concat", values, f"{node.output[0]}/float", axis=axis)
    at.give(node, result, node.input[0], node.input[1])


STATIC_OPERATORS: dict[str, Callable[[Tensors, Any], None]] = {
    "QuantizeLinear": _quantize,
    "DequantizeLinear": _dequantize,
    "QLinearMatMul": _matmul,
    "QGemm": _gemm,
    "QLinearConcat": _concat,
    **dict.fromkeys(_ELEMENT_WISE, _element_wise),
}
