"""Integers that a graph computes from constants and extents: what shape arithmetic comes to.

    take(shape_to_tensor(shape_of(x)), 1), x [n, 26]     ->   [26]
    strided_slice(shape_to_tensor(shape_of(x)), 0, 2)    ->   [None, 26]

None stands for an extent that is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from rtcompile.relay_passes.matching import (
    call_name,
    constant_array,
    integers,
    shape_of,
    static_int,
)

__all__ = ["static_values"]


def static_values(expression: Any, bound: Mapping[Any, Any]) -> npt.NDArray[Any] | None:
    """The value of an integer tensor, as an array of ints and None; None where it is not static.

    `bound`: what variables are bound to.
    """
    array = constant_array(expression)
    if array is not None:
        return array.astype(object) if array.dtype.kind in "iu" else None
    value: Any = bound.get(expression, expression)
    name = call_name(value)
    if name == "relax.shape_to_tensor":
        return _extents(value.args[0], bound)
    if name not in ("relax.astype", "relax.take", "relax.strided_slice"):
        return None
    source = static_values(value.args[0], bound)
    if source is None or name == "relax.astype":
        return source
    return _taken(source, value) if name == "relax.take" else _sliced(source, value)


def _extents(shape: Any, bound: Mapping[Any, Any]) -> npt.NDArray[Any] | None:
    made: Any = bound.get(shape, shape)
    if call_name(made) == "relax.shape_of":
        extents = shape_of(made.args[0])
    elif isinstance(made, relax.ShapeExpr):
        extents = tuple(made.values)
    else:
        return None
    return None if extents is None else np.array([static_int(e) for e in extents], object)


def _taken(source: npt.NDArray[Any], value: Any) -> npt.NDArray[Any] | None:
    places = constant_array(value.args[1])
    inside = places is not None and (np.abs(places.astype(np.int64)) < source.size).all()
    return np.asarray(source[places], object) if inside and source.ndim == 1 else None


def _sliced(source: npt.NDArray[Any], value: Any) -> npt.NDArray[Any] | None:
    bounds = [integers(argument) for argument in value.args[2:4]]
    if source.ndim != 1 or len(value.args) > 4 or any(b is None or len(b) != 1 for b in bounds):
        return None
    begin, end = (b[0] for b in bounds if b is not None)
    return source[begin:end]
