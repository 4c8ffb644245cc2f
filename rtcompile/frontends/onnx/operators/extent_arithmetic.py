"""Operators on extents, where some are the batch: shapes that a graph computes of shapes.

    Reshape(x, Concat(Gather(Shape(x), 0), [-1]))       the batch stays a symbol throughout

Each function gives None where its node has no such operand, and is left to the converters.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx

from rtcompile.frontends.onnx.operators.node import Node, element_type
from rtcompile.frontends.onnx.operators.values import (
    Extents,
    Known,
    Value,
    as_value,
    simplified,
)

__all__ = ["EXTENT_OPERATORS"]

Objects = npt.NDArray[Any]


def _operands(node: Node, integers: bool = True) -> list[Objects] | None:
    """All inputs as arrays of objects; None where none holds an extent of the batch."""
    if not any(isinstance(value, Extents) for value in node.inputs):
        return None
    found = []
    for value in node.inputs:
        if not isinstance(value, Known | Extents):
            return None
        if integers and isinstance(value, Known) and value.array.dtype.kind not in "iub":
            return None
        found.append(value.array.astype(object))
    return found


def _shape(node: Node) -> Value:
    extents = list(node.shape(0))
    stop = node.attributes.get("end")
    part = extents[node.integer("start", 0) : None if stop is None else int(stop)]
    return node.extents_value(part, [len(part)])


def _size(node: Node) -> Value:
    count = reduce(lambda a, b: a * b, node.shape(0), 1)
    return node.extents_value([count], [])


def _elementwise(function: Callable[[Any, Any], Any]) -> Callable[[Node], Value]:
    def convert(node: Node) -> Value:
        operands = _operands(node)
        if operands is None:
            return None
        arrays = reduce(np.frompyfunc(function, 2, 1), operands)
        return as_value(np.asarray(arrays, object))

    return convert


def _divided(a: Any, b: Any) -> Any:
    return a // b if isinstance(a, int) and isinstance(b, int) else tirx.floordiv(a, b)


def _remainder(a: Any, b: Any) -> Any:
    return a % b if isinstance(a, int) and isinstance(b, int) else tirx.floormod(a, b)


def _equal(node: Node) -> Value:
    """Extents are equal where their difference is 0; the batch itself is no number."""
    operands = _operands(node)
    if operands is None:
        return None
    same = np.frompyfunc(lambda a, b: simplified(a - b) == 0, 2, 1)
    return Known(np.asarray(same(*operands)).astype(bool))


def _where(node: Node) -> Value:
    condition = node.known(0)
    operands = _operands(node)
    if operands is None or condition is None:
        return None
    return as_value(np.where(condition.astype(bool), operands[1], operands[2]))


def _moved(function: Callable[[Node, list[Objects]], Objects]) -> Callable[[Node], Value]:
    def convert(node: Node) -> Value:
        if not node.inputs or not isinstance(node.inputs[0], Extents):
            return None
        operands = _operands(node)
        return None if operands is None else as_value(np.asarray(function(node, operands), object))

    return convert


def _gather(node: Node, operands: list[Objects]) -> Objects:
    return np.take(operands[0], operands[1].astype(np.int64), axis=node.integer("axis", 0))


def _slice(node: Node, operands: list[Objects]) -> Objects:
    parts = [node.parameter(n, p) for p, n in enumerate(("starts", "ends", "axes", "steps"), 1)]
    starts, ends, axes, steps = parts
    if starts is None or ends is None:
        node.refuse("it has no starts and ends")
    where = [slice(None)] * operands[0].ndim
    for place, (start, end) in enumerate(zip(starts, ends, strict=True)):
        step = steps[place] if steps else 1
        axis = axes[place] if axes else place
        where[axis] = slice(start, None if step < 0 and end < -(2**31) else end, step)
    return operands[0][tuple(where)]


def _concat(node: Node) -> Value:
    operands = _operands(node)
    if operands is None:
        return None
    return as_value(np.concatenate(operands, axis=node.integer("axis", 0)))


def _squeeze(node: Node, operands: list[Objects]) -> Objects:
    axes = node.parameter("axes", 1)
    return np.squeeze(operands[0], None if axes is None else tuple(axes))


def _unsqueeze(node: Node, operands: list[Objects]) -> Objects:
    return np.expand_dims(operands[0], tuple(node.parameter("axes", 1) or ()))


def _reshape(node: Node, operands: list[Objects]) -> Objects:
    return operands[0].reshape([int(extent) for extent in operands[1]])


def _expand(node: Node, operands: list[Objects]) -> Objects:
    wanted = tuple(int(extent) for extent in operands[1])
    return np.broadcast_to(operands[0], np.broadcast_shapes(operands[0].shape, wanted))


def _product(node: Node, operands: list[Objects]) -> Objects:
    axes = node.parameter("axes", 1)
    keep = bool(node.integer("keepdims", 1))
    return np.prod(operands[0], axis=None if axes is None else tuple(axes), keepdims=keep)


def _cast(node: Node) -> Value:
    integers = element_type(node.integer("to", 7)) in ("int64", "int32")
    return node.inputs[0] if integers and isinstance(node.inputs[0], Extents) else None


def _identity(node: Node) -> Value:
    return node.inputs[0] if isinstance(node.inputs[0], Extents) else None


EXTENT_OPERATORS: dict[str, Callable[[Node], Value]] = {
    "Add": _elementwise(lambda a, b: a + b),
    "Cast": _cast,
    "Concat": _concat,
    "Div": _elementwise(_divided),
    "Equal": _equal,
    "Expand": _moved(_expand),
    "Gather": _moved(_gather),
    "Identity": _identity,
    "Max": _elementwise(lambda a, b: max(a, b) if isinstance(a, int) else tirx.max(a, b)),
    "Min": _elementwise(lambda a, b: min(a, b) if isinstance(a, int) else tirx.min(a, b)),
    "Mod": _elementwise(_remainder),
    "Mul": _elementwise(lambda a, b: a * b),
    "ReduceProd": _moved(_product),
    "Reshape": _moved(_reshape),
    "Shape": _shape,
    "Size": _size,
    "Slice": _moved(_slice),
    "Squeeze": _moved(_squeeze),
    "Sub": _elementwise(lambda a, b: a - b),
    "Unsqueeze": _moved(_unsqueeze),
    "Where": _where,
}
