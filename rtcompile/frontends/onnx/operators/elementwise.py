"""Operators that compute value by value."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
from tvm import relax

from rtcompile.frontends.onnx.operators.node import Node, element_type, is_computable
from rtcompile.frontends.onnx.operators.values import Known

__all__ = ["ELEMENTWISE"]


def _binary(make: Callable[[Any, Any], Any]) -> Callable[[Node], Any]:
    def convert(node: Node) -> Any:
        return make(node.tensor(0), node.tensor(1))

    return convert


def _unary(make: Callable[[Any], Any]) -> Callable[[Node], Any]:
    def convert(node: Node) -> Any:
        return make(node.tensor(0))

    return convert


def _all_of(make: Callable[[Any, Any], Any]) -> Callable[[Node], Any]:
    """An operator of any count of operands, of two at a time."""

    def convert(node: Node) -> Any:
        return reduce(lambda a, b: node.emit(make(a, b)), node.tensors())

    return convert


def _mean(node: Node) -> Any:
    total = _all_of(relax.op.add)(node)
    return relax.op.divide(total, node.scalar(len(node.inputs), node.dtype(0)))


def _clip(node: Node) -> Any:
    """The lower bound first: where it is above the upper one, that is the result."""
    found, dtype = node.tensor(0), node.dtype(0)
    for place, name, make in ((1, "min", relax.op.maximum), (2, "max", relax.op.minimum)):
        bound = node.tensor(place) if node.has(place) else None
        if name in node.attributes:
            bound = node.scalar(node.number(name, 0.0), dtype)
        if bound is not None:
            found = node.emit(make(found, bound))
    return found


def _power(node: Node) -> Any:
    """In the base's element type. Integers by float64, whose powers are exact up to 2**53; so are
    integer exponents that float32 would round, since whether they are odd is the result's sign."""
    dtype, wide = node.dtype(0), "float64"
    if dtype.startswith(("float", "bfloat")) and not _is_rounded(node, 1, dtype):
        wide = dtype
    base, exponent = (node.cast(node.tensor(place), wide) for place in (0, 1))
    return node.cast(node.emit(relax.op.power(base, exponent)), dtype)


def _is_rounded(node: Node, place: int, dtype: str) -> bool:
    """Whether an integer operand may be none of the values of a float type."""
    given = node.dtype(place)
    if given.startswith(("float", "bfloat")) or given == "bool" or dtype == "float64":
        return False
    exact = {"float32": 2**24, "float16": 2**11, "bfloat16": 2**8}[dtype]
    value = node.inputs[place]
    if isinstance(value, Known):
        return bool((np.abs(value.array.astype(np.float64)) > exact).any())
    return bool(np.iinfo(given).max > exact)


def _modulo(node: Node) -> Any:
    """With fmod the sign is the dividend's, else the divisor's. Of floats that is computed from the
    first: -1 modulo infinity is infinity, where -1 - floor(-1 / inf) * inf would be NaN."""
    x, by, dtype = node.tensor(0), node.tensor(1), node.dtype(0)
    if node.integer("fmod", 0):
        return relax.op.mod(x, by)
    if not dtype.startswith(("float", "bfloat")):
        return relax.op.floor_mod(x, by)
    zero, rest = node.scalar(0, dtype), node.emit(relax.op.mod(x, by))
    below = [node.emit(relax.op.less(value, zero)) for value in (rest, by)]
    apart = node.emit(relax.op.logical_xor(*below))
    apart = node.emit(relax.op.logical_and(apart, node.emit(relax.op.not_equal(rest, zero))))
    return relax.op.where(apart, node.emit(relax.op.add(rest, by)), rest)


def _shift(node: Node) -> Any:
    """By the width of the type or more, nothing is left but the sign."""
    left, dtype = node.text("direction", "") == "LEFT", node.dtype(0)
    bits = np.dtype(dtype).itemsize * 8
    x, given = node.tensor(0), node.tensor(1)
    inside = node.emit(relax.op.less(given, node.scalar(bits, dtype)))
    if not dtype.startswith("uint"):
        right = node.emit(relax.op.greater_equal(given, node.scalar(0, dtype)))
        inside = node.emit(relax.op.logical_and(inside, right))
    count = node.emit(relax.op.where(inside, given, node.scalar(bits - 1, dtype)))
    shifted = node.emit((relax.op.left_shift if left else relax.op.right_shift)(x, count))
    if not left and not dtype.startswith("uint"):
        return shifted
    return relax.op.where(inside, shifted, node.scalar(0, dtype))


def _is_infinite(node: Node) -> Any:
    high, low = node.integer("detect_positive", 1), node.integer("detect_negative", 1)
    x, dtype = node.tensor(0), node.dtype(0)
    infinity = node.scalar(np.inf, dtype)
    if high and low:
        return relax.op.equal(node.emit(relax.op.abs(x)), infinity)
    if high or low:
        return relax.op.equal(x, infinity if high else node.scalar(-np.inf, dtype))
    return relax.op.less(x, node.scalar(-np.inf, dtype))


def _equal(node: Node) -> Any:
    if node.dtype(0) == "bool":
        either = node.emit(relax.op.logical_xor(node.tensor(0), node.tensor(1)))
        return relax.op.logical_not(either)
    return relax.op.equal(node.tensor(0), node.tensor(1))


def _where(node: Node) -> Any:
    return relax.op.where(*node.tensors())


def _leaky(node: Node) -> Any:
    return relax.op.nn.leakyrelu(node.tensor(0), node.number("alpha", 0.01))


def _sign(node: Node) -> Any:
    x, dtype = node.tensor(0), node.dtype(0)
    zero = node.scalar(0, dtype)
    up = node.cast(node.emit(relax.op.greater(x, zero)), dtype)
    if dtype.startswith("uint"):
        return up
    down = node.cast(node.emit(relax.op.less(x, zero)), dtype)
    found = node.emit(relax.op.subtract(up, down))
    if not dtype.startswith(("float", "bfloat")):
        return found
    return relax.op.where(node.emit(relax.op.isnan(x)), x, found)


def _cast_like(node: Node) -> Any:
    return cast_to(node, node.dtype(1))


def _cast(node: Node) -> Any:
    number = node.attributes["to"]
    return cast_to(node, element_type(int(number)))


def cast_to(node: Node, dtype: str) -> Any:
    """A tensor as another element type: floats towards zero, integers modulo, NaN and infinities
    to booleans as true; to integers as a processor does (`relay_passes/exact/exact_llvm.py`)."""
    x, source = node.tensor(0), node.dtype(0)
    if dtype == source:
        return x
    if not is_computable(dtype):
        node.refuse(f"tensors of {dtype} are not supported")
    if dtype == "bool":
        return relax.op.not_equal(x, node.scalar(0, source))
    return relax.op.astype(x, dtype)


def _thresholded(node: Node) -> Any:
    x, dtype = node.tensor(0), node.dtype(0)
    above = node.emit(relax.op.greater(x, node.scalar(node.number("alpha", 1.0), dtype)))
    return relax.op.where(above, x, node.scalar(0, dtype))


def _shrink(node: Node) -> Any:
    x, dtype = node.tensor(0), node.dtype(0)
    bias, border = node.scalar(node.number("bias", 0.0), dtype), node.number("lambd", 0.5)
    low = node.emit(relax.op.less(x, node.scalar(-border, dtype)))
    high = node.emit(relax.op.greater(x, node.scalar(border, dtype)))
    inner = node.emit(
        relax.op.where(high, node.emit(relax.op.subtract(x, bias)), node.scalar(0, dtype))
    )
    return relax.op.where(low, node.emit(relax.op.add(x, bias)), inner)


def _bitwise_not(node: Node) -> Any:
    return relax.op.bitwise_not(node.tensor(0))


ELEMENTWISE: dict[str, Callable[[Node], Any]] = {
    "Add": _binary(relax.op.add),
    "BitShift": _shift,
    "BitwiseAnd": _binary(relax.op.bitwise_and),
    "BitwiseNot": _bitwise_not,
    "BitwiseOr": _binary(relax.op.bitwise_or),
    "BitwiseXor": _binary(relax.op.bitwise_xor),
    "Cast": _cast,
    "CastLike": _cast_like,
    "Clip": _clip,
    "Div": _binary(relax.op.divide),
    "Equal": _equal,
    "IsInf": _is_infinite,
    "LeakyRelu": _leaky,
    "Max": _all_of(relax.op.maximum),
    "Mean": _mean,
    "Min": _all_of(relax.op.minimum),
    "Mod": _modulo,
    "Mul": _binary(relax.op.multiply),
    "Pow": _power,
    "Shrink": _shrink,
    "Sign": _sign,
    "Sub": _binary(relax.op.subtract),
    "Sum": _all_of(relax.op.add),
    "ThresholdedRelu": _thresholded,
    "Where": _where,
}
