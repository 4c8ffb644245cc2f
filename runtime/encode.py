"""Encode raw columns for the feature kernels: one aligned block, and a descriptor a column.

A descriptor is COLUMN_WORDS int64 (see Word), most of them addresses:

    rows      int64 [rows + 1]     first element of each row; sequence columns only
    values    int64 [entries + 1]  first value of each entry: a row, or a sequence's element
    offsets   int64 [values + 1]   first byte of each value in the text; text columns only
    text      uint8                the bytes of all values, and PADDING behind them
    numbers   float64 [values]     the values of a number column, the weights of a weighted one

Addresses, not positions, so that columns of a request, of the item table and of a batch can stand
in one list. MODE says which row of the column belongs to row i of the stage (see Mode).

A value of a text column that came as one string is still to be split by the kernel (SPLIT is 1);
one that came in a list is taken as it is. What is rare is brought into that form here: separators
of several bytes, prefixes, weights, and columns that mix strings with lists.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, repeat

import numpy as np
import numpy.typing as npt

from runtime.arrays import align, aligned_empty
from runtime.column_spec import ColumnSpec
from runtime.errors import RequestError
from runtime.operator_library import address_of
from runtime.raw_values import (
    is_list,
    keys_and_values,
    nested_text,
    numbers_of,
    pairs_of,
    text_of,
    texts_of,
)

__all__ = ["COLUMN_WORDS", "PADDING", "Encoded", "Mode", "Split", "Word", "encode"]

COLUMN_WORDS = 8
PADDING = 16


class Word:
    """Places in a column's descriptor. PLACES is the address of int64 [rows], or of a function."""

    ROWS = 0
    VALUES = 1
    OFFSETS = 2
    TEXT = 3
    NUMBERS = 4
    SPLIT = 5
    MODE = 6
    PLACES = 7


class Split:
    """How the values of a text column are meant."""

    LIST = 0  # each as it is
    TEXT = 1  # each is still to be split
    PAIRS = 2  # keys and values in turn


class Mode:
    """Which row of a column belongs to row i of the stage."""

    ROWS = 0  # row i
    ONE = 1  # row 0: the request's user
    PLACES = 2  # row places[i]: an item of the item table


# Positions of rows, values, offsets in the words, of the first number; whether to split.
_Positions = tuple[int, int, int, int, int]
# These, the rows of the column, and their mode.
_Descriptor = tuple[_Positions, int, int]


@dataclass(frozen=True)
class Encoded:
    """The columns of `rows` rows, as the stages take them.

    `columns` int64 [columns * COLUMN_WORDS]; it keeps the block alive that it points into. `bound`
    is at least the number of values that any column has, once it is split; `shared` the same of the
    columns that have one row for all.
    """

    rows: int
    columns: npt.NDArray[np.int64]
    bound: int
    shared: int
    positions: Sequence[_Descriptor]
    words: npt.NDArray[np.int64]
    text: npt.NDArray[np.uint8]
    numbers: npt.NDArray[np.float64]

    def part(self, index: int, spec: ColumnSpec) -> ColumnPart:
        """The arrays of one column."""
        (rows_at, values_at, offsets_at, first, split), count, _ = self.positions[index]
        rows, entries = None, count
        if spec.delimiter is not None:
            rows = self.words[rows_at : rows_at + count + 1]
            entries = int(rows[-1])
        values = self.words[values_at : values_at + entries + 1]
        count = int(values[-1])
        has_numbers = bool(spec.pair) or not spec.is_text
        numbers = self.numbers[first : first + count if has_numbers else first]
        if not spec.is_text:
            return ColumnPart(rows, values, None, self.text[:0], numbers, split)
        offsets = self.words[offsets_at : offsets_at + count + 1]
        text = self.text[offsets[0] : offsets[-1]]
        return ColumnPart(rows, values, offsets, text, numbers, split)

    def row_bounds(self, index: int, spec: ColumnSpec) -> npt.NDArray[np.int64]:
        """[rows]: at least the elements, and the values once split, of each row of a column."""
        part = self.part(index, spec)
        edges = part.values if part.rows is None else part.values[part.rows]
        bounds = np.diff(edges) + (1 if part.rows is None else np.diff(part.rows))
        if part.offsets is not None and part.split == Split.TEXT:
            bounds = bounds + np.diff(part.offsets[edges])
        return bounds if len(bounds) == self.rows else np.repeat(bounds, self.rows)


@dataclass(frozen=True)
class ColumnPart:
    """One column's arrays, as the layout above has them; None for those it has not."""

    rows: npt.NDArray[np.int64] | None
    values: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64] | None
    text: npt.NDArray[np.uint8]
    numbers: npt.NDArray[np.float64]
    split: int


class _Builder:
    """Collects the three arrays, in plain lists: a request is a few hundred values."""

    def __init__(self, columns: int) -> None:
        self.words: list[int] = [0] * (columns * COLUMN_WORDS)
        self.parts: list[bytes] = []
        self.bytes = 0
        self.numbers: list[float] = []
        self.shared = 0

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

    def finish(self, rows: int, descriptors: list[_Descriptor]) -> Encoded:
        """Copy everything into one aligned block, and point the descriptors into it."""
        words, text = self.words, b"".join(self.parts)
        numbers = array("d", self.numbers)
        numbers_at = align(8 * len(words))
        text_at = align(numbers_at + 8 * len(numbers))
        block = aligned_empty(text_at + len(text) + PADDING, "uint8")
        base = block.__array_interface__["data"][0]
        text_address = base + text_at
        for index, (positions, _, mode) in enumerate(descriptors):
            rows_at, values_at, offsets_at, first, split = positions
            words[index * COLUMN_WORDS : (index + 1) * COLUMN_WORDS] = (
                base + 8 * rows_at if rows_at else 0,
                base + 8 * values_at,
                base + 8 * offsets_at,
                text_address,
                base + numbers_at + 8 * first,
                split,
                mode,
                0,
            )
        view = block.data
        view[: 8 * len(words)] = memoryview(array("q", words)).cast("B")
        view[numbers_at : numbers_at + 8 * len(numbers)] = memoryview(numbers).cast("B")
        view[text_at : text_at + len(text)] = text
        view[text_at + len(text) :] = _PAD
        end = numbers_at + 8 * len(numbers)
        return Encoded(
            rows,
            block[: 8 * len(descriptors) * COLUMN_WORDS].view(np.int64),
            len(words) + len(text),
            self.shared,
            descriptors,
            block[: 8 * len(words)].view(np.int64),
            block[text_at : text_at + len(text)],
            block[numbers_at:end].view(np.float64),
        )


_PAD = bytes(PADDING)


def encode(
    specs: Sequence[ColumnSpec],
    columns: Mapping[str, Sequence[object]],
    rows: int,
    where: Callable[[str], str],
    mode: int = Mode.ROWS,
) -> Encoded:
    """Encode `rows` rows. `columns`: name -> a value a row, or one that counts for all.

    `where` names a column in messages. `mode`: of the columns that have a value a row. Raises
    RequestError for a value of a type that the column cannot take.
    """
    builder = _Builder(len(specs))
    descriptors = []
    for spec in specs:
        try:
            values = [spec.constant] if spec.name == "" else columns[spec.name]
            shared = len(values) == 1 and rows > 1
            before = len(builder.words) + builder.bytes
            positions = _column(builder, spec, values)
            if mode == Mode.ONE or shared:
                builder.shared += len(builder.words) + builder.bytes - before
            descriptors.append((positions, len(values), Mode.ONE if shared else mode))
        except (TypeError, ValueError) as error:
            raise RequestError(f"{where(spec.name)}: {error}") from error
    encoded = builder.finish(rows, descriptors)
    for index, spec in enumerate(specs):
        if spec.function is not None:
            encoded.columns[index * COLUMN_WORDS + Word.PLACES] = address_of(spec.function)
    return encoded


def _column(builder: _Builder, spec: ColumnSpec, values: Sequence[object]) -> _Positions:
    if spec.tokens_as_elements:
        values = [spec.process(value) for value in values]
    entries: Sequence[object] = values
    rows_at = 0
    if spec.delimiter is not None:
        elements = [_elements(value, spec.delimiter, spec.length) for value in values]
        rows_at = builder.starts(map(len, elements))
        entries = elements[0] if len(elements) == 1 else [e for row in elements for e in row]
    if spec.steps and not spec.tokens_as_elements:
        entries = [spec.process(entry) for entry in entries]
    if spec.kind in ("number", "present"):
        return rows_at, *_numbers(builder, spec, entries)
    if spec.kind.startswith("map"):
        return rows_at, *_map(builder, spec, entries)
    if spec.kind == "whole":
        return rows_at, *_wholes(builder, entries)
    if spec.kind.startswith("nested"):
        return rows_at, *_texts(builder, [nested_text(entry) for entry in entries])
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
        return _texts(builder, texts_of(entries))
    keep = spec.kind == "places"
    counts: list[int] = []
    parts: list[bytes] = []
    for entry in entries:
        tokens = texts_of(entry) if is_list(entry) else text_of(entry).split(spec.separator)  # type: ignore[arg-type]
        if b"" in tokens and not (keep and (len(tokens) > 1 or is_list(entry))):
            tokens = [token for token in tokens if token]
        parts += [spec.prefix + token for token in tokens] if spec.prefix else tokens
        counts.append(len(tokens))
    return builder.starts(counts), builder.offsets(parts), 0, Split.LIST


def _texts(builder: _Builder, texts: list[bytes]) -> tuple[int, int, int, int]:
    """One text an entry, to be split."""
    return builder.starts(repeat(1, len(texts))), builder.offsets(texts), 0, Split.TEXT


def _wholes(builder: _Builder, entries: Sequence[object]) -> tuple[int, int, int, int]:
    """One text an entry, taken as it is; the texts of a list one after another."""
    texts = [b"".join(texts_of(e)) if is_list(e) else text_of(e) for e in entries]  # type: ignore[arg-type]
    return builder.starts(repeat(1, len(texts))), builder.offsets(texts), 0, Split.LIST


def _map(
    builder: _Builder, spec: ColumnSpec, entries: Sequence[object]
) -> tuple[int, int, int, int]:
    several = any(isinstance(entry, Mapping) or is_list(entry) for entry in entries)
    if not several and not spec.listed:
        return _texts(builder, texts_of(entries))
    counts: list[int] = []
    parts: list[bytes] = []
    for entry in entries:
        pairs = keys_and_values(entry)
        parts += pairs
        counts.append(len(pairs))
    return builder.starts(counts), builder.offsets(parts), 0, Split.PAIRS


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
    return builder.starts(counts), builder.offsets(parts), numbers_at, Split.LIST


def _numbers(
    builder: _Builder, spec: ColumnSpec, entries: Sequence[object]
) -> tuple[int, int, int, int]:
    counts: list[int] = []
    numbers, numbers_at = builder.numbers, len(builder.numbers)
    if set(map(type, entries)) == {float} and not any(map(math.isnan, entries)):  # type: ignore[arg-type]
        numbers += entries  # type: ignore[arg-type]
        return builder.starts(repeat(1, len(entries))), 0, numbers_at, Split.LIST
    for entry in entries:
        if entry.__class__ is float and not math.isnan(entry):
            numbers.append(entry)
            counts.append(1)
        elif entry is None:
            counts.append(0)
        else:
            found = numbers_of(entry, spec.separator)
            if spec.kind == "present":
                found = [number for number in found if not math.isnan(number)]
            numbers += found
            counts.append(len(found))
    return builder.starts(counts), 0, numbers_at, Split.LIST
