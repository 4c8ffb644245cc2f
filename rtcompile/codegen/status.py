"""Emit a report into the status words, which `runtime/status_plan.py` describes."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from runtime.status_plan import Status

__all__ = ["report"]


def report(status: Any, code: Any, number: Any, given: Any) -> None:
    """Emit the three stores. `code`: of `status_plan.Code`."""
    first = tirx.const(code, "int64") if isinstance(code, int) else code
    T.buffer_store(status, first, [Status.CODE])
    T.buffer_store(status, number, [Status.NUMBER])
    T.buffer_store(status, given, [Status.GIVEN])
