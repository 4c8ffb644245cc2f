"""Pointers from addresses: how a kernel reaches what a table of int64 says, and fetches ahead."""

from __future__ import annotations

from typing import Any

import tvm
from tvm import tirx
from tvm.tirx.script.builder import ir as T

__all__ = ["ANY", "LINE", "pointer_to", "prefetch", "prefetch_row", "values_at"]

LINE = 64  # bytes of a cache line

# Elements of an array whose size a function is not told.
ANY = 1 << 40


def pointer_to(address: Any, dtype: str = "uint8") -> Any:
    """`address`, an int64 or another pointer, as a pointer to values of `dtype`."""
    reinterpret = tvm.ir.Op.get("tirx.reinterpret")
    pointer_type = tvm.ir.PointerType(tvm.ir.PrimType(dtype))
    return T.Bind(tvm.ir.Call(reinterpret, [address], ret_ty=pointer_type))


def values_at(address: Any, dtype: str) -> Any:
    """A buffer of any count of values of `dtype` that begins at `address`."""
    return T.decl_buffer((ANY,), dtype, data=pointer_to(address, dtype))


def prefetch_row(
    buffer: Any, first: Any, elements: int, element_bytes: int, most: int | None = None
) -> None:
    """Emit fetches of the cache lines of `elements` from the one at `first` on; `most` of them.

    A row that may begin inside of a line has its last element fetched too: it may lie in another.
    """
    ahead = list(range(0, elements, LINE // element_bytes))
    if elements * element_bytes % LINE:
        ahead.append(elements - 1)
    for at in ahead[:most]:
        prefetch(buffer, first + at)


def prefetch(buffer: Any, at: Any, nearness: int = 3) -> None:
    """Emit the fetch of the cache line of an element; nothing waits for it.

    `nearness`: llvm.prefetch's locality, 3 of the nearest cache, 2 of the second nearest.
    """
    address = T.address_of(buffer[at])
    how = [tirx.const(value, "int32") for value in (0, nearness, 1)]  # to read, data
    T.evaluate(T.call_llvm_intrin("void", "llvm.prefetch", address, *how))
