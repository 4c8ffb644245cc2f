"""Take a tensor apart along an axis that a concatenation joined it on.

concat((a, b), axis)              ->   [a, b]
multiply(concat((a, b)), itself)  ->   [multiply(a, a), multiply(b, b)], and any other
                                       element-wise operator of one such tensor
reshape(concat((a, b), 1), (n, fields, d)) along axis 1, where each part is whole fields
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from tvm import relax

from rtcompile.relay_passes.matching import call_name, shape_of

__all__ = ["Piece", "pieces"]

_UNARY = ("relax.square", "relax.negative", "relax.nn.relu", "relax.sigmoid", "relax.tanh")
_BINARY = ("relax.multiply", "relax.power")


class Piece:
    """A part: the variables behind it, and how to make it with a block builder."""

    def __init__(self, sources: list[Any], emit: Any, shape: tuple[Any, ...]) -> None:
        self.sources, self.emit, self.shape = sources, emit, shape


def pieces(expression: Any, axis: int, bound: Mapping[Any, Any]) -> list[Piece] | None:
    """The parts of `expression` along `axis`, in order; None where it is no concatenation."""
    value: Any = bound.get(expression)
    name = call_name(value)
    if name == "relax.concat":
        return _of_concat(value, axis, bound)
    if name in _UNARY:
        return _mapped(value, (value.args[0],), axis, bound)
    if name in _BINARY:
        left, right = value.args
        if right.same_as(left):
            return _mapped(value, (left,), axis, bound)
        if _is_scalar(right):
            return _mapped(value, (left,), axis, bound)
    if name == "relax.reshape":
        return _of_reshape(value, axis, bound)
    return None


def _is_scalar(expression: Any) -> bool:
    shape = shape_of(expression)
    constant = not isinstance(expression, relax.Var)
    return constant and shape is not None and math.prod(shape) == 1


def _of_concat(value: Any, axis: int, bound: Mapping[Any, Any]) -> list[Piece] | None:
    parts = bound.get(value.args[0], value.args[0])
    shape = shape_of(value)
    if not isinstance(parts, relax.Tuple) or shape is None:
        return None
    if int(value.attrs.axis) % len(shape) != axis:
        return None
    found: list[Piece] = []
    for part in parts.fields:
        inner = pieces(part, axis, bound) if isinstance(part, relax.Var) else None
        extents = shape_of(part)
        if extents is None:
            return None
        whole = Piece([part], lambda emit, part=part: part, extents)
        found += inner or [whole]
    return found


def _mapped(
    value: Any, operands: tuple[Any, ...], axis: int, bound: Mapping[Any, Any]
) -> list[Piece] | None:
    """An element-wise operator of one tensor, applied to each of its parts."""
    inner = pieces(operands[0], axis, bound)
    if inner is None:
        return None

    def emit_of(piece: Piece) -> Any:
        def emit(builder: Any) -> Any:
            part = piece.emit(builder)
            args = [part if a.same_as(operands[0]) else a for a in value.args]
            return builder(relax.Call(value.op, args, value.attrs))

        return emit

    return [Piece(piece.sources, emit_of(piece), piece.shape) for piece in inner]


def _of_reshape(value: Any, axis: int, bound: Mapping[Any, Any]) -> list[Piece] | None:
    """[n, fields * d] seen as [n, fields, d], along the fields."""
    target, source = shape_of(value), shape_of(value.args[0])
    if target is None or source is None or len(target) != 3 or len(source) != 2 or axis != 1:
        return None
    if str(target[0]) != str(source[0]):
        return None
    depth = target[2]
    inner = pieces(value.args[0], 1, bound)
    if inner is None or not isinstance(depth, int):
        return None
    if any(not isinstance(p.shape[1], int) or p.shape[1] % depth for p in inner):
        return None

    def emit_of(piece: Piece, fields: int) -> Any:
        def emit(builder: Any) -> Any:
            part = piece.emit(builder)
            return builder(relax.op.reshape(part, relax.ShapeExpr([target[0], fields, depth])))

        return emit

    found = []
    for piece in inner:
        fields = piece.shape[1] // depth
        found.append(Piece(piece.sources, emit_of(piece, fields), (target[0], fields, depth)))
    return found
