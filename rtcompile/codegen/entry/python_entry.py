"""Compiled functions that Python calls as functions of its own.

Python calls NAME(self, arguments, count, names) and takes the result from a register: `arguments`
points to addresses of objects, of which `count` are given by their place, and `names`, which may be
0, is a tuple of the names of those that follow. TVM's functions have no results, so some assembler
stands before each:

    NAME(self, arguments, count, names):
        result = 0                                          # on the stack
        NAME_internal(self, arguments, count, names, &result)
        return result

To Python 0 says that an error is pending. The module's function ADDRESSES tells the runtime where
they lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.linkage import address_llvm, symbol_of
from rtcompile.codegen.emit.structs import field_at
from rtcompile.runtime.abi.python_objects import ArrayObject, TupleObject

__all__ = ["ENTRY_ARGUMENTS", "entry_llvm", "entry_symbol", "kept_words"]

# Of an internal function behind an entry, int64.
ENTRY_ARGUMENTS = ("self", "arguments", "count", "names", "result")

_CODE = {
    "x86_64": """
.cfi_startproc
subq $24, %rsp
.cfi_adjust_cfa_offset 24
movq $0, 8(%rsp)
leaq 8(%rsp), %r8
callq INTERNAL
movq 8(%rsp), %rax
addq $24, %rsp
.cfi_adjust_cfa_offset -24
retq
.cfi_endproc
""",
    "aarch64": """
.cfi_startproc
stp x29, x30, [sp, #-32]!
.cfi_def_cfa_offset 32
.cfi_offset x29, -32
.cfi_offset x30, -24
mov x29, sp
str xzr, [sp, #16]
add x4, sp, #16
bl INTERNAL
ldr x0, [sp, #16]
ldp x29, x30, [sp], #32
.cfi_def_cfa_offset 0
.cfi_restore x29
.cfi_restore x30
ret
.cfi_endproc
""",
}


def entry_symbol(name: str) -> str:
    """The symbol of the entry of an internal function."""
    return f"rtc_entry_{name}"


def entry_llvm(names: Sequence[str], machine: str) -> str:
    """The text of the entries of internal functions."""
    return "".join(_entry(name, machine) for name in names)


def kept_words(pair: Any) -> Any:
    """Emit where the values of an array lie that is the first value of a tuple: its address."""
    array = T.Bind(field_at(pair, TupleObject.VALUES))
    return T.Bind(field_at(array, ArrayObject.DATA))


def _entry(name: str, machine: str) -> str:
    symbol = entry_symbol(name)
    lines = (
        ".text",
        ".p2align 4",
        f".globl {symbol}",
        f".hidden {symbol}",
        f".type {symbol}, %function" if machine == "aarch64" else f".type {symbol}, @function",
        f"{symbol}:",
        *_CODE[machine].replace("INTERNAL", symbol_of(name)).split("\n"),
        f".size {symbol}, .-{symbol}",
    )
    code = "".join(f'module asm "{line}"\n' for line in lines if line)
    return code + address_llvm(symbol)
