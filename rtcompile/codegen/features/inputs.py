"""A feature's inputs inside a kernel: which values of each column the current entry has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.features.encoded import EncodedColumn
from rtcompile.codegen.features.scratch import Scratch
from rtcompile.codegen.features.tally import Tally
from rtcompile.features.plan import Feature, Input
from rtcompile.features.reference.reference_cells import spreads

__all__ = ["InputView", "Kernel", "Views", "each_shorter", "walk_entries"]


class InputView:
    """One raw column. `first` and `end`: the values of the entry at hand."""

    def __init__(self, column: EncodedColumn, sequence: bool, spread: bool) -> None:
        self.column, self.sequence, self.spread = column, sequence, spread
        self.first: Any = None
        self.end: Any = None
        self._row: Any = None
        self._elements: tuple[Any, Any] = (None, None)

    def at_row(self, i: Any) -> None:
        """Go to row i of the tile."""
        self._row = self.column.row(i)
        if self.sequence:
            self._elements = self.column.entries(self._row)
        else:
            self.first, self.end = self.column.values(self._row)

    @property
    def count(self) -> Any:
        """Elements of the row."""
        return self._elements[1] - self._elements[0]

    def is_single(self) -> Any:
        """Whether the row's one element counts for all, or is empty."""
        if self.spread:
            return tirx.const(True, "bool")
        first, last = self.column.values(self._elements[0])
        return self.column.is_empty(first, last)

    def at_element(self, place: Any) -> None:
        """Go to an element of the row; behind the last there are no values."""
        if not self.sequence:
            return
        begin, end = self._elements
        # Conditions end in memory: the simplifier would try all cases of all columns, for minutes.
        at = Cell("int64", place)
        if self.spread:
            with T.If(end - begin == i64(1)), T.Then():
                at.set(i64(0))
        inside = T.Bind(begin + at.get() < end)
        entry = Cell("int64", begin)
        with T.If(inside), T.Then():
            entry.add(at.get())
        self.first, last = self.column.values(T.Bind(entry.get()))
        past = Cell("int64", self.first)
        with T.If(inside), T.Then():
            past.set(last)
        self.end = T.Bind(past.get())


@dataclass
class Take:
    """What a reader emits for each value of another feature, by its form."""

    text: Callable[[Any, Any, Any], None]  # (text, begin, size)
    integer: Callable[[Any], None]  # int64
    number: Callable[[Any], None]  # float64


class Kernel:
    """The arguments of the kernel at hand, by name.

    `emit_inner` emits what another feature gives; the operators of both kinds call it.
    """

    def __init__(
        self,
        scalars: dict[str, Any],
        constants: dict[str, Any],
        scratch: Scratch,
        emit_inner: Callable[[Views, Take], None],
        tally: Tally,
        key_numbers: Any = None,
    ) -> None:
        self.scalars, self.constants, self.scratch = scalars, constants, scratch
        self.emit_inner, self.tally = emit_inner, tally
        # The header of its keys, where the kernel has numbered ones; see `dictionary_encoding.py`.
        self.key_numbers = key_numbers
        # Its map by their numbers, while code is emitted for the case that they are numbered.
        self.joined: Any = None


class Views:
    """The inputs of one feature, and of those it reads."""

    def __init__(
        self,
        feature: Feature,
        kernel: Kernel,
        columns: Any,
        start: Any,
        prefix: str = "",
        in_sequence: bool = False,
    ) -> None:
        self.feature, self.kernel, self._prefix = feature, kernel, prefix
        self.columns_table = columns
        self.row: Any = None  # of the tile
        # Whether the reader goes from element to element, and this feature with it.
        self.read_by_sequence = in_sequence
        inside = in_sequence or feature.sequence is not None
        self.inputs: list[InputView | Views] = []
        for index, read in enumerate(feature.inputs):
            if isinstance(read, Feature):
                inner = Views(read, kernel, columns, start, f"{prefix}{index}.", inside)
                self.inputs.append(inner)
                continue
            column = EncodedColumn(columns, self.scalar(f"column_{index}"), start)
            sequence = isinstance(read, Input) and read.sequence
            self.inputs.append(InputView(column, sequence, spreads(feature.operator)))

    def scalar(self, name: str) -> Any:
        """A scalar of this feature."""
        return self.kernel.scalars[f"{self._prefix}{name}"]

    def constant(self, name: str) -> Any:
        """A constant's buffer."""
        return self.kernel.constants[f"{self._prefix}{name}"]

    def columns(self) -> list[InputView]:
        """Every raw column, those of inner features too."""
        found: list[InputView] = []
        for read in self.inputs:
            found += read.columns() if isinstance(read, Views) else [read]
        return found


def walk_entries(
    views: Views,
    rows: Any,
    length: Any,
    entry: Callable[[Any], None],
    skip: Callable[[Any], None],
) -> None:
    """Emit `entry(slot)` for every row, or element of a row; `skip(slot)` for places without one.

    `length` is None for plain features. The elements of a row are those of its longest column.
    """
    columns = views.columns()
    with T.serial(rows) as i:
        views.row = views.kernel.tally.row = i
        for column in columns:
            column.at_row(i)
        if length is None:
            entry(i)
            return
        longest = i64(1)
        for column in columns:
            if column.sequence:
                longest = T.Bind(tirx.max(longest, column.count))
        _tell_unequal(views, columns, longest)
        count = T.Bind(tirx.min(longest, length))
        with T.serial(count) as place:
            for column in columns:
                column.at_element(place)
            entry(T.Bind(i * length + place))
        with T.serial(length - count) as rest:
            skip(T.Bind(i * length + count + rest))


def _tell_unequal(views: Views, columns: list[InputView], longest: Any) -> None:
    """Sequences of a row that have fewer elements than its longest. Those of a group are compared
    by a kernel of their own, `group_lengths.py`."""
    sequences = [column for column in columns if column.sequence]
    if len(sequences) > 1 and not views.feature.is_grouped:
        for column in sequences:
            with each_shorter(column, longest):
                views.kernel.tally.unequal(column.count, longest)


@contextmanager
def each_shorter(column: InputView, longest: Any) -> Iterator[None]:
    """Emit code inside for a row whose sequence is too short; one without an element is missing."""
    with T.If(column.count != longest), T.Then():
        told = Cell("int64", i64(1))
        with T.If(column.count == i64(1)), T.Then():
            told.set(tirx.Select(column.is_single(), i64(0), i64(1)))
        with T.If(told.get() != 0), T.Then():
            yield
