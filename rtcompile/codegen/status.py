"""Emit a report into the status words, which `runtime/status_plan.py` describes."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from runtime.status_plan import Status

__all__ = ["number_bits", "report"]


def report(status: Any, code: Any, number: Any, given: Any, row: Any) -> None:
    """Emit the stores, where nothing was reported before. `code`: of `status_plan.Code`."""
    first = tirx.const(code, "int64") if isinstance(code, int) else code
    with T.If(status[Status.CODE] == 0), T.Then():
        T.buffer_store(status, first, [Status.CODE])
        T.buffer_store(status, number, [Status.NUMBER])
        T.buffer_store(status, given, [Status.GIVEN])
        T.buffer_store(status, row, [Status.ROW])


def number_bits(value: Any) -> Any:
    """A float as a report gives it: the bits of a float64."""
    return T.reinterpret("int64", tirx.Cast("float64", value))
