"""Where a feature's ids or numbers go: the ways to end a feature kernel.

    Ragged   all ids one after another, their counts a row or element, perhaps their weights
    Padded   `width` places a row or element, zeros behind the ids; perhaps exactly one is needed
    Pooled   the sum or mean of the ids' rows of a table, zeros where there is no id
    Dense    numbers, value_dim of them a row or element

A sink's `open`, `put`, `close` are called where the kernel emits the begin of a row or element, an
id, and its end; `skip` where a sequence has no element. `slot` is the row, or in a sequence
row x length + element.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.pointers import ANY
from rtcompile.codegen.emit.status import report
from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.program.table_format import TableFormat, TableReader
from rtcompile.runtime.abi.extract import Cursor
from rtcompile.runtime.abi.status import Code

__all__ = [
    "DenseSink",
    "PaddedSink",
    "PooledSink",
    "RaggedDenseSink",
    "RaggedSink",
    "Sink",
    "SinkShape",
    "make_sink",
]

RowOf = Callable[[Any], Any]

# Rows of a table that wait for their cache lines.
_QUEUED = 32


@dataclass(frozen=True)
class SinkShape:
    """What a sink is specialised for: `form` ragged, padded, one, sum or mean.

    `dtype`: of the ids that are written; "float32" for the pooled ones. `table`: of these,
    the one that is read.
    """

    form: str
    dtype: str
    table: TableFormat | None = None
    weighted: bool = False

    @property
    def name(self) -> str:
        """Part of the kernel's name."""
        table = f"_{self.table.dtype}_{self.table.dimension}" if self.table else ""
        return f"{self.form}{table}_{self.dtype}" + ("_weighted" if self.weighted else "")

    @property
    def arguments(self) -> tuple[str, ...]:
        """Pointers that the kernel gets for its sink, in order: the element types."""
        if self.form == "ragged":
            weights = ("float32",) if self.weighted else ()
            return (self.dtype, *weights, "int64", "int64")  # values, counts, cursor
        if self.form == "ragged_dense":
            return (self.dtype, "int64")  # values, cursor
        if self.form == "dense":
            return (self.dtype,)  # out
        if self.table is not None:
            return (self.table.storage, "float32")  # table, out
        return (self.dtype,)  # out


class Sink(ABC):
    """Emits what becomes of ids. `number`: the feature's or table's number for the `status`;
    `row_of`: the row that a slot belongs to, for it too."""

    def __init__(
        self,
        shape: SinkShape,
        pointers: list[Any],
        status: Struct,
        width: Any,
        number: Any,
        row_of: RowOf,
    ) -> None:
        self._shape, self._width, self._number, self._row_of = shape, width, number, row_of
        self._status = status
        self._buffers = [
            T.decl_buffer((ANY,), dtype, data=pointer)
            for dtype, pointer in zip(shape.arguments, pointers, strict=True)
        ]
        self.count = Cell("int64", i64(0))
        self._slot: Any = None

    def open(self, slot: Any) -> None:
        """Begin a row or element."""
        self._slot = slot
        self.count.set(i64(0))

    def put(self, code: Any, weight: Any) -> None:
        """Take an id; `weight` is None or a float64."""
        raise AssertionError(f"{type(self).__name__} takes numbers")

    def put_number(self, number: Any) -> None:
        """Take a float32."""
        raise AssertionError(f"{type(self).__name__} takes ids")

    @abstractmethod
    def close(self) -> None:
        """End a row or element."""

    def put_only(self, slot: Any, value: Any) -> None:
        """Take the only id, or float32, of a row."""
        self.open(slot)
        self.put(value, None)
        self.close()

    @abstractmethod
    def skip(self, slot: Any) -> None:
        """A place that has no element."""


class RaggedSink(Sink):
    """values[cursor[VALUES]++] = id; counts[cursor[ENTRIES]++] = how many."""

    def put(self, code: Any, weight: Any) -> None:
        """Append."""
        values, cursor = self._buffers[0], Struct(Cursor, self._buffers[-1])
        at = T.Bind(cursor[Cursor.VALUES])
        T.buffer_store(values, tirx.Cast(self._shape.dtype, code), [at])
        if self._shape.weighted:
            one = tirx.const(1, "float32")
            single = one if weight is None else tirx.Cast("float32", weight)
            T.buffer_store(self._buffers[1], single, [at])
        cursor[Cursor.VALUES] = at + 1
        self.count.add(1)

    def close(self) -> None:
        """Append the count."""
        counts, cursor = self._buffers[-2], Struct(Cursor, self._buffers[-1])
        at = T.Bind(cursor[Cursor.ENTRIES])
        T.buffer_store(counts, self.count.get(), [at])
        cursor[Cursor.ENTRIES] = at + 1

    def skip(self, slot: Any) -> None:
        """Ragged sequences have no places without elements."""


class PaddedSink(Sink):
    """out[slot, count++] = id, as long as there is room."""

    def put(self, code: Any, weight: Any) -> None:
        """Write the next place."""
        with T.If(self.count.get() < self._width), T.Then():
            at = self._slot * self._width + self.count.get()
            T.buffer_store(self._buffers[0], tirx.Cast(self._shape.dtype, code), [at])
        self.count.add(1)

    def put_only(self, slot: Any, value: Any) -> None:
        """Write it, where there is one place."""
        if self._shape.form != "one":
            super().put_only(slot, value)
            return
        T.buffer_store(self._buffers[0], tirx.Cast(self._shape.dtype, value), [slot])

    def close(self) -> None:
        """Zeros behind the ids. Where one is needed and none came, the status says so."""
        count = T.Bind(tirx.min(self.count.get(), self._width))
        if self._shape.form == "one":
            with T.If(count == 0), T.Then():
                row = self._row_of(self._slot)
                report(self._status, Code.NO_VALUE, self._number, i64(0), row)
        self._fill(self._slot, count)

    def skip(self, slot: Any) -> None:
        """Zeros."""
        self._fill(slot, i64(0))

    def _fill(self, slot: Any, count: Any) -> None:
        with T.serial(self._width - count) as k:
            zero = tirx.const(0, self._shape.dtype)
            T.buffer_store(self._buffers[0], zero, [slot * self._width + count + k])


class PooledSink(Sink):
    """out[slot, :] += weight * table[id, :]; a mean divides by the sum of the weights.

    Rows of a plain sum wait in a queue, and their cache lines are fetched meanwhile; what waits is
    added in its order.
    """

    def __init__(
        self,
        shape: SinkShape,
        pointers: list[Any],
        status: Struct,
        width: Any,
        number: Any,
        row_of: RowOf,
    ) -> None:
        super().__init__(shape, pointers, status, width, number, row_of)
        assert shape.table is not None
        self._dimension = shape.table.dimension
        self._table, self._table_rows = TableReader(shape.table, pointers[0]), width
        self._total = Cell("float32", tirx.const(0, "float32"))
        self._queue: tuple[Any, Any, Cell] | None = None
        if shape.form == "sum" and not shape.weighted:
            ids, slots = (T.alloc_buffer((_QUEUED,), "int64") for _ in range(2))
            self._queue = ids, slots, Cell("int64", i64(0))

    def open(self, slot: Any) -> None:
        """Begin at zero."""
        super().open(slot)
        self._total.set(tirx.const(0, "float32"))
        self.skip(slot)

    def put(self, code: Any, weight: Any) -> None:
        """Add a row of the table, if it has that row."""
        with T.If(tirx.And(code >= 0, code < self._table_rows)):
            with T.Then():
                if self._queue is None:
                    self._add(code, weight)
                else:
                    self._wait(code, *self._queue)
            with T.Else():
                row = self._row_of(self._slot)
                report(self._status, Code.ID_OUT_OF_RANGE, self._number, code, row)
        self.count.add(1)

    def _add(self, code: Any, weight: Any) -> None:
        single = None if weight is None else T.Bind(tirx.Cast("float32", weight))
        self._table.columns(code, partial(self._term, self._slot, single))
        self._total.add(tirx.const(1, "float32") if single is None else single)

    def _term(self, slot: Any, weight: Any, column: Any, value: Any) -> None:
        out, at = self._buffers[1], slot * self._dimension + column
        term = value if weight is None else weight * value
        T.buffer_store(out, out[at] + term, [at])

    def _wait(self, code: Any, ids: Any, slots: Any, waiting: Cell) -> None:
        self._table.prefetch(code)
        T.buffer_store(ids, code, [waiting.get()])
        T.buffer_store(slots, self._slot, [waiting.get()])
        waiting.add(1)
        with T.If(waiting.get() == i64(_QUEUED)), T.Then():
            self.finish()

    def finish(self) -> None:
        """Add what waits."""
        if self._queue is None:
            return
        ids, slots, waiting = self._queue
        with T.serial(T.Bind(waiting.get())) as k:
            self._table.columns(ids[k], partial(self._term, T.Bind(slots[k]), None))
        waiting.set(i64(0))

    def close(self) -> None:
        """Divide, where the mean is wanted. No id, or weights that sum to zero, leave the sum."""
        if self._shape.form != "mean":
            return
        out, dimension = self._buffers[1], self._dimension
        zero = tirx.const(0, "float32")
        divided = tirx.And(self.count.get() > 1, self._total.get() != zero)
        weighted = tirx.And(self.count.get() > 0, self._total.get() != zero)
        with T.If(weighted if self._shape.weighted else divided), T.Then():
            total = T.Bind(self._total.get())
            with T.vectorized(dimension) as j:
                at = self._slot * dimension + j
                T.buffer_store(out, out[at] / total, [at])

    def skip(self, slot: Any) -> None:
        """Zeros."""
        dimension = self._dimension
        with T.vectorized(dimension) as j:
            T.buffer_store(self._buffers[1], tirx.const(0, "float32"), [slot * dimension + j])


class DenseSink(Sink):
    """out[slot, count++] = number; the feature sees to it that a row is full."""

    def put_number(self, number: Any) -> None:
        """Write the next place."""
        at = self._slot * self._width + self.count.get()
        T.buffer_store(self._buffers[0], tirx.Cast(self._shape.dtype, number), [at])
        self.count.add(1)

    def put_only(self, slot: Any, value: Any) -> None:
        """Write the row."""
        T.buffer_store(self._buffers[0], tirx.Cast(self._shape.dtype, value), [slot])

    def close(self) -> None:
        """Nothing is left."""

    def skip(self, slot: Any) -> None:
        """Zeros."""
        with T.serial(self._width) as k:
            zero = tirx.const(0, self._shape.dtype)
            T.buffer_store(self._buffers[0], zero, [slot * self._width + k])


class RaggedDenseSink(Sink):
    """values[cursor[VALUES]++] = number."""

    def put_number(self, number: Any) -> None:
        """Append."""
        values, cursor = self._buffers[0], Struct(Cursor, self._buffers[1])
        at = T.Bind(cursor[Cursor.VALUES])
        T.buffer_store(values, number, [at])
        cursor[Cursor.VALUES] = at + 1

    def close(self) -> None:
        """Every element has the same width."""

    def skip(self, slot: Any) -> None:
        """Ragged sequences have no places without elements."""


def make_sink(
    shape: SinkShape, pointers: list[Any], status: Struct, width: Any, number: Any, row_of: RowOf
) -> Sink:
    """The sink of a shape. `width`: places of a padded row, or rows of a pooled table."""
    forms: dict[str, type[Sink]] = {
        "ragged": RaggedSink,
        "sum": PooledSink,
        "mean": PooledSink,
        "dense": DenseSink,
        "ragged_dense": RaggedDenseSink,
    }
    return forms.get(shape.form, PaddedSink)(shape, pointers, status, width, number, row_of)
