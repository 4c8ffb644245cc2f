"""Small pieces of TIR that the feature kernels share."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit import llvm_helpers as wrapping

__all__ = [
    "Cell",
    "add",
    "f64",
    "i64",
    "load_word",
    "low_bytes",
    "multiply",
    "subtract",
    "u64",
]

_MASK = (1 << 64) - 1


def i64(value: int) -> Any:
    """A constant."""
    return tirx.const(value, "int64")


def f64(value: float) -> Any:
    """A constant."""
    return tirx.const(value, "float64")


def u64(value: int) -> Any:
    """A constant, modulo 2**64. TVM's own stop at 2**63: above, the bits of a negative int64."""
    value &= _MASK
    if value < 1 << 63:
        return tirx.const(value, "uint64")
    return T.reinterpret("uint64", tirx.const(value - (1 << 64), "int64"))


def add(a: Any, b: Any) -> Any:
    """a + b modulo 2**64; see `codegen/wrapping.py` for why `+` is not that."""
    return T.call_pure_extern("uint64", wrapping.ADD, a, b)


def subtract(a: Any, b: Any) -> Any:
    """a - b modulo 2**64."""
    return T.call_pure_extern("uint64", wrapping.SUBTRACT, a, b)


def multiply(a: Any, b: Any) -> Any:
    """a * b modulo 2**64."""
    return T.call_pure_extern("uint64", wrapping.MULTIPLY, a, b)


def load_word(buffer: Any, at: Any) -> Any:
    """Eight bytes at any address as a little-endian word. The buffer is padded by as many."""
    lanes = tirx.BufferLoad(buffer, [tirx.Ramp(at, i64(1), 8)])
    return T.reinterpret("uint64", lanes)


def low_bytes(count: Any) -> Any:
    """A mask of the lowest `count` bytes, 0 < count < 8."""
    return (u64(1) << tirx.Cast("uint64", count * 8)) - u64(1)


class Cell:
    """A mutable scalar of a kernel, which LLVM keeps in a register."""

    def __init__(self, dtype: str, value: Any = None) -> None:
        self._buffer = T.alloc_buffer((1,), dtype)
        if value is not None:
            self.set(value)

    def set(self, value: Any) -> None:
        """Emit a store."""
        T.buffer_store(self._buffer, value, [0])

    def add(self, value: Any) -> None:
        """Emit an addition."""
        self.set(self.get() + value)

    def get(self) -> Any:
        """The value, read where the expression is used."""
        return self._buffer[0]
