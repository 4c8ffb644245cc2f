"""The value of an operator on constants by numpy, where it is the kernel's to the bit.

    reshape, expand_dims, squeeze, permute_dims, broadcast_to      moved, not computed
    add, subtract, multiply; divide, sqrt of floats                one rounding, which IEEE 754 sets

A kernel for each of these would be compiled to run once: tens of milliseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from rtcompile.relay_passes.matching import call_name, constant_array, dtype_of, shape_of

__all__ = ["constant_result"]

Array = npt.NDArray[Any]

_DTYPES = {"bool", "float32", "float64", "int32", "int64"}
_ARITHMETIC: dict[str, Callable[..., Array]] = {
    "relax.add": np.add,
    "relax.subtract": np.subtract,
    "relax.multiply": np.multiply,
    "relax.divide": np.divide,
    "relax.sqrt": np.sqrt,
}
_OF_FLOATS = {"relax.divide", "relax.sqrt"}
_RESHAPES = {"relax.reshape", "relax.expand_dims", "relax.squeeze"}


def constant_result(value: Any, known: Mapping[Any, Array]) -> Array | None:
    """The array that a call gives; None where it is not of those above, or reads what is no
    constant.

    `known`: the arrays of variables.
    """
    name, shape = call_name(value), shape_of(value)
    dtype = dtype_of(value) if shape is not None else ""
    if dtype not in _DTYPES or not all(isinstance(extent, int) for extent in shape or ()):
        return None
    compute = _operator(name or "", value, shape, dtype)
    if compute is None:
        return None
    arrays = [_array(argument, known) for argument in value.args if not _is_shape(argument)]
    if not arrays or any(a is None or str(a.dtype) not in _DTYPES for a in arrays):
        return None
    with np.errstate(all="ignore"):
        found = np.asarray(compute(*arrays))
    return found if found.shape == shape and str(found.dtype) == dtype else None


def _operator(name: str, value: Any, shape: Any, dtype: str) -> Callable[..., Array] | None:
    if name in _RESHAPES:
        return lambda x: x.reshape(shape)
    if name == "relax.broadcast_to":
        return lambda x: np.broadcast_to(x, shape)
    if name == "relax.permute_dims":
        axes = value.attrs.axes
        order = None if axes is None else [int(axis) for axis in axes]
        return lambda x: x.transpose(order)
    if name in _OF_FLOATS and not dtype.startswith("float"):
        return None
    return _ARITHMETIC.get(name) if dtype != "bool" else None


def _is_shape(argument: Any) -> bool:
    return isinstance(argument, relax.ShapeExpr)


def _array(argument: Any, known: Mapping[Any, Array]) -> Array | None:
    found = constant_array(argument)
    return known.get(argument) if found is None and isinstance(argument, relax.Var) else found
