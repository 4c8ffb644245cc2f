"""Encode raw columns for the feature kernels; `encoded.py` says what becomes of them.

Columns of plain texts and plain numbers, one an entry, are taken as a whole, and those of a single
row all together: a request may have a thousand of them. All others go value by value
(`encode_column.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import isnan
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.encoded import ColumnDescriptor, Mode, Split
from rtcompile.runtime.abi.layout import Field
from rtcompile.runtime.encoding.column_spec import ColumnSpec
from rtcompile.runtime.encoding.encode_arrays import TextArrays
from rtcompile.runtime.encoding.encode_block import Block, Found, Place
from rtcompile.runtime.encoding.encode_column import append_texts, encode_column
from rtcompile.runtime.encoding.encode_numbers import NumberColumns, may_lack
from rtcompile.runtime.encoding.encoded import Encoded
from rtcompile.runtime.encoding.operator_library import address_of
from rtcompile.runtime.encoding.raw_values import (
    is_number,
    is_several,
    number_of,
    text_of,
)
from rtcompile.runtime.encoding.unparsed import UnparsedValues
from rtcompile.runtime.errors import RequestError

__all__ = ["Encoder"]

Columns = Mapping[str, Sequence[object]]

# What a column may need beyond its values, for `shared`.
_EXTRA = 4


class Encoder:
    """Encodes the columns of `specs`. `where` names a column in messages, `unparsed` takes what
    cannot be read."""

    def __init__(
        self,
        specs: Sequence[ColumnSpec],
        where: Callable[[str], str],
        unparsed: UnparsedValues | None = None,
    ) -> None:
        self.specs, self._where = tuple(specs), where
        self._unparsed = unparsed or UnparsedValues()
        self._texts = [i for i, spec in enumerate(specs) if _takes_texts(spec)]
        self._numbers = [i for i, spec in enumerate(specs) if _takes_numbers(spec)]
        plain = {*self._texts, *self._numbers}
        self._others = [
            i for i, spec in enumerate(specs) if i not in plain and spec.function is None
        ]
        self._text_names = [specs[i].name for i in self._texts]
        self._number_names = [specs[i].name for i in self._numbers]
        self._lacking = [spec.kind == "present" for spec in specs]
        self._places = np.zeros((len(specs), ColumnDescriptor.WORDS), np.int64)
        self._has = np.zeros_like(self._places)
        for spec, place, has in zip(specs, self._places, self._has, strict=True):
            text, numbers = spec.is_text, spec.has_numbers
            has[:] = Place(spec.delimiter is not None, True, text, text, numbers)
            place[ColumnDescriptor.SPLIT] = (
                Split.LIST if spec.kind == "whole" or not text else Split.TEXT
            )
            if spec.function is not None:
                place[ColumnDescriptor.PLACES] = address_of(spec.function)
        # Of a single row: where the one value of each plain column is.
        self._one = self._places.copy()
        self._one[self._texts, ColumnDescriptor.OFFSETS] = 8 * np.arange(len(self._texts))
        self._one[self._numbers, ColumnDescriptor.NUMBERS] = 8 * np.arange(len(self._numbers))

    def one(self, fields: Mapping[str, object], mode: int = Mode.ROWS) -> Encoded:
        """Encode a single row, of columns of `mode`. `fields`: name -> value.

        Raises RequestError for a value of a type that its column cannot take.
        """
        block, others = Block(1), self._others
        texts: list[Any] = [fields[name] for name in self._text_names]
        try:
            block.strings(texts)
        except TypeError:  # some are no strings
            others = others + self._mixed_texts(block, texts)
        if self._numbers:
            numbers = [fields[name] for name in self._number_names]
            others = others + self._single_numbers(block, numbers)
        places = self._one.copy()
        places[:, ColumnDescriptor.MODE] = mode
        if others:
            found = []
            for index in others:
                name = self.specs[index].name
                value = fields[name] if name else self.specs[index].constant
                found.append(self._column(block, index, (value,), mode))
            places[others] = found
        shared = block.size + _EXTRA * len(places) if mode == Mode.ONE else 0
        return block.finish(1, places, self._has, shared)

    def rows(self, columns: Mapping[str, Sequence[object]], rows: int) -> Encoded:
        """Encode `rows` rows. `columns`: name -> a value a row, or one that counts for all.

        Raises RequestError as `one` does, and for a column of another length.
        """
        if rows == 1:
            return self.one({name: column[0] for name, column in columns.items() if len(column)})
        block = Block(rows)
        places = self._places.copy()
        others = [*self._others, *self._number_columns(block, columns, rows, places)]
        others += self._text_columns(block, columns, rows, places)
        shared = 0
        for index in others:
            spec = self.specs[index]
            values = [spec.constant] if spec.name == "" else columns[spec.name]
            if len(values) not in (1, rows):
                raise RequestError(f"{self._where(spec.name)}: {len(values)} values, {rows} rows")
            one = len(values) == 1 and rows > 1
            before = block.size
            places[index] = self._column(block, index, values, Mode.ONE if one else Mode.ROWS)
            shared += block.size - before + _EXTRA if one else 0
        return block.finish(rows, places, self._has, shared)

    def _column(self, block: Block, index: int, values: Sequence[object], mode: int) -> Place:
        spec = self.specs[index]
        where = partial(self._where, spec.name)
        try:
            unparsed = partial(self._unparsed.add, spec.readers, where)
            return encode_column(block, spec, values, mode, unparsed)
        except RequestError:
            raise
        except Exception as error:  # whatever the code of a foreign object raises
            raise self._error(index, error) from error

    def _error(self, index: int, error: Exception) -> RequestError:
        return RequestError(f"{self._where(self.specs[index].name)}: {error}")

    # -- plain columns of a single row: they return the columns that are none ---------------------

    def _mixed_texts(self, block: Block, values: list[object]) -> list[int]:
        others, texts = [], []
        for index, value in zip(self._texts, values, strict=True):
            if is_several(value):
                others.append(index)
                texts.append(b"")
                continue
            try:
                texts.append(text_of(value))
            except (TypeError, ValueError) as error:
                raise self._error(index, error) from error
        block.texts(texts)
        return others

    def _single_numbers(self, block: Block, values: list[object]) -> list[int]:
        others, numbers = [], []
        for index, value in zip(self._numbers, values, strict=True):
            number = self._number(index, value)
            if number is None or (isnan(number) and self.specs[index].kind == "present"):
                others.append(index)
                number = 0.0
            numbers.append(number)
        block.numbers(np.array(numbers, np.float64))
        return others

    def _number(self, index: int, value: object) -> float | None:
        """None where it is no number."""
        try:
            return number_of(value) if is_number(value) else None
        except TypeError as error:
            raise self._error(index, error) from error

    # -- plain columns of many rows: the same -----------------------------------------------------

    def _number_columns(
        self, block: Block, columns: Columns, rows: int, places: npt.NDArray[np.int64]
    ) -> list[int]:
        numbers, others = NumberColumns(rows), []
        for index, name in zip(self._numbers, self._number_names, strict=True):
            values = columns[name]
            plain = len(values) == rows > 0
            if plain and self._lacking[index] and may_lack(values):
                plain = False
            if not plain or not numbers.take(index, values):
                others.append(index)
        found, mixed = numbers.append(block)
        _enter(places, ColumnDescriptor.NUMBERS, found, rows)
        return others + mixed

    def _text_columns(
        self, block: Block, columns: Columns, rows: int, places: npt.NDArray[np.int64]
    ) -> list[int]:
        arrays, lists, others = TextArrays(), [], []
        for index, name in zip(self._texts, self._text_names, strict=True):
            values = columns[name]
            if len(values) != rows:
                others.append(index)
            elif not rows or not arrays.take(index, values):
                lists.append(index)
        found, mixed = arrays.append(block)
        for index in lists + mixed:
            try:
                start = append_texts(block, columns[self.specs[index].name])
            except Exception as error:  # whatever the code of a foreign object raises
                raise self._error(index, error) from error
            if start is None:
                others.append(index)
            else:
                found.append(([index], start))
        _enter(places, ColumnDescriptor.OFFSETS, found, rows)
        return others


def _enter(places: npt.NDArray[np.int64], word: Field, found: Sequence[Found], rows: int) -> None:
    """Set a word of columns: the place of the first value of each."""
    indices = [index for columns, _ in found for index in columns]
    starts = [start + 8 * rows * k for columns, start in found for k in range(len(columns))]
    places[indices, word] = starts


def _takes_texts(spec: ColumnSpec) -> bool:
    """Whether a single value is one text, as it is."""
    if not _is_single(spec) or not spec.is_text:
        return False
    if spec.kind.startswith("map"):
        return not spec.listed
    return spec.kind == "whole" or spec.kind.startswith("nested") or not spec.split_here


def _takes_numbers(spec: ColumnSpec) -> bool:
    return _is_single(spec) and spec.kind in ("number", "present")


def _is_single(spec: ColumnSpec) -> bool:
    """Whether a row has one entry, which nothing is done to."""
    as_it_is = not spec.steps and not spec.pair and not spec.cut
    return bool(spec.name) and spec.delimiter is None and as_it_is
