"""What a name of a graph stands for while it is imported.

    Known       an array that the build knows: an initializer, or computed from such
    Extents     a tensor of integers that holds extents, some of them the batch: int64, any shape
    an Expr     a tensor of the Relax function

A `Known` becomes a constant of the function only where an operator reads it as a tensor, once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import tvm
from tvm import relax, sym

from rtcompile.relay_passes.matching import static_int
from rtcompile.runtime.memory.arrays import ALIGNMENT

__all__ = ["Extents", "Known", "Value", "as_value", "extents_of", "simplified"]

_ANALYZER = sym.Analyzer()


@dataclass
class Known:
    """An array; of texts, the dtype is object."""

    array: npt.NDArray[Any]
    _constant: Any = field(default=None, repr=False)

    @property
    def constant(self) -> Any:
        """The array as Relax, the same object each time: equal tables are one."""
        if self._constant is None:
            array = np.ascontiguousarray(self.array).reshape(self.array.shape)
            # A mapped table is not copied; compiled code wants it aligned.
            mapped = isinstance(self.array, np.memmap) and array.ctypes.data % ALIGNMENT == 0
            value = tvm.runtime.from_dlpack(array) if mapped else array
            self._constant = relax.const(value, array.dtype.name)
        return self._constant


@dataclass(frozen=True)
class Extents:
    """`array` has dtype object: ints, and expressions over the batch."""

    array: npt.NDArray[Any]


Value = Any  # Known, Extents or an expression of Relax


def as_value(array: npt.NDArray[Any]) -> Value:
    """An array of ints and expressions: `Known` where no expression is left."""
    plain = np.frompyfunc(simplified, 1, 1)(array) if array.size else array
    found = np.asarray(plain, object).reshape(array.shape)
    if all(isinstance(value, int) for value in found.ravel()):
        return Known(found.astype(np.int64))
    return Extents(found)


def simplified(extent: Any) -> Any:
    """An int where an expression is a number."""
    if isinstance(extent, int | np.integer):
        return int(extent)
    known = static_int(extent)
    if known is not None:
        return known
    reduced = _ANALYZER.simplify(extent)
    known = static_int(reduced)
    return reduced if known is None else known


def extents_of(tensor: Any) -> tuple[Any, ...] | None:
    """Extents of a tensor, ints and expressions; None where they are not known."""
    ty = tensor.ty
    if not isinstance(ty, relax.TensorType) or not isinstance(ty.shape, relax.ShapeExpr):
        return None
    return tuple(simplified(extent) for extent in ty.shape.values)
