"""Encode raw columns for the feature kernels: three flat arrays for all columns of a stage.

    words     int64. First COLUMN_WORDS a column (see Word), then the offsets these point at:
                rows      [rows + 1]     first element of each row; sequence columns only
                values    [entries + 1]  first value of each entry: a row, or a sequence's element
                offsets   [values + 1]   first byte of each value in `text`; text columns only
    text      uint8. The bytes of all values, and PADDING behind them.
    numbers   float64. The values of number columns, the weights of weighted ones.

A value of a text column that came as one string is still to be split by the kernel (SPLIT is 1);
one that came in a list is taken as it is. What is rare is brought into that form here: separators
of several bytes, prefixes, weights, and columns that mix strings with lists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.arrays import aligned_empty
from runtime.errors import RequestError
from runtime.raw_values import (
    is_list,
    number_of,
    numbers_of,
    pairs_of,
    text_of,
)

__all__ = ["COLUMN_WORDS", "PADDING", "ColumnSpec", "Encoded", "Word", "encode"]

COLUMN_WORDS = 5
PADDING = 16


class Word:
    """Places in a column's descriptor. The first four are indices into `words` or `numbers`."""

    ROWS = 0
    VALUES = 1
    OFFSETS = 2
    NUMBERS = 3
    SPLIT = 4


@dataclass(frozen=True)
class ColumnSpec:
    """How a raw column is read. Features that read it alike share one.

    `kind` is "text" or "number". `delimiter` and `length` are those of a sequence, else None and 0.
    `pair` is what stands between value and weight of a weighted feature, else b"".
    """

    name: str
    kind: str
    separator: bytes
    delimiter: bytes | None = None
    length: int = 0
    pair: bytes = b""
    prefix: bytes = b""

    @property
    def split_here(self) -> bool:
        """Whether strings are split while encoding, not by the kernel."""
        return bool(self.pair or self.prefix or len(self.separator) != 1)

    def to_json(self) -> dict[str, Any]:
        """For the manifest; bytes as Latin-1 text."""
        fields = {
            "name": self.name,
            "kind": self.kind,
            "separator": self.separator.decode("latin1"),
        }
        delimiter = None if self.delimiter is None else self.delimiter.decode("latin1")
        pair, prefix = self.pair.decode("latin1"), self.prefix.decode("latin1")
        return {
            **fields,
            "delimiter": delimiter,
            "length": self.length,
            "pair": pair,
            "prefix": prefix,
        }

    @staticmethod
    def from_json(fields: Mapping[str, Any]) -> ColumnSpec:
        """The reverse of `to_json`."""
        delimiter = fields["delimiter"]
        return ColumnSpec(
            fields["name"],
            fields["kind"],
            fields["separator"].encode("latin1"),
            None if delimiter is None else delimiter.encode("latin1"),
            fields["length"],
            fields["pair"].encode("latin1"),
            fields["prefix"].encode("latin1"),
        )


@dataclass(frozen=True)
class Encoded:
    """The columns of `rows` rows, as the stages take them."""

    rows: int
    words: npt.NDArray[np.int64]
    text: npt.NDArray[np.uint8]
    numbers: npt.NDArray[np.float64]


class _Builder:
    """Collects the three arrays."""

    def __init__(self, columns: int) -> None:
        self.words: list[int] = [0] * (columns * COLUMN_WORDS)
        self.parts: list[bytes] = []
        self.bytes = 0
        self.numbers: list[float] = []

    def offsets(self, parts: list[bytes]) -> int:
        """Append values to the text and their offsets to the words; returns where these begin."""
        place, at = len(self.words), self.bytes
        append = self.words.append
        append(at)
        for part in parts:
            at += len(part)
            append(at)
        self.parts.extend(parts)
        self.bytes = at
        return place

    def indices(self, values: list[int]) -> int:
        """Append words; returns where they begin."""
        place = len(self.words)
        self.words.extend(values)
        return place


def encode(
    specs: Sequence[ColumnSpec],
    columns: Mapping[str, Sequence[object]],
    rows: int,
    where: Callable[[str], str],
) -> Encoded:
    """Encode `rows` rows. `columns`: name -> a value a row. `where` names a column in messages.

    Raises RequestError for a value of a type that the column cannot take.
    """
    builder = _Builder(len(specs))
    for index, spec in enumerate(specs):
        values = columns[spec.name]
        try:
            descriptor = _column(builder, spec, values, rows)
        except (TypeError, ValueError) as error:
            raise RequestError(f"{where(spec.name)}: {error}") from error
        at = index * COLUMN_WORDS
        builder.words[at : at + COLUMN_WORDS] = descriptor
    return Encoded(
        rows,
        _aligned(np.array(builder.words, np.int64)),
        _aligned(np.frombuffer(b"".join([*builder.parts, bytes(PADDING)]), np.uint8)),
        _aligned(np.array([*builder.numbers, 0.0], np.float64)),
    )


def _aligned(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.ctypes.data % 64 == 0 and array.flags.writeable:
        return array
    copy = aligned_empty(array.size, str(array.dtype))
    copy[:] = array
    return copy


def _column(
    builder: _Builder, spec: ColumnSpec, values: Sequence[object], rows: int
) -> tuple[int, int, int, int, int]:
    entries: Sequence[object] = values
    rows_at = 0
    if spec.delimiter is not None:
        elements = [_elements(value, spec.delimiter, spec.length) for value in values]
        starts = [0]
        for element in elements:
            starts.append(starts[-1] + len(element))
        rows_at = builder.indices(starts)
        entries = [entry for element in elements for entry in element]
    if spec.kind == "number":
        return rows_at, *_numbers(builder, spec, entries)
    if spec.pair:
        return rows_at, *_weighted(builder, spec, entries)
    return rows_at, *_text(builder, spec, entries)


def _elements(value: object, delimiter: bytes, length: int) -> Sequence[object]:
    """A sequence's elements, at most `length`; an empty one has one element, which is empty."""
    if is_list(value):
        found: Sequence[object] = value  # type: ignore[assignment]
    else:
        text = text_of(value)
        found = text.split(delimiter) if text else ()
    return found[:length] if len(found) else (None,)


def _text(
    builder: _Builder, spec: ColumnSpec, entries: Sequence[object]
) -> tuple[int, int, int, int]:
    lists = [is_list(entry) for entry in entries]
    if not any(lists) and not spec.split_here:
        values_at = builder.indices(list(range(len(entries) + 1)))
        return values_at, builder.offsets([text_of(entry) for entry in entries]), 0, 1
    starts, parts = [0], []
    for entry, listed in zip(entries, lists, strict=True):
        tokens = [text_of(v) for v in entry] if listed else text_of(entry).split(spec.separator)  # type: ignore[attr-defined]
        parts += [spec.prefix + token for token in tokens if token]
        starts.append(len(parts))
    return builder.indices(starts), builder.offsets(parts), 0, 0


def _weighted(
    builder: _Builder, spec: ColumnSpec, entries: Sequence[object]
) -> tuple[int, int, int, int]:
    starts: list[int] = [0]
    parts: list[bytes] = []
    numbers_at = len(builder.numbers)
    for entry in entries:
        for token, weight in pairs_of(entry, spec.separator, spec.pair):
            parts.append(spec.prefix + token)
            builder.numbers.append(weight)
        starts.append(len(parts))
    return builder.indices(starts), builder.offsets(parts), numbers_at, 0


def _numbers(
    builder: _Builder, spec: ColumnSpec, entries: Sequence[object]
) -> tuple[int, int, int, int]:
    starts, numbers_at = [0], len(builder.numbers)
    for entry in entries:
        if isinstance(entry, float | int):
            builder.numbers.append(number_of(entry))
        elif entry is not None:
            builder.numbers.extend(numbers_of(entry, spec.separator))
        starts.append(len(builder.numbers) - numbers_at)
    return builder.indices(starts), 0, numbers_at, 0
