"""Emit a report into a status, which `runtime/abi/status.py` describes."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.structs import Struct
from rtcompile.runtime.abi.status import Status

__all__ = ["number_bits", "report"]


def report(status: Struct, code: Any, number: Any, given: Any, row: Any) -> None:
    """Emit the stores, where nothing was reported before. `code`: of `Code`."""
    first = tirx.const(code, "int64") if isinstance(code, int) else code
    with T.If(status[Status.CODE] == 0), T.Then():
        status[Status.CODE] = first
        status[Status.NUMBER] = number
        status[Status.GIVEN] = given
        status[Status.ROW] = row


def number_bits(value: Any) -> Any:
    """A float as a report gives it: the bits of a float64."""
    return T.reinterpret("int64", tirx.Cast("float64", value))
