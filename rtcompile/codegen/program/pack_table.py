"""Embedding tables to and from the memory that `table_format.py` describes, in numpy.

fp16 and bf16 round to the nearest; infinities and NaN stay what they are, and a finite value that
would become infinite (above 65504 in fp16) is refused. In int8 and int4, with 255 or 15 steps,

    step = (max(row, 0) - min(row, 0)) / steps,   s = step rounded up to three bits of mantissa
    zero = round(-min(row, 0) / s),               code = round(value / s) + zero

so a value moves by s / 2 at most, s being at most 1.125 step; 0 stays 0, a row of zeros stays that.
A row whose step is more than 2**31 times below the table's largest shares the smallest scale of the
table. NaN, infinities and values above 1e38 have no codes: the table is refused.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from rtcompile.codegen.program.table_format import (
    HEADER_BYTES,
    ROW_HEAD,
    SCALE_SHIFT,
    TableFormat,
)
from rtcompile.errors import EmbeddingsError

__all__ = ["pack_table", "unpack_table"]

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

_LARGEST = 1e38
_SCALES = 256
# The smallest float32 that is no denormal.
_LOWEST = int(np.finfo(np.float32).tiny.view(np.int32)) >> SCALE_SHIFT
_CHUNK = 1 << 20  # values at a time


def pack_table(name: str, table: Floats, shape: TableFormat) -> Bytes:
    """uint8 [bytes]: the header, where the format has one, then the rows. EmbeddingsError."""
    if shape.coded:
        return _pack_codes(name, table, shape)
    if shape.dtype == "fp32":
        return np.ascontiguousarray(table, np.float32).reshape(-1).view(np.uint8)
    packed = np.empty((len(table), shape.row_bytes), np.uint8)
    for rows in _chunks(table):
        given = np.ascontiguousarray(table[rows], np.float32)
        with np.errstate(over="ignore"):
            stored = given.astype(np.float16) if shape.dtype == "fp16" else _upper_halves(given)
        packed[rows] = stored.view(np.uint8)
        lost = np.isfinite(given) & ~np.isfinite(_unpack_plain(packed[rows], shape))
        if lost.any():
            _refuse(name, rows.start, given, lost, f"is too large for {shape.dtype}")
    return packed.reshape(-1)


def unpack_table(packed: Bytes, shape: TableFormat) -> Floats:
    """float32 [rows, dimension]: the values that kernels read."""
    rows = packed[shape.header_bytes :].reshape(-1, shape.row_bytes)
    if not shape.coded:
        return _unpack_plain(rows, shape)
    first = int(packed[:4].view("<i4")[0])
    out = np.empty((len(rows), shape.dimension), np.float32)
    for part in _chunks(out):
        scales = _scale(first + rows[part, 0].astype(np.int32))
        codes = _codes_of(rows[part, ROW_HEAD:], shape).astype(np.int32)
        centred = codes - rows[part, 1].astype(np.int32)[:, None]
        out[part] = centred.astype(np.float32) * scales[:, None]
    return out


def _chunks(table: npt.NDArray[np.float32]) -> Iterator[slice]:
    rows = max(_CHUNK // max(table.shape[1], 1), 1)
    return (slice(start, start + rows) for start in range(0, len(table), rows))


def _refuse(name: str, start: int, given: Floats, bad: npt.NDArray[np.bool_], why: str) -> None:
    row, column = (int(at) for at in np.argwhere(bad)[0])
    raise EmbeddingsError(
        f"table {name!r}: {given[row, column]!s} in row {start + row}, column {column}, {why}; "
        "give this table another dtype (--table-dtype NAME=DTYPE)"
    )


# -- halves ---------------------------------------------------------------------------------------


def _upper_halves(values: Floats) -> npt.NDArray[np.uint16]:
    """bfloat16, rounded to the nearest, ties to even."""
    bits = values.view(np.uint32)
    rounded = (bits + (np.uint32(0x7FFF) + ((bits >> 16) & np.uint32(1)))) >> 16
    quiet = (bits >> 16) | np.uint32(0x40)
    return np.where(np.isnan(values), quiet, rounded).astype(np.uint16)


def _unpack_plain(rows: Bytes, shape: TableFormat) -> Floats:
    rows = np.ascontiguousarray(rows)
    if shape.dtype == "bf16":
        return (rows.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32)
    stored: Floats = rows.view(np.float16 if shape.dtype == "fp16" else np.float32)
    return stored.astype(np.float32)


# -- codes ----------------------------------------------------------------------------------------


def _scale(exponents: npt.NDArray[np.int32]) -> Floats:
    return (exponents << SCALE_SHIFT).astype(np.int32).view(np.float32)


def _pack_codes(name: str, table: Floats, shape: TableFormat) -> Bytes:
    top = 255 if shape.dtype == "int8" else 15
    lowest, highest = _ranges(name, table, shape.dtype)
    steps = (highest.astype(np.float64) - lowest) / top
    # Rounded up: a float32 at or above the step, then the next one with three bits of mantissa.
    single = steps.astype(np.float32)
    single = np.where(single < steps, np.nextafter(single, np.float32(np.inf)), single)
    exponents = -(-single.view(np.int32) // (1 << SCALE_SHIFT))
    first = max(int(exponents.max(initial=0)) - (_SCALES - 1), _LOWEST)
    scales = np.maximum(exponents - first, 0)
    packed = np.zeros(HEADER_BYTES + len(table) * shape.row_bytes, np.uint8)
    packed[:4] = np.array([first], "<i4").view(np.uint8)
    rows = packed[HEADER_BYTES:].reshape(len(table), shape.row_bytes)
    rows[:, 0] = scales
    for part in _chunks(table):
        by = _scale((scales[part] + first).astype(np.int32))
        zeros = np.rint(-lowest[part] / by)
        rows[part, 1] = zeros
        codes = np.rint(table[part] / by[:, None]) + zeros[:, None]
        rows[part, ROW_HEAD:] = _bytes_of(np.clip(codes, 0, top).astype(np.uint8), shape)
    return packed


def _ranges(name: str, table: Floats, dtype: str) -> tuple[Floats, Floats]:
    """The least and largest of each row and 0. EmbeddingsError."""
    lowest = np.minimum(table.min(axis=1), np.float32(0))
    highest = np.maximum(table.max(axis=1), np.float32(0))
    fine = (lowest >= -_LARGEST) & (highest <= _LARGEST)  # false for NaN
    if not fine.all():
        row = int(np.argmin(fine))
        given = table[row : row + 1]
        bad = ~(np.abs(given) <= _LARGEST)
        _refuse(name, row, given, bad, f"has no code in {dtype} (finite, at most 1e38)")
    return lowest, highest


def _bytes_of(codes: Bytes, shape: TableFormat) -> Bytes:
    if shape.dtype == "int8":
        return codes
    half = shape.code_bytes
    out = codes[:, :half].copy()
    out[:, : shape.dimension - half] |= codes[:, half:] << 4
    return out


def _codes_of(stored: Bytes, shape: TableFormat) -> Bytes:
    if shape.dtype == "int8":
        return stored
    both = np.concatenate([stored & 15, stored >> 4], axis=1)
    return both[:, : shape.dimension]
