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

from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, repeat
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.arrays import align, aligned_empty
from runtime.errors import RequestError
from runtime.raw_values import (
    is_list,
    numbers_of,
    pairs_of,
    text_of,
    texts_of,
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

    @cached_property
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
    """Collects the three arrays, in plain lists: a request is a few hundred values."""

    def __init__(self, columns: int) -> None:
        self.words: list[int] = [0] * (columns * COLUMN_WORDS)
        self.parts: list[bytes] = []
        self.bytes = 0
        self.numbers: list[float] = []

    def offsets(self, parts: list[bytes]) -> int:
        """Append values to the text and their offsets to the words; returns where these begin."""
        place = self.starts(map(len, parts), self.bytes)
        self.parts += parts
        self.bytes = self.words[-1]
        return place

    def starts(self, counts: Iterable[int], first: int = 0) -> int:
        """Append the running sums of `counts`, from `first` on; returns where they begin."""
        place = len(self.words)
        self.words.extend(accumulate(counts, initial=first))
        return place

    def finish(self, rows: int) -> Encoded:
        """Copy everything into one aligned block."""
        words, numbers = array("q", self.words), array("d", self.numbers)
        text = b"".join(self.parts)
        numbers_at = align(8 * len(words))
        text_at = align(numbers_at + 8 * len(numbers) + 8)
        block = aligned_empty(text_at + len(text) + PADDING, "uint8")
        view = block.data
        view[: 8 * len(words)] = memoryview(words).cast("B")
        view[numbers_at : numbers_at + 8 * len(numbers)] = memoryview(numbers).cast("B")
        view[text_at : text_at + len(text)] = text
        view[text_at + len(text) :] = _PAD
        end = numbers_at + 8 * len(numbers) + 8
        return Encoded(
            rows,
            block[: 8 * len(words)].view(np.int64),
            block[text_at:],
            block[numbers_at:end].view(np.float64),
        )


_PAD = bytes(PADDING)


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
        try:
            descriptor = _column(builder, spec, columns[spec.name])
        except (TypeError, ValueError) as error:
            raise RequestError(f"{where(spec.name)}: {error}") from error
        at = index * COLUMN_WORDS
        builder.words[at : at + COLUMN_WORDS] = descriptor
    return builder.finish(rows)


def _column(
    builder: _Builder, spec: ColumnSpec, values: Sequence[object]
) -> tuple[int, int, int, int, int]:
    entries: Sequence[object] = values
    rows_at = 0
    if spec.delimiter is not None:
        elements = [_elements(value, spec.delimiter, spec.length) for value in values]
        rows_at = builder.starts(map(len, elements))
        entries = elements[0] if len(elements) == 1 else [e for row in elements for e in row]
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
    if not spec.split_here and not any(map(is_list, entries)):
        values_at = builder.starts(repeat(1, len(entries)))
        return values_at, builder.offsets(texts_of(entries)), 0, 1
    counts: list[int] = []
    parts: list[bytes] = []
    for entry in entries:
        tokens = texts_of(entry) if is_list(entry) else text_of(entry).split(spec.separator)  # type: ignore[arg-type]
        if b"" in tokens:
            tokens = [token for token in tokens if token]
        parts += [spec.prefix + token for token in tokens] if spec.prefix else tokens
        counts.append(len(tokens))
    return builder.starts(counts), builder.offsets(parts), 0, 0


def _weighted(
    builder: _Builder, spec: ColumnSpec, entries: Sequence[object]
) -> tuple[int, int, int, int]:
    counts: list[int] = []
    parts: list[bytes] = []
    numbers_at = len(builder.numbers)
    for entry in entries:
        pairs = pairs_of(entry, spec.separator, spec.pair)
        parts += [spec.prefix + token for token, _ in pairs]
        builder.numbers += [weight for _, weight in pairs]
        counts.append(len(pairs))
    return builder.starts(counts), builder.offsets(parts), numbers_at, 0


def _numbers(
    builder: _Builder, spec: ColumnSpec, entries: Sequence[object]
) -> tuple[int, int, int, int]:
    counts: list[int] = []
    numbers, numbers_at = builder.numbers, len(builder.numbers)
    for entry in entries:
        if entry.__class__ is float:
            numbers.append(entry)
            counts.append(1)
        elif entry is None:
            counts.append(0)
        else:
            found = numbers_of(entry, spec.separator)
            numbers += found
            counts.append(len(found))
    return builder.starts(counts), 0, numbers_at, 0
