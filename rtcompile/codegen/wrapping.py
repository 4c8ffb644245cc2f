"""Arithmetic modulo 2**64, which hashing needs and TVM's own operators do not give.

TVM marks every addition, subtraction and product of 32 bits and more as free of overflow (`nuw`,
`nsw`), and LLVM then rewrites hashes into something else. These three functions come in as LLVM
text, which the code generator links and always inlines; no symbol of theirs is left.
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import tirx

__all__ = ["ADD", "MULTIPLY", "SUBTRACT", "with_wrapping"]

ADD, SUBTRACT, MULTIPLY = "rtc_add64", "rtc_sub64", "rtc_mul64"

_LLVM = "".join(
    f"define i64 @{name}(i64 %a, i64 %b) {{\n  %r = {instruction} i64 %a, %b\n  ret i64 %r\n}}\n"
    for name, instruction in ((ADD, "add"), (SUBTRACT, "sub"), (MULTIPLY, "mul"))
)


def with_wrapping(function: Any) -> Any:
    """`function`, which brings the definitions into its module. One function a module does."""
    text = tvm.ir.StringImm(_LLVM)
    body = tirx.AttrStmt(tirx.const(0, "int32"), "pragma_import_llvm", text, function.body)
    return function.with_body(body)
