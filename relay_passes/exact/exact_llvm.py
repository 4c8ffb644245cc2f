"""Arithmetic on data as LLVM text, for what TVM's own operators say too little or too much of.

    i64 rtc_add_i64(i64, i64), _sub_, _mul_       modulo 2**64; TVM's operators promise no overflow
    i32 rtc_lt_f32(float, float), _le_, _eq_      0 or 1; TVM turns `not a < b` into `b <= a`
    i32 rtc_cast_i32_f32(float)                   a cast; where the number has no place in the type,
                                                  the type's least value, as the processor has it
    i64 rtc_shl_i64(i64, i64), _shr_              0 where all bits are shifted out (-1 of negatives)

TVM's simplifier takes these for calls that it knows nothing of. LLVM inlines them before it
optimizes, so that loops are vectorised as if the operators stood there.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["exact_llvm", "exact_name"]

_ARITHMETIC = {"add": "add", "sub": "sub", "mul": "mul"}
_COMPARISONS = {"lt": "olt", "le": "ole", "eq": "oeq"}


def exact_llvm(names: Iterable[str]) -> frozenset[str]:
    """The texts that define functions, by their names."""
    return frozenset(map(_definition, names))


def exact_name(operator: str, dtype: str, source: str = "") -> str:
    """The name of an operator's function over `dtype`; of a cast from `source` to it."""
    parts = (operator, dtype, source) if source else (operator, dtype)
    short = [part.replace("uint", "u").replace("int", "i").replace("float", "f") for part in parts]
    return "_".join(("rtc", *short))


def _definition(name: str) -> str:
    _, operator, *types = name.split("_")
    first = types[0]
    if operator in _COMPARISONS:
        return _comparison(name, operator, _llvm_type(first))
    if operator == "cast":
        return _cast(name, first, types[1])
    if operator in ("shl", "shr"):
        return _shift(name, operator, first)
    kind = _llvm_type(first)
    return (
        f"define {kind} @{name}({kind} %a, {kind} %b) {{\n"
        f"  %r = {_ARITHMETIC[operator]} {kind} %a, %b\n  ret {kind} %r\n}}\n"
    )


def _llvm_type(short: str) -> str:
    return {"f32": "float", "f64": "double"}.get(short, short.replace("u", "i"))


def _comparison(name: str, operator: str, kind: str) -> str:
    return f"""
define i32 @{name}({kind} %a, {kind} %b) {{
  %truth = fcmp {_COMPARISONS[operator]} {kind} %a, %b
  %r = zext i1 %truth to i32
  ret i32 %r
}}
"""


def _cast(name: str, target: str, source: str) -> str:
    """By way of 32 bits signed, or 64: narrower types take the lower bits of that, as C does."""
    kind, bits = _llvm_type(source), int(target.lstrip("ui"))
    if target == "u64":
        return _cast_to_unsigned(name, kind)
    way = 32 if target in ("i8", "i16", "i32", "u8", "u16") else 64
    bound = float(2 ** (way - 1))
    narrow = f"trunc i{way} %whole to i{bits}" if bits < way else f"add i{way} %whole, 0"
    return f"""
define i{bits} @{name}({kind} %x) {{
  %low = fcmp oge {kind} %x, {-bound:.1f}
  %high = fcmp olt {kind} %x, {bound:.1f}
  %fits = and i1 %low, %high
  %any = fptosi {kind} %x to i{way}
  %number = freeze i{way} %any
  %whole = select i1 %fits, i{way} %number, i{way} {-(2 ** (way - 1))}
  %r = {narrow}
  ret i{bits} %r
}}
"""


def _cast_to_unsigned(name: str, kind: str) -> str:
    """Numbers below 2**63 as signed ones, larger ones without their top bit; 2**63 for others."""
    half = float(2**63)
    return f"""
define i64 @{name}({kind} %x) {{
  %large = fcmp oge {kind} %x, {half:.1f}
  %rest = fsub {kind} %x, {half:.1f}
  %part = select i1 %large, {kind} %rest, {kind} %x
  %low = fcmp oge {kind} %part, {-half:.1f}
  %high = fcmp olt {kind} %part, {half:.1f}
  %fits = and i1 %low, %high
  %any = fptosi {kind} %part to i64
  %number = freeze i64 %any
  %top = select i1 %large, i64 {-(2**63)}, i64 0
  %sum = xor i64 %number, %top
  %r = select i1 %fits, i64 %sum, i64 {-(2**63)}
  ret i64 %r
}}
"""


def _shift(name: str, operator: str, short: str) -> str:
    kind, bits = _llvm_type(short), int(short.lstrip("ui"))
    signed = not short.startswith("u")
    instruction = "shl" if operator == "shl" else "ashr" if signed else "lshr"
    beyond = "0" if operator == "shl" or not signed else "%sign"
    sign = f"  %sign = ashr {kind} %a, {bits - 1}\n" if beyond == "%sign" else ""
    return f"""
define {kind} @{name}({kind} %a, {kind} %b) {{
  %inside = icmp ult {kind} %b, {bits}
  %count = select i1 %inside, {kind} %b, {kind} 0
  %some = {instruction} {kind} %a, %count
{sign}  %r = select i1 %inside, {kind} %some, {kind} {beyond}
  ret {kind} %r
}}
"""
