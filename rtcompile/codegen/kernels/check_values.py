"""The kernels that check values which data decides, before an operator trusts them.

    wrong = 0
    for i in range(count):
        out[i] = safe(given[i]);  wrong |= not good(given[i])
    if wrong:                                       # seldom: the loop above has no branches
        for i in range(count):
            if not good(given[i]):  status = (code, check, given[i], start + i / factor)

    index     id = given + (given < 0 ? extent : 0);  good: 0 <= id < extent;  safe: id or 0
    number    good: its integer can hold it;  safe: the integer, or 0
    fit       the same of integers
    divisor   good: not 0;  safe: given, or 1 for 0 (and for -1, where it is a unit)

`extent` is that of the index's place of the last axis. The first report of a request stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.pointers import ANY
from rtcompile.codegen.emit.status import number_bits, report
from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.runtime.abi.status import Code, Status

__all__ = ["CheckShape", "check_kernel"]


@dataclass(frozen=True)
class CheckShape:
    """What a kernel is specialised for: `kind` index, plain (negative ones do not wrap), number,
    fit, divisor or unit; `columns`: extents of an index; `result`: the dtype of the output."""

    kind: str
    dtype: str
    result: str
    columns: int = 1

    @property
    def name(self) -> str:
        """Equal shapes share a kernel."""
        return f"check_{self.kind}_{self.dtype}_{self.result}_{self.columns}"


def check_kernel(shape: CheckShape) -> Any:
    """A PrimFunc (given*, out*, status*, rows, start, factor, number, count, extents...).

    `factor`: values a row. `count`: of values that have nothing to do with the rows, else 0.
    """
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(shape.name)
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        pointers = [
            T.arg(name, T.handle(dtype))
            for name, dtype in (("given", shape.dtype), ("out", shape.result), ("s", "int64"))
        ]
        names = ("rows", "start", "factor", "number", "fixed")
        rows, start, factor, number, fixed = (T.arg(name, T.int64()) for name in names)
        extents = [T.arg(f"extent_{column}", T.int64()) for column in range(shape.columns)]
        given = T.decl_buffer((ANY,), shape.dtype, data=pointers[0])
        out = T.decl_buffer((ANY,), shape.result, data=pointers[1])
        status = Struct(Status, T.decl_buffer((Status.WORDS,), "int64", data=pointers[2]))
        count = T.Bind(tirx.Select(fixed > 0, fixed, rows))
        check = _KINDS[shape.kind](shape, extents)
        wrong = Cell("int32", tirx.const(0, "int32"))
        groups = T.Bind(tirx.truncdiv(count, i64(shape.columns)))
        with T.serial(groups) as i:
            for column in range(shape.columns):
                at = i * shape.columns + column
                good, safe, _ = check(given[at], column)
                T.buffer_store(out, safe, [at])
                bad = tirx.Select(good, tirx.const(0, "int32"), tirx.const(1, "int32"))
                wrong.set(tirx.bitwise_or(wrong.get(), bad))
        with T.If(wrong.get() != 0), T.Then(), T.serial(groups) as i:
            for column in range(shape.columns):
                at = i * shape.columns + column
                value = T.Bind(given[at])
                good, _, told = check(value, column)
                with T.If(tirx.Not(good)), T.Then():
                    row = tirx.Select(fixed > 0, i64(-1), start + tirx.truncdiv(at, factor))
                    report(status, _CODES[shape.kind], number, told, row)
    return builder.get()


Checked = tuple[Any, Any, Any]  # whether it is good, the value that does no harm, what is told


class _IndexCheck:
    """Of indices, `wraps` those that count negative ones from the end."""

    def __init__(self, shape: CheckShape, extents: Sequence[Any]) -> None:
        self._shape, self._extents = shape, extents

    def __call__(self, value: Any, column: int) -> Checked:
        given, extent = tirx.Cast("int64", value), self._extents[column]
        if self._shape.dtype.startswith("u"):  # of an int64 that was one, TVM takes the sign away
            good = tirx.Cast("uint64", value) < tirx.Cast("uint64", extent)
            return good, tirx.Select(good, given, i64(0)), given
        row = given
        if self._shape.kind == "index":
            row = tirx.Select(given < 0, given + extent, given)
        good = tirx.And(row >= 0, row < extent)
        return good, tirx.Select(good, row, i64(0)), given


class _NumberCheck:
    """Of floats that an index is computed from."""

    def __init__(self, shape: CheckShape, extents: Sequence[Any]) -> None:
        self._shape = shape

    def __call__(self, value: Any, column: int) -> Checked:
        # Fewer than 32 bits are the last ones of an int32, unsigned 32 bits those of an int64.
        bits = 63 if self._shape.result in ("int64", "uint64", "uint32") else 31
        wide, limit = tirx.Cast("float64", value), tirx.const(float(1 << bits), "float64")
        # TVM negates a comparison as if there were no NaN.
        wide = tirx.Select(tirx.isnan(wide), limit, wide)
        good = tirx.And(wide >= -limit, wide < limit)
        whole = tirx.Cast("int64", tirx.Select(good, wide, tirx.const(0, "float64")))
        return good, tirx.Cast(self._shape.result, whole), number_bits(value)


class _FitCheck:
    """Of integers that an index is computed from in a dtype of fewer."""

    def __init__(self, shape: CheckShape, extents: Sequence[Any]) -> None:
        self._shape = shape

    def __call__(self, value: Any, column: int) -> Checked:
        given, kept = np.iinfo(self._shape.dtype), np.iinfo(self._shape.result)
        good = value <= _integer(min(kept.max, given.max), self._shape.dtype)
        if kept.min > given.min:
            good = tirx.And(good, value >= _integer(kept.min, self._shape.dtype))
        safe = tirx.Select(good, value, tirx.const(0, self._shape.dtype))
        return good, tirx.Cast(self._shape.result, safe), tirx.Cast("int64", value)


def _integer(value: int, dtype: str) -> Any:
    """A constant; TVM takes none above int64's largest."""
    if value > np.iinfo(np.int64).max:
        return T.reinterpret(dtype, tirx.const(value - (1 << 64), "int64"))
    return tirx.const(value, dtype)


class _DivisorCheck:
    """Of integers that are divided by."""

    def __init__(self, shape: CheckShape, extents: Sequence[Any]) -> None:
        self._shape = shape

    def __call__(self, value: Any, column: int) -> Checked:
        one = tirx.const(1, self._shape.dtype)
        good = value != tirx.const(0, self._shape.dtype)
        safe = tirx.Select(good, value, one)
        if self._shape.kind == "unit":
            safe = tirx.Select(value == tirx.const(-1, self._shape.dtype), one, safe)
        return good, safe, i64(0)


_Check = type[_IndexCheck] | type[_NumberCheck] | type[_FitCheck] | type[_DivisorCheck]

_KINDS: dict[str, _Check] = {
    "index": _IndexCheck,
    "plain": _IndexCheck,
    "number": _NumberCheck,
    "fit": _FitCheck,
    "divisor": _DivisorCheck,
    "unit": _DivisorCheck,
}

_CODES = {
    "index": Code.ID_OUT_OF_RANGE,
    "plain": Code.ID_OUT_OF_RANGE,
    "number": Code.NOT_AN_ID,
    "fit": Code.ID_OUT_OF_RANGE,
    "divisor": Code.DIVISION_BY_ZERO,
    "unit": Code.DIVISION_BY_ZERO,
}
