"""Functions that other compiled functions call, from whichever object file of the library.

An internal function has C's calling convention and a symbol; the linker makes the symbol local. So
the functions of a library can be compiled side by side, and one that is compiled already is used
again.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit import llvm_helpers as wrapping
from rtcompile.codegen.emit.structs import struct_at
from rtcompile.runtime.abi.layout import Field

__all__ = [
    "address_llvm",
    "addresses_function",
    "as_internal",
    "call_internal",
    "call_with_barriers",
    "symbol_of",
]

# tvm.ir's CallingConv: TVM wraps functions of this one in nothing. A CPU calls them as any other.
_PLAIN = 2


def symbol_of(name: str) -> str:
    """The symbol of a function, whose name may be any text."""
    return f"rtc_internal_{hashlib.sha256(name.encode()).hexdigest()[:24]}"


def as_internal(name: str, function: Any) -> Any:
    """The private PrimFunc `function` under its symbol."""
    return function.with_attr("global_symbol", symbol_of(name)).with_attr("calling_conv", _PLAIN)


def call_internal(name: str, arguments: Sequence[Any]) -> None:
    """Emit a call."""
    T.evaluate(T.call_extern("void", symbol_of(name), *arguments))


def call_with_barriers(name: str, arguments: Sequence[Any]) -> None:
    """Emit a call that reads and writes behind addresses."""
    T.evaluate(T.call_extern("void", wrapping.BARRIER))
    call_internal(name, arguments)
    T.evaluate(T.call_extern("void", wrapping.BARRIER))


def address_llvm(symbol: str) -> str:
    """The text of what `addresses_function` calls for a symbol."""
    return f"""
declare void @{symbol}()
define i64 @{_address_of(symbol)}() {{
  ret i64 ptrtoint (ptr @{symbol} to i64)
}}
"""


def addresses_function(name: str, symbols: Mapping[Field, str]) -> Any:
    """The public PrimFunc `name(out)`: it writes the address of each symbol into a field of the
    struct at `out`."""
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name(name)
        T.func_attr({"global_symbol": name, "tirx.is_scheduled": True, "s_tir": True})
        (layout,) = {field.layout for field in symbols}
        out = struct_at(layout, T.arg("out", T.int64()))
        for field, symbol in symbols.items():
            out[field] = T.call_extern("int64", _address_of(symbol))
    return builder.get()


def _address_of(symbol: str) -> str:
    return f"rtc_address_of_{symbol}"
