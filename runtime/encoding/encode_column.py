"""Encode one column of any form: value by value, where a column as a whole is not enough.

Each function appends what it makes of a column's entries to the block, and returns where.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.encoded import Split
from rtcompile.runtime.encoding.column_spec import ColumnSpec
from rtcompile.runtime.encoding.encode_block import Block, Place
from rtcompile.runtime.encoding.plain_values import Values, is_list, parts_of
from rtcompile.runtime.encoding.raw_values import (
    cut,
    is_several,
    keys_and_values,
    listed,
    nested_text,
    numbers_of,
    pairs_of,
    split_values,
    text_of,
    texts_of,
)

__all__ = ["UnparsedRows", "append_texts", "encode_column"]

# Takes the row of a value that cannot be read, and the value.
UnparsedRows = Callable[[int, object], None]

_Found = tuple[int, int, int, int]  # places of values, offsets and numbers; whether to split


def encode_column(
    block: Block, spec: ColumnSpec, values: Values, mode: int, unparsed: UnparsedRows
) -> Place:
    """Append a column. Raises TypeError, ValueError for a value that it cannot take."""
    if isinstance(values, np.ndarray) and values.ndim < 2:
        values = listed(values)
    if spec.cut:
        values = [cut(value, bool(spec.pair)) for value in values]
    tell = unparsed
    if spec.tokens_as_elements:
        values = [spec.process(value) for value in values]
    entries: Values = values
    rows_at = 0
    if spec.delimiter is not None:
        elements = [_elements(value, spec.delimiter, spec.length) for value in values]
        rows_at = block.starts(map(len, elements))
        entries = elements[0] if len(elements) == 1 else [e for row in elements for e in row]
        ends = list(accumulate(map(len, elements)))

        def tell(entry: int, value: object) -> None:
            unparsed(bisect_right(ends, entry), value)

    if spec.steps and not spec.tokens_as_elements:
        entries = [spec.process(entry) for entry in entries]
    values_at, offsets_at, numbers_at, split = _entries(block, spec, entries, tell)
    return Place(rows_at, values_at, offsets_at, 0, numbers_at, split, mode)


def _entries(block: Block, spec: ColumnSpec, entries: Values, unparsed: UnparsedRows) -> _Found:
    if spec.kind in ("number", "present"):
        return _numbers(block, spec, entries, unparsed)
    if spec.kind.startswith("map"):
        return _map(block, spec, entries)
    if spec.kind == "whole":
        texts = [b"".join(texts_of(parts_of(e))) if is_list(e) else text_of(e) for e in entries]
        return _single(block, texts, Split.LIST)
    if spec.kind.startswith("nested"):
        return _single(block, [nested_text(entry) for entry in entries], Split.TEXT)
    if spec.pair:
        return _weighted(block, spec, entries, unparsed)
    return _text(block, spec, entries)


def append_texts(block: Block, values: Values) -> int | None:
    """Append single values as texts; returns the place of their offsets. Raises TypeError.

    None where some value is several. Strings are taken all at once, and so are integers.
    """
    values = listed(values)
    first = values[0] if values else ""
    try:
        if type(first) is int:
            return block.strings(list(map(int.__repr__, values)))
        if type(first) is not bytes:
            return block.strings(values)
    except TypeError:
        pass  # some are of another type
    return None if any(map(is_several, values)) else block.texts(texts_of(values))


def _elements(value: Any, delimiter: bytes, length: int) -> Sequence[Any]:
    """A sequence's elements, at most `length`; an empty one has one element, which is empty."""
    found: Sequence[Any]
    if type(value) is str and delimiter.isascii():
        found = value.split(delimiter.decode()) if value else ()
    elif is_list(value):
        found = parts_of(value)
    else:
        text = text_of(value)
        found = text.split(delimiter) if text else ()
    return found[:length] if len(found) else (None,)


def _text(block: Block, spec: ColumnSpec, entries: Values) -> _Found:
    if not spec.split_here and (offsets_at := append_texts(block, entries)) is not None:
        return block.starts([1] * len(entries)), offsets_at, 0, Split.TEXT
    keep = spec.kind == "places"
    counts: list[int] = []
    parts: list[bytes] = []
    for entry in entries:
        several = is_list(entry)
        tokens = (
            texts_of(parts_of(entry)) if several else split_values(text_of(entry), spec.separator)
        )
        if b"" in tokens and not (keep and (len(tokens) > 1 or several)):
            tokens = [token for token in tokens if token]
        parts += [spec.prefix + token for token in tokens] if spec.prefix else tokens
        counts.append(len(tokens))
    return block.starts(counts), block.texts(parts), 0, Split.LIST


def _single(block: Block, texts: list[bytes], split: int) -> _Found:
    """One text an entry."""
    return block.starts([1] * len(texts)), block.texts(texts), 0, split


def _map(block: Block, spec: ColumnSpec, entries: Values) -> _Found:
    if not spec.listed and (offsets_at := append_texts(block, entries)) is not None:
        return block.starts([1] * len(entries)), offsets_at, 0, Split.TEXT
    counts: list[int] = []
    parts: list[bytes] = []
    for entry in entries:
        pairs = keys_and_values(entry)
        parts += pairs
        counts.append(len(pairs))
    return block.starts(counts), block.texts(parts), 0, Split.PAIRS


def _weighted(block: Block, spec: ColumnSpec, entries: Values, unparsed: UnparsedRows) -> _Found:
    counts: list[int] = []
    parts: list[bytes] = []
    numbers: list[float] = []
    for place, entry in enumerate(entries):
        pairs = pairs_of(entry, spec.separator, spec.pair, partial(unparsed, place))
        parts += [spec.prefix + token for token, _ in pairs]
        numbers += [weight for _, weight in pairs]
        counts.append(len(pairs))
    return (
        block.starts(counts),
        block.texts(parts),
        block.numbers(np.array(numbers, np.float64)),
        Split.LIST,
    )


def _is_table(entries: npt.NDArray[Any]) -> bool:
    """Whether it has so many numbers a row."""
    plain = entries.dtype.kind in "fiub" and entries.dtype.itemsize <= 8
    return plain and entries.ndim == 2


def _numbers(block: Block, spec: ColumnSpec, entries: Values, unparsed: UnparsedRows) -> _Found:
    if isinstance(entries, np.ndarray) and spec.kind == "number" and _is_table(entries):
        rows, width = entries.shape
        return block.starts([width] * rows), 0, block.numbers(entries), Split.LIST
    counts: list[int] = []
    numbers: list[float] = []
    for place, entry in enumerate(entries):
        if type(entry) is float and not math.isnan(entry):
            numbers.append(entry)
            counts.append(1)
        elif entry is None:
            counts.append(0)
        else:
            found = numbers_of(entry, spec.separator, partial(unparsed, place))
            if spec.kind == "present":
                found = [number for number in found if not math.isnan(number)]
            numbers += found
            counts.append(len(found))
    return block.starts(counts), 0, block.numbers(np.array(numbers, np.float64)), Split.LIST
