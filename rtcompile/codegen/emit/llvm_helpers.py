"""What TVM's code generator cannot say: arithmetic modulo 2**64, and calls through a pointer.

TVM marks every addition, subtraction and product of 32 bits and more as free of overflow (`nuw`,
`nsw`), and LLVM then rewrites hashes into something else. These functions come in as LLVM text,
which the code generator links and always inlines; no symbol of theirs is left. A call of a function
that is known by its address, as custom operators are, comes in the same way; so does printf, whose
argument list has no end, the mask of a comparison of vectors, a number's digits, where a pointer
points to, and a barrier.

TVM also marks each load and store with the buffer that it is of, as if no two shared memory. Where
a function reads what functions that it called have written, a barrier keeps LLVM from reading
early; it costs no instruction.
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import tirx

__all__ = [
    "ADD",
    "ADDRESS",
    "BARRIER",
    "CALL_OPERATOR",
    "DROP_EIGHT",
    "EIGHT_DIGITS",
    "FIND_BYTE",
    "FIND_EITHER",
    "LAST_EIGHT",
    "MULTIPLY",
    "PRINT_NUMBER",
    "SUBTRACT",
    "with_wrapping",
]

ADD, SUBTRACT, MULTIPLY = "rtc_add64", "rtc_sub64", "rtc_mul64"

CALL_OPERATOR = "rtc_call_operator"

_CALL = f"""
define i64 @{CALL_OPERATOR}(i64 %f, ptr %inputs, i64 %n, ptr %parameters, ptr %out, i64 %size) {{
  %function = inttoptr i64 %f to ptr
  %r = call i64 %function(ptr %inputs, i64 %n, ptr %parameters, ptr %out, i64 %size)
  ret i64 %r
}}
"""
PRINT_NUMBER = "rtc_print_number"

_PRINT = f"""
@rtc_format = private constant [5 x i8] c"%.*g\\00"
declare i32 @snprintf(ptr, i64, ptr, ...)
define i64 @{PRINT_NUMBER}(double %x, i32 %digits, ptr %out) {{
  %r = call i32 (ptr, i64, ptr, ...)
       @snprintf(ptr %out, i64 32, ptr @rtc_format, i32 %digits, double %x)
  %size = sext i32 %r to i64
  ret i64 %size
}}
"""
# (sixteen bytes, byte) -> the place of the first such byte, or 16.
FIND_BYTE = "rtc_find_byte"

_FIND = f"""
declare i64 @llvm.cttz.i64(i64, i1)
define i64 @{FIND_BYTE}(<16 x i8> %bytes, i8 %byte) {{
  %one = insertelement <16 x i8> poison, i8 %byte, i64 0
  %all = shufflevector <16 x i8> %one, <16 x i8> poison, <16 x i32> zeroinitializer
  %same = icmp eq <16 x i8> %bytes, %all
  %mask = bitcast <16 x i1> %same to i16
  %wide = zext i16 %mask to i64
  %stop = or i64 %wide, 65536
  %place = call i64 @llvm.cttz.i64(i64 %stop, i1 true)
  ret i64 %place
}}
"""
# (sixteen bytes, byte, other byte) -> the place of the first that is one of them, or 16.
FIND_EITHER = "rtc_find_either"

_EITHER = f"""
define i64 @{FIND_EITHER}(<16 x i8> %bytes, i8 %byte, i8 %other) {{
  %one = insertelement <16 x i8> poison, i8 %byte, i64 0
  %all = shufflevector <16 x i8> %one, <16 x i8> poison, <16 x i32> zeroinitializer
  %two = insertelement <16 x i8> poison, i8 %other, i64 0
  %both = shufflevector <16 x i8> %two, <16 x i8> poison, <16 x i32> zeroinitializer
  %first = icmp eq <16 x i8> %bytes, %all
  %second = icmp eq <16 x i8> %bytes, %both
  %same = or <16 x i1> %first, %second
  %mask = bitcast <16 x i1> %same to i16
  %wide = zext i16 %mask to i64
  %stop = or i64 %wide, 65536
  %place = call i64 @llvm.cttz.i64(i64 %stop, i1 true)
  ret i64 %place
}}
"""
# A number below 10**8 -> its eight digits, a byte each, the first one lowest. Divided by 10**4, by
# 100 and by 10: two halves, four and eight of them at once, by products that are exact for so few
# digits. And a number without its last eight digits, and these alone. TVM takes seconds to look for
# simpler forms of divisions.
EIGHT_DIGITS, DROP_EIGHT, LAST_EIGHT = "rtc_eight_digits", "rtc_drop_eight", "rtc_last_eight"

_PARTS = "".join(
    f"define i64 @{name}(i64 %a) {{\n  %r = {instruction} i64 %a, 100000000\n  ret i64 %r\n}}\n"
    for name, instruction in ((DROP_EIGHT, "udiv"), (LAST_EIGHT, "urem"))
)
_DIGITS = f"""
define i64 @{EIGHT_DIGITS}(i64 %value) {{
  %half = udiv i64 %value, 10000
  %more = urem i64 %value, 10000
  %high = shl i64 %more, 32
  %halves = or i64 %half, %high
  %a = mul i64 %halves, 10486
  %b = lshr i64 %a, 20
  %first = and i64 %b, {0x0000_007F_0000_007F}
  %c = mul i64 %first, 100
  %d = sub i64 %halves, %c
  %e = shl i64 %d, 16
  %pairs = or i64 %first, %e
  %f = mul i64 %pairs, 103
  %g = lshr i64 %f, 10
  %tens = and i64 %g, {0x000F_000F_000F_000F}
  %h = mul i64 %tens, 10
  %i = sub i64 %pairs, %h
  %j = shl i64 %i, 8
  %r = or i64 %tens, %j
  ret i64 %r
}}
"""
ADDRESS = "rtc_address"  # of a pointer

_ADDRESS = f"""
define i64 @{ADDRESS}(ptr %pointer) {{
  %r = ptrtoint ptr %pointer to i64
  ret i64 %r
}}
"""
# Memory is written before it, and read after it.
BARRIER = "rtc_barrier"

_BARRIER = f"""
define void @{BARRIER}() {{
  call void asm sideeffect "", "~{{memory}}"()
  ret void
}}
"""
_ARITHMETIC = "".join(
    f"define i64 @{name}(i64 %a, i64 %b) {{\n  %r = {instruction} i64 %a, %b\n  ret i64 %r\n}}\n"
    for name, instruction in ((ADD, "add"), (SUBTRACT, "sub"), (MULTIPLY, "mul"))
)
_LLVM = _CALL + _PRINT + _FIND + _EITHER + _PARTS + _DIGITS + _ADDRESS + _BARRIER + _ARITHMETIC


def with_wrapping(function: Any, more: str = "") -> Any:
    """`function`, which brings the definitions into its module. One function a module does.

    `more`: the text of definitions that only some modules have.
    """
    text = tvm.ir.StringImm(_LLVM + more)
    body = tirx.AttrStmt(tirx.const(0, "int32"), "pragma_import_llvm", text, function.body)
    return function.with_body(body)
