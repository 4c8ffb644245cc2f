"""Send every index that data decides through a check, so that no request reads foreign memory.

    take(T, where(ids < 0, ids + rows, ids), axis)
        ->   take(T, call_dps_packed("rtc.check_index.ROWS.wrap.TABLE", (ids,)), axis)
    the same for gather_elements, gather_nd, scatter_elements, scatter_nd, index_tensor, index_put

    astype(numbers, int), where an index is computed from it
        ->   call_dps_packed("rtc.check_number.INT.TABLE", (numbers,))
    the same of integers that INT may not hold, where they are an index, moved or added to others

An index that the graph bounds needs no check (`value_ranges.py`); a constant one that is out of
bounds is refused, and so is one along the batch: it would read other rows. `lift_embeddings` comes
before: its look-ups check for themselves, but for numbers that their ids are computed from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.analysis.index_source import IndexSource
from rtcompile.relay_passes.analysis.value_ranges import Range, ValueRanges
from rtcompile.relay_passes.dialect.checked_values import CHECK_INDEX, CHECK_NUMBER, array_digest
from rtcompile.relay_passes.errors import PassError, RowDependenceError
from rtcompile.relay_passes.exact.index_casts import INTEGERS, IndexCasts
from rtcompile.relay_passes.lift.lift_embeddings import EMBEDDING_LOOKUP
from rtcompile.relay_passes.matching import (
    bindings,
    call_name,
    constant_array,
    dtype_of,
    kernel_symbol,
    reads,
    rewrite_main,
    shape_of,
)
from rtcompile.relay_passes.report import PassReport

__all__ = ["check_indices"]

_ONNX_NAMES = {
    "take": "Gather",
    "gather_elements": "GatherElements",
    "gather_nd": "GatherND",
    "scatter_elements": "ScatterElements",
    "scatter_nd": "ScatterND",
}


@dataclass(frozen=True)
class _Index:
    """An operand that is an index. `place`: among the arguments; `field`: in a tuple of them."""

    place: int
    extents: tuple[Any, ...]
    field: int | None = None


def _indices(call: Any) -> Iterator[_Index]:
    """The indices of an operator, with the extents of what they choose from."""
    name, shape = call_name(call), shape_of(call.args[0]) if call.args else None
    if name == "relax.take" and str(call.attrs.mode) != "fast":
        return
    if name in ("relax.take", "relax.gather_elements", "relax.scatter_elements"):
        axis = call.attrs.axis
        if shape is None:
            raise PassError(f"{_name(call)} of a tensor of unknown shape")
        yield _Index(1, (shape[int(axis)],) if axis is not None else (_size(shape),))
    elif name in ("relax.gather_nd", "relax.scatter_nd"):
        first = int(call.attrs.batch_dims) if name == "relax.gather_nd" else 0
        columns = (shape_of(call.args[1]) or (None,))[-1]
        if shape is None or not isinstance(columns, int):
            raise PassError(f"{_name(call)} of a tensor of unknown shape")
        yield _Index(1, shape[first : first + columns])
    elif name in ("relax.index_tensor", "relax.index_put"):
        if shape is None:
            raise PassError(f"{_name(call)} of a tensor of unknown shape")
        for field in range(len(call.args[1].fields)):
            yield _Index(1, (shape[field],), field)


def _size(shape: Sequence[Any]) -> Any:
    size: Any = 1
    for extent in shape:
        size = size * extent
    return size


@dataclass(frozen=True)
class _Check:
    """What becomes of an operator's index: `source` goes through the check `symbol`."""

    index: _Index
    symbol: str
    source: Any
    shape: Any


class _Finder:
    """Finds what is to be checked in a function. Raises PassError, RowDependenceError."""

    def __init__(self, function: Any) -> None:
        self._bound = bindings(function)
        self._ranges, self._sources = ValueRanges(self._bound), IndexSource(self._bound)
        self._casts = IndexCasts(self._bound, self._ranges)
        self._labels: dict[Any, str] = {}
        # What decides an index, with the operator that it is for.
        self._origins: list[tuple[Any, Any]] = []

    def checks(self) -> dict[Any, list[_Check]]:
        """Of the indices of operators, by the variable that holds the result."""
        found = {}
        for var, value in self._bound.items():
            if kernel_symbol(value) == EMBEDDING_LOOKUP:
                self._origins.append((value.args[1].fields[1], value))
            elif isinstance(value, relax.Call):
                found[var] = self._of_operator(value)
        return {var: checks for var, checks in found.items() if checks}

    def _of_operator(self, op: Any) -> list[_Check]:
        checks = []
        for index in _indices(op):
            check = self._check(op, index)
            ids, extents = _operand(op.args, index), index.extents
            known = [extent for extent in extents if isinstance(extent, int)] or [0]
            source = check.source if check else self._sources.unwrapped(ids, known)[0]
            self._origins.append((source, op))
            checks += [check] if check else []
        return checks

    def _check(self, op: Any, index: _Index) -> _Check | None:
        """None where an index needs no check."""
        ids, extents = _operand(op.args, index), index.extents
        if self._is_bounded(op, ids, extents):
            return None
        known = [extent for extent in extents if isinstance(extent, int)]
        if len(known) < len(extents):
            raise RowDependenceError(
                f"{_name(op)} chooses along the batch by values: the score of a row would depend "
                "on the other rows of the request"
            )
        source, wraps = self._sources.unwrapped(ids, known)
        source = self._sources.uncut(source, INTEGERS)
        mode = "wrap" if wraps else "plain"
        extent = "x".join(map(str, known if len(set(known)) > 1 else known[:1]))
        symbol = f"{CHECK_INDEX}.{extent}.{mode}.{self._label(op)}"
        return _Check(index, symbol, source, ids.ty.shape)

    def _is_bounded(self, op: Any, ids: Any, extents: tuple[Any, ...]) -> bool:
        """Whether the index is in bounds by itself. Raises PassError where it is never."""
        found = self._ranges.columns(ids, len(extents)) if len(extents) > 1 else [None]
        if len(extents) == 1:
            found = [self._ranges.of(ids)]
        array = constant_array(ids)
        for column, (one, extent) in enumerate(zip(found, extents, strict=True)):
            if isinstance(extent, int):
                inside = one is not None and one.within(0, extent - 1)
                if array is not None and not _inside(one, extent):
                    self._refuse(op, array, column, extent, len(extents))
            else:
                inside = array is not None or self._counts_rows(ids)
            if not inside:
                return False
        return True

    def _counts_rows(self, ids: Any) -> bool:
        """Whether an index along the batch, or a column of one, is the row's own number."""
        open_vars, seen = [ids], set()
        while open_vars:
            value: Any = self._bound.get(open_vars.pop())
            if call_name(value) == "relax.arange":
                return True
            if value is not None:
                open_vars += [var for var in reads(value) if var not in seen]
                seen.update(open_vars)
        return False

    def _refuse(self, op: Any, array: Any, column: int, extent: int, columns: int) -> None:
        values = array.reshape(-1, columns)[:, column] if columns > 1 else array.reshape(-1)
        bad = values[(values < -extent) | (values >= extent)][0]
        raise PassError(f"{_name(op)} reads place {bad} of an axis that has {extent}")

    def _label(self, op: Any) -> str:
        """The digest of the table that an operator reads, or its name."""
        table = op.args[1].fields[0] if kernel_symbol(op) else op.args[0]
        array = constant_array(table)
        if array is None:
            return _name(op)
        if table not in self._labels:
            self._labels[table] = array_digest(array).hex()
        return self._labels[table]

    # -- numbers that indices are computed from -----------------------------------------------

    def numbers(self) -> dict[Any, tuple[Any, str]]:
        """Casts that an index is computed from, of floats and of integers that may be cut: (number,
        check), by variable. After `checks`."""
        found: dict[Any, tuple[Any, str]] = {}
        for index, op in self._origins:
            for cast in self._casts.of(index):
                number = self._sources.of_number(self._bound[cast].args[0])
                symbol = f"{CHECK_NUMBER}.{dtype_of(cast)}.{self._label(op)}"
                found.setdefault(cast, (number, symbol))
        return found


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    """Applies the checks that were found."""

    def __init__(self, mod: IRModule, finder: _Finder) -> None:
        super().__init__(mod)
        self.checks, self.numbers = finder.checks(), finder.numbers()
        self._var: Any = None

    def visit_var_binding_(self, binding: Any) -> None:
        self._var = binding.var
        super().visit_var_binding_(binding)

    def visit_call_(self, op: Any) -> Any:
        if self._var in self.numbers:
            number, symbol = self.numbers[self._var]
            operand = relax.Tuple([self.visit_expr(number)])
            return relax.op.call_dps_packed(symbol, operand, out_ty=op.ty)
        checks = self.checks.get(self._var, ())
        updated = super().visit_call_(op)
        if not checks:
            return updated
        arguments = list(updated.args)
        for check in checks:
            place, field = check.index.place, check.index.field
            checked = self._checked(check)
            if field is None:
                arguments[place] = checked
            else:
                fields = list(arguments[place].fields)
                fields[field] = checked
                arguments[place] = relax.Tuple(fields)
        return relax.Call(op.op, arguments, op.attrs, op.ty_args)

    def _checked(self, check: _Check) -> Any:
        ty = relax.TensorType(check.shape, "int64")
        operand = relax.Tuple([self.visit_expr(check.source)])
        return self.builder_.emit(relax.op.call_dps_packed(check.symbol, operand, out_ty=ty))


def _operand(arguments: Any, index: _Index) -> Any:
    given = arguments[index.place]
    return given if index.field is None else given.fields[index.field]


def _inside(found: Range | None, extent: int) -> bool:
    return found is not None and found.within(-extent, extent - 1)


def _name(op: Any) -> str:
    """An operator as ONNX calls it, where it has a name there."""
    name = (call_name(op) or kernel_symbol(op)).removeprefix("relax.")
    return _ONNX_NAMES.get(name, name)


def check_indices(mod: IRModule, report: PassReport) -> IRModule:
    """Check every index of `main`. Idempotent."""
    rewriter = _Rewriter(mod, _Finder(mod["main"]))
    report.applied += sum(map(len, rewriter.checks.values())) + len(rewriter.numbers)
    return rewrite_main(mod, rewriter)
