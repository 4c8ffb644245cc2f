"""Calls of functions of Python's, whose addresses `runtime/process/python_objects.py` has.

The functions are LLVM text as those of `llvm_helpers.py`: TVM cannot call what is known by its
address.
"""

from __future__ import annotations

from typing import Any

from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import i64

__all__ = ["CALL_INTO", "PYTHON_LLVM", "call_python"]

_CALL, CALL_INTO = (f"rtc_call_python{more}" for more in ("", "_into"))
_ARGUMENTS = 4  # all are passed: a function leaves those that it does not have

# Functions of Python: of objects and numbers, of an object and where to put a second result.
PYTHON_LLVM = f"""
define i64 @{_CALL}(i64 %f, i64 %a, i64 %b, i64 %c, i64 %d) {{
  %function = inttoptr i64 %f to ptr
  %r = call i64 %function(i64 %a, i64 %b, i64 %c, i64 %d)
  ret i64 %r
}}
define i64 @{CALL_INTO}(i64 %f, i64 %a, ptr %out) {{
  %function = inttoptr i64 %f to ptr
  %r = call i64 %function(i64 %a, ptr %out)
  ret i64 %r
}}
"""


def call_python(function: Any, *arguments: Any) -> Any:
    """Emit a call of a function of objects and numbers, all int64."""
    rest = [i64(0)] * (_ARGUMENTS - len(arguments))
    return T.Bind(T.call_extern("int64", _CALL, function, *arguments, *rest))
