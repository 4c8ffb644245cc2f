"""Products of inputs whose range is taken as they come.

    DynamicQuantizeLinear(x) -> q, s, z
    Mul(Cast(MatMulInteger(q, W, z)), Mul(s, scale of W))   ->   MatMul(x, floats of W)

and the same of com.microsoft's MatMulIntegerToFloat and DynamicQuantizeMatMul.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx.quantized.tensors import (
    Scaled,
    Sums,
    Tensors,
    label,
)

__all__ = ["DYNAMIC_OPERATORS", "take_cast", "take_product"]


def _dynamic_range(at: Tensors, node: Any) -> None:
    at.dynamic.update(dict.fromkeys(node.output, at.name_of(node.input[0])))


def _integer_matmul(at: Tensors, node: Any) -> None:
    left, right = node.input[:2]
    zero = node.input[3] if len(node.input) > 3 else ""
    if left not in at.dynamic or not at.is_constant(right):
        raise UnsupportedError(
            f"node {label(node)}: {node.op_type} of other than a DynamicQuantizeLinear's "
            "result and a constant"
        )
    at.sums[node.output[0]] = Sums(at.dynamic[left], right, zero)


def _to_float(at: Tensors, node: Any) -> None:
    """com.microsoft's MatMulIntegerToFloat(A, B, a scale, b scale, a zero, b zero, bias)."""
    inputs = [*node.input, *[""] * (7 - len(node.input))]
    if inputs[0] not in at.dynamic or at.dynamic[inputs[0]] != at.dynamic.get(inputs[2]):
        raise UnsupportedError(
            f"node {label(node)}: {node.op_type} of other than a DynamicQuantizeLinear's result"
        )
    source = at.dynamic[inputs[0]]
    _product(at, node, Sums(source, inputs[1], inputs[5]), inputs[3], inputs[6])


def _dynamic_matmul(at: Tensors, node: Any) -> None:
    """com.microsoft's DynamicQuantizeMatMul(A, B, b scale, b zero, bias)."""
    inputs = [*node.input, *[""] * (5 - len(node.input))]
    source, right, scale, zero, bias = inputs
    _product(at, node, Sums(at.name_of(source), right, zero), scale, bias)


def _product(at: Tensors, node: Any, sums: Sums, scale: str, bias: str = "") -> None:
    matrix = at.constant(node, sums.weight, scale, sums.zero)
    name = f"{node.output[0]}/product" if bias else node.output[0]
    at.products.add(at.emit("MatMul", [sums.source, matrix], name))
    if bias:
        at.emit("Add", [name, at.name_of(bias)], node.output[0])


def take_cast(at: Tensors, node: Any) -> bool:
    """Whether a Cast is one of a product's sums: no node then."""
    if node.input[0] not in at.sums:
        return False
    at.sums[node.output[0]] = at.sums[node.input[0]]
    return True


def take_product(at: Tensors, node: Any) -> bool:
    """Whether a Mul is one of scales, or of sums by these; the latter becomes the product."""
    for one, other in (tuple(node.input), tuple(reversed(node.input))):
        if one in at.dynamic and at.is_constant(other):
            at.scaled[node.output[0]] = Scaled(at.dynamic[one], other)
            return True
        if one in at.sums and other in at.scaled:
            sums, scaled = at.sums[one], at.scaled[other]
            if sums.source == scaled.source:
                _product(at, node, sums, scaled.scale)
                return True
    return False


DYNAMIC_OPERATORS: dict[str, Callable[[Tensors, Any], None]] = {
    "DynamicQuantizeLinear": _dynamic_range,
    "MatMulInteger": _integer_matmul,
    "MatMulIntegerToFloat": _to_float,
    "DynamicQuantizeMatMul": _dynamic_matmul,
}
