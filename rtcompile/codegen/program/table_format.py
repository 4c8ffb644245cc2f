"""How a row of an embedding table lies in memory, and how kernels read it as float32.

    dtype   a row of d columns                                  bytes at d = 16, 64
    fp32    d float32                                           64, 256
    fp16    d IEEE halves                                       32, 128
    bf16    the upper halves of d float32                       32, 128
    int8    scale, zero, d codes: a byte each                   18, 66
    int4    scale, zero, ceil(d / 2) bytes of two codes         10, 34

Columns 0 .. h - 1 of an int4 row, h = ceil(d / 2), are the low halves of its bytes, the others the
high halves, so that each half of a row decodes as one vector. In int8 and int4

    value = s (code - zero),    s = float of the bits  (first + scale) << 20

s has three bits of mantissa, and the 256 scales of a table reach over 32 octaves; `first` is the
table's own, an int32 in the 64 bytes in front of its rows. A row has scale and offset in two bytes
in front of its codes: one cache line brings both. s (code - zero) is exact in float32; 0 stays 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.pointers import ANY, LINE, prefetch_row

__all__ = ["DTYPES", "HEADER_BYTES", "ROW_HEAD", "SCALE_SHIFT", "TableFormat", "TableReader"]

DTYPES = ("fp32", "fp16", "bf16", "int8", "int4")

# Bytes in front of the first row of an int8 or int4 table: rows stay aligned as the block is.
HEADER_BYTES = 64

# Bytes of a row in front of its codes.
ROW_HEAD = 2

# float32 has 23 bits of mantissa; a scale keeps the first three.
SCALE_SHIFT = 20

_STORAGE = {
    "fp32": "float32",
    "fp16": "float16",
    "bf16": "uint16",
    "int8": "uint8",
    "int4": "uint8",
}
_BYTES = {"float32": 4, "float16": 2, "uint16": 2, "uint8": 1}

Take = Callable[[Any, Any], None]


@dataclass(frozen=True)
class TableFormat:
    """The rows of a table: `dtype`, one of DTYPES, and `dimension` columns."""

    dtype: str
    dimension: int

    @property
    def storage(self) -> str:
        """Element type of the memory."""
        return _STORAGE[self.dtype]

    @property
    def coded(self) -> bool:
        """Whether rows have a scale and a zero."""
        return self.dtype in ("int8", "int4")

    @property
    def code_bytes(self) -> int:
        """Bytes of the codes of a row of int8 or int4."""
        return self.dimension if self.dtype == "int8" else (self.dimension + 1) // 2

    @property
    def row_elements(self) -> int:
        """Elements of `storage` a row."""
        return ROW_HEAD + self.code_bytes if self.coded else self.dimension

    @property
    def row_bytes(self) -> int:
        """Bytes from a row to the next."""
        return self.row_elements * _BYTES[self.storage]

    @property
    def fetched_ahead(self) -> bool:
        """Whether it pays to fetch rows before they are read.

        A row of one aligned line is one load, and the CPU runs far enough ahead of the first that
        misses. Decoding, and rows of many lines, fill its queues before.
        """
        return self.coded or self.row_bytes > LINE

    @property
    def header_bytes(self) -> int:
        """Bytes in front of the first row."""
        return HEADER_BYTES if self.coded else 0


class TableReader:
    """Emits reads of the rows of a table. `pointer`: a kernel's argument of `shape.storage`.

    Made outside the loops: what holds for the whole table is read there.
    """

    def __init__(self, shape: TableFormat, pointer: Any) -> None:
        self._format = shape
        self._elements = T.decl_buffer((ANY,), shape.storage, data=pointer)
        if shape.coded:
            head = tirx.BufferLoad(self._elements, [tirx.Ramp(_i64(0), _i64(1), 4)])
            self._first = T.Bind(T.reinterpret("int32", head))

    def columns(self, row: Any, take: Take) -> None:
        """Emit `take(j, value)` for the columns j of a row, float32, in vectors.

        `row`: an int64 expression within the table.
        """
        if self._format.coded:
            self._codes(row, take)
            return
        first = row * self._format.dimension
        with T.vectorized(self._format.dimension) as j:
            take(j, self._number(self._elements[first + j]))

    def prefetch(self, row: Any) -> None:
        """Emit fetches of the cache lines of a row; nothing waits for them."""
        shape = self._format
        first = T.Bind(row * shape.row_elements + shape.header_bytes)
        prefetch_row(self._elements, first, shape.row_elements, _BYTES[shape.storage])

    def _number(self, element: Any) -> Any:
        if self._format.dtype == "bf16":
            upper = tirx.shift_left(tirx.Cast("uint32", element), tirx.const(16, "uint32"))
            return tirx.reinterpret("float32", upper)
        return element if self._format.dtype == "fp32" else tirx.Cast("float32", element)

    def _codes(self, row: Any, take: Take) -> None:
        shape = self._format
        at = T.Bind(row * shape.row_elements + HEADER_BYTES)
        exponent = tirx.Cast("int32", self._elements[at]) + self._first
        bits = tirx.shift_left(exponent, tirx.const(SCALE_SHIFT, "int32"))
        scale = T.Bind(tirx.reinterpret("float32", bits))
        zero = T.Bind(tirx.Cast("int32", self._elements[at + 1]))

        def value(code: Any) -> Any:
            return tirx.Cast("float32", tirx.Cast("int32", code) - zero) * scale

        if shape.dtype == "int8":
            with T.vectorized(shape.dimension) as j:
                take(j, value(self._elements[at + ROW_HEAD + j]))
            return
        half, mask, four = shape.code_bytes, tirx.const(15, "uint8"), tirx.const(4, "uint8")
        with T.vectorized(half) as j:
            take(j, value(tirx.bitwise_and(self._elements[at + ROW_HEAD + j], mask)))
        if shape.dimension > half:
            with T.vectorized(shape.dimension - half) as j:
                high = tirx.shift_right(self._elements[at + ROW_HEAD + j], four)
                take(j + half, value(high))


def _i64(value: int) -> Any:
    return tirx.const(value, "int64")
