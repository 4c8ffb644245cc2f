"""What a feature kernel counts: places that took the default, and values that cannot be read.

    defaulted = unparsed = 0                    # in registers
    ...
        the default is taken:                       defaulted += 1
        a value is there that cannot be read:       unparsed += 1
                                                    strict: the status says row and text, once
    defaulted or unparsed:  words[feature] += defaulted, unparsed

The words lie behind the status of the call that runs, so no other thread writes them.
`runtime/abi/status.py` has the structs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.status import number_bits, report
from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.runtime.abi.status import SHOWN_BYTES, Code, FeatureCounts, Status, Tallied

__all__ = ["Tally"]


class Tally:
    """Counts of one feature's kernel. `status`: a Tallied. `number`: the feature's among those of
    the stage."""

    def __init__(self, status: Struct, number: Any, start: Any) -> None:
        self._status, self._number, self._start = status, number, start
        self._defaulted, self._unparsed = Cell("int64", i64(0)), Cell("int64", i64(0))
        # Of the tile, that of the entry at hand.
        self.row: Any = i64(0)
        # Of an entry that is a key's: how many rows have it, and which is the first of them.
        self._rows_of: Callable[[Any], Any] | None = None
        self._first_of: Callable[[Any], Any] | None = None

    @contextmanager
    def by_number(
        self, rows_of: Callable[[Any], Any], first_of: Callable[[Any], Any]
    ) -> Iterator[None]:
        """Emit code inside whose `row` is the number of a key."""
        self._rows_of, self._first_of = rows_of, first_of
        yield
        self._rows_of = self._first_of = None

    def _weight(self) -> Any:
        """How many rows the entry at hand counts for."""
        return i64(1) if self._rows_of is None else T.Bind(self._rows_of(self.row))

    def defaults(self, count: Any) -> None:
        """The default was taken in as many places."""
        self._defaulted.add(T.Bind(count * self._weight()))

    def defaults_if(self, condition: Any) -> None:
        """The default was taken, if so."""
        self._defaulted.add(T.Bind(tirx.Select(condition, self._weight(), i64(0))))

    def unparsed(self, text: Any, begin: Any, size: Any) -> None:
        """text[begin:][:size] cannot be read."""
        self._unparsed.add(self._weight())
        with self._first_offender(Code.UNPARSED, i64(0)):
            shown = T.Bind(tirx.min(size, i64(SHOWN_BYTES)))
            self._status[Tallied.SIZE] = size
            with T.serial(shown) as k:
                byte = tirx.Cast("int64", text[begin + k])
                self._status.set_element(Tallied.TEXT, k, byte)

    def unequal(self, fewer: Any, more: Any) -> None:
        """A sequence, or a mask, has `fewer` elements beside one of `more`."""
        self._unparsed.add(self._weight())
        with self._first_offender(Code.UNEQUAL, i64(0)):
            self._status[Tallied.SIZE] = fewer
            self._status[Tallied.TEXT] = more

    def no_id(self, number: Any) -> None:
        """No integer holds the number that is to be an id."""
        self._unparsed.add(self._weight())
        with self._first_offender(Code.NO_ID, number_bits(number)):
            pass

    @contextmanager
    def _first_offender(self, code: int, given: Any) -> Iterator[None]:
        """Emit what is told of it inside."""
        status = self._status
        first = tirx.And(status[Tallied.STRICT] != 0, status[Status.CODE] == 0)
        with T.If(T.Bind(first)), T.Then():
            row = self.row if self._first_of is None else self._first_of(self.row)
            yield
            report(status, code, self._number, given, self._start + row)

    def finish(self) -> None:
        """Emit the additions, at the kernel's end."""
        tally = self._status.inner(Tallied.FEATURES, self._number)
        counted = {FeatureCounts.DEFAULTED: self._defaulted, FeatureCounts.UNPARSED: self._unparsed}
        for field, cell in counted.items():
            with T.If(cell.get() != 0), T.Then():
                tally[field] = tally[field] + cell.get()
