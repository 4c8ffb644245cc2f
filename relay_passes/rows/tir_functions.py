"""How the results of a TIR function depend on the rows of its operands.

Each store names the row that it writes, and each load the row that it reads:

    y[v0, v1] = x[v0, ids[v0, v1]] * w[v1]       x, ids and y have rows on axis 0, w has none

The two must be one and the same variable, which is used for nothing else: not as a number, not to
index what has no rows, not in arithmetic; and nothing else may run as often as there are rows. A
function whose every store is of this form gives rows that do not depend on each other. Whatever has
another form is refused: an index such as `v0 * 20 + v1`, a call of foreign code, a `while`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tvm import s_tir, tirx
from tvm.ir import StringImm, TensorLoad

from rtcompile.relay_passes.rows.layouts import FIXED, Counted, Layout, MixedError, Rows, per_row

__all__ = ["kernel_layouts"]

_OTHER_ROWS = "reads other rows than the one that it writes"
_UNCLEAR = "runs code whose rows cannot be followed"

# In names of intrinsics that read or write memory themselves.
_OPAQUE = ("extern", "packed", "address_of", "access_ptr", "tvm_stack", "handle", "struct", "ptr")


def kernel_layouts(function: Any, operands: Sequence[Layout]) -> list[Layout]:
    """The layouts of the results of a PrimFunc whose first parameters are the operands.

    Raises MixedError.
    """
    params = list(function.params)
    known = dict(zip(params, operands, strict=False))
    walk = _Stores(known)
    walk.visit(function.body)
    results = params[len(operands) :]
    if any(result not in known for result in results):
        raise MixedError(_UNCLEAR)
    return [known[result] for result in results]


class _Stores:
    """Walks the statements. `known`: the layouts of buffers, a result's from its first store on."""

    def __init__(self, known: dict[Any, Layout]) -> None:
        self._known = known
        self._conditions: list[Any] = []
        # Variables of the loops around that run over the batch, and how often for each row.
        self._over_rows: dict[Any, int] = {}
        self._counters: list[Any] = []  # those of the loops around of fixed extent
        self._stands_for: dict[Any, Any] = {}  # a block's variable -> the loop's

    def visit(self, statement: Any) -> None:
        """Learn the layouts of what a statement stores."""
        if isinstance(statement, tirx.SeqStmt):
            for one in statement.seq:
                self.visit(one)
        elif isinstance(statement, tirx.For):
            with self._loop(statement):
                self.visit(statement.body)
        elif isinstance(statement, s_tir.SBlockRealize):
            with self._block(statement):
                if statement.block.init is not None:
                    self.visit(statement.block.init)
                self.visit(statement.block.body)
        elif isinstance(statement, tirx.IfThenElse):
            with self._on(statement.condition):
                self.visit(statement.then_case)
                if statement.else_case is not None:
                    self.visit(statement.else_case)
        elif isinstance(statement, tirx.BufferStore):
            self._store(statement)
        else:
            raise MixedError(_UNCLEAR)

    @contextmanager
    def _on(self, *conditions: Any) -> Iterator[None]:
        self._conditions.extend(conditions)
        yield
        del self._conditions[len(self._conditions) - len(conditions) :]

    @contextmanager
    def _loop(self, loop: Any) -> Iterator[None]:
        count = per_row(loop.extent)
        if count == 0:
            self._counters.append(loop.loop_var)
            with self._on(loop.min):
                yield
            self._counters.pop()
        elif count is None:
            with self._on(loop.min, loop.extent):
                yield
        else:
            self._over_rows[loop.loop_var] = count
            with self._on(loop.min):
                yield
            del self._over_rows[loop.loop_var]

    @contextmanager
    def _block(self, realized: Any) -> Iterator[None]:
        for var, value in zip(realized.block.iter_vars, realized.iter_values, strict=True):
            if isinstance(value, tirx.Var):
                self._stands_for[var.var] = self._loop_var(value)
            elif not isinstance(value, tirx.IntImm):
                raise MixedError(_UNCLEAR)
        if realized.block.match_buffers:
            raise MixedError(_UNCLEAR)
        with self._on(realized.predicate):
            yield

    def _loop_var(self, var: Any) -> Any:
        return self._stands_for.get(var, var)

    def _store(self, store: Any) -> None:
        buffer, indices = store.buffer, list(store.indices)
        extents = [per_row(extent) for extent in buffer.ty.shape]
        at = [axis for axis, extent in enumerate(extents) if extent != 0]
        if len(at) > 1 or (at and extents[at[0]] is None):
            raise MixedError(_UNCLEAR)
        row = self._row(indices[at[0]]) if at else None
        if any(not var.same_as(row) for var in self._over_rows):
            raise MixedError("works along the batch")
        many = extents[at[0]] if at else 0
        found: list[Rows] = []
        rest = [index for axis, index in enumerate(indices) if axis not in at]
        for expression in (store.value, *rest, *self._conditions):
            self._read(expression, row, found)
        if not at:
            self._learn(buffer, FIXED)
            return
        # What is the same for each row may lie in any order.
        layout = found[0].on(at[0]) if found else Rows(at[0], 1, many or 1)
        if any(other.on(at[0]) != layout for other in found):
            raise MixedError(_OTHER_ROWS)
        if layout.outer * layout.inner != many:
            raise MixedError(_OTHER_ROWS)
        self._learn(buffer, layout)

    def _row(self, index: Any) -> Any:
        if not isinstance(index, tirx.Var):
            raise MixedError(_UNCLEAR)
        return self._loop_var(index)

    def _is_of(self, index: Any, row: Any) -> bool:
        """Whether an index is the row's variable; v % (c * n) of a v below c * n is v."""
        if isinstance(index, tirx.FloorMod) and isinstance(index.a, tirx.Var):
            many = self._over_rows.get(self._loop_var(index.a))
            index = index.a if many is not None and many == per_row(index.b) else index
        return isinstance(index, tirx.Var) and bool(self._loop_var(index).same_as(row))

    def _learn(self, buffer: Any, layout: Layout) -> None:
        if self._known.setdefault(buffer, layout) != layout:
            raise MixedError(_UNCLEAR)

    def _read(self, expression: Any, row: Any, found: list[Rows]) -> None:
        """Collect the layouts of what an expression loads, which must be of the row `row`."""
        if isinstance(expression, tirx.Var):
            loop = self._loop_var(expression)
            if not any(loop.same_as(counter) for counter in self._counters):
                raise MixedError("computes with the number of rows, or with a row's place")
        elif isinstance(expression, TensorLoad):
            layout = self._known.get(expression.source)
            if layout is None:
                raise MixedError(_UNCLEAR)
            if isinstance(layout, Counted):
                raise MixedError("computes with the number of rows")
            for axis, index in enumerate(expression.indices):
                if not isinstance(layout, Rows) or axis != layout.axis:
                    self._read(index, row, found)
                elif row is None or not self._is_of(index, row):
                    raise MixedError(_OTHER_ROWS)
            if isinstance(layout, Rows):
                found.append(layout)
        else:
            for part in _parts(expression):
                self._read(part, row, found)


def _parts(expression: Any) -> list[Any]:
    """The operands of an expression that is computed of them alone. Raises MixedError."""
    if isinstance(expression, tirx.IntImm | tirx.FloatImm | StringImm):
        return []
    if isinstance(expression, tirx.Cast):
        return [expression.value]
    if isinstance(expression, tirx.Not):
        return [expression.a]
    if isinstance(expression, tirx.Select):
        return [expression.condition, expression.true_value, expression.false_value]
    if hasattr(expression, "a") and hasattr(expression, "b"):
        return [expression.a, expression.b]
    name = getattr(getattr(expression, "op", None), "name", None)
    if name is None or any(word in name for word in _OPAQUE):
        raise MixedError(_UNCLEAR)
    return list(expression.args)
