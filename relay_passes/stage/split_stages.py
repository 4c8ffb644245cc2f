"""Cut a graph by binding time into the graphs of its stages.

    main(user, item, row)  ->   user(user)   -> what is known once a request, and read later
                                item(item)   -> what is known once an item, and read later
                                cross(those, row) -> the results

In the cross graph a user's value has one row. Element-wise operators read it as it is, broadcast;
for any other it is spread:   call_dps_packed("rtc.spread", (value,)).
A view of an item's value is made in the cross stage again: the item table keeps a value once.
A value that only repeats another one (a product with ones) moves to its readers: it would be larger
to keep and no faster to read. One of the user's moves only where all its readers broadcast.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.analysis.binding_times import SIDES, BindingTime, binding_times
from rtcompile.relay_passes.matching import bindings, call_name, expanded_source, reads, shape_of
from rtcompile.relay_passes.report import PassReport

__all__ = ["SPREAD", "StageGraph", "ValueSource", "split_stages"]

SPREAD = "rtc.spread"

_EARLY = (BindingTime.USER, BindingTime.ITEM)
_BROADCASTING = frozenset(
    f"relax.{name}"
    for name in (
        *("add", "subtract", "multiply", "divide", "power", "maximum", "minimum", "where"),
        *("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"),
        *("logical_and", "logical_or"),
    )
)


@dataclass(frozen=True)
class ValueSource:
    """Where a stage's input comes from: graph input `index`, or result `index` of `stage`."""

    stage: BindingTime | None  # None: an input of the whole graph
    index: int


@dataclass(frozen=True)
class StageGraph:
    """One stage: its graph in `module["main"]`, and where the parameters come from."""

    time: BindingTime
    module: IRModule
    inputs: tuple[ValueSource, ...]
    operators: int


def split_stages(mod: IRModule, report: PassReport) -> tuple[StageGraph, ...]:
    """The stages that there are, in the order user, item, cross; cross is always there."""
    function = mod["main"]
    everything = tuple(ValueSource(None, i) for i in range(len(function.params)))
    sides = function.attrs[SIDES] if SIDES in (function.attrs or {}) else None
    rowless = sides is not None and all(str(s) == BindingTime.USER.value for s in sides)
    if sides is None or rowless:
        count = len(bindings(function))
        return (StageGraph(BindingTime.CROSS, mod, everything, count),)
    cut = _Cut(function)
    early = [cut.early_stage(time) for time in _EARLY]
    stages = tuple(stage for stage in early if stage is not None)
    report.applied += sum(stage.operators for stage in stages)
    return (*stages, cut.cross_stage())


class _Cut:
    def __init__(self, function: Any) -> None:
        self._function = function
        self._bound = bindings(function)
        self._times = binding_times(function)
        self._views: set[Any] = set()
        self._results = _results(function, self._bound)
        self._sink_expansions()
        self._views = self._late_views()
        self._kept = {time: self._read_later(time) for time in _EARLY}

    def _readers(self) -> dict[Any, list[BindingTime]]:
        found: dict[Any, list[BindingTime]] = {}
        for var, value in self._bound.items():
            for read in reads(value):
                found.setdefault(read, []).append(self._times[var])
        for result in self._results:
            found.setdefault(result, []).append(BindingTime.CROSS)
        for var in self._views:
            found.setdefault(self._bound[var].args[0], []).append(BindingTime.CROSS)
        return found

    def _late_views(self) -> set[Any]:
        """The reshapes of items' values that the cross stage reads, and so makes for itself.

        One of the user's is kept: it has one row, which a reshape in the cross stage would spread.
        """
        readers = self._readers()
        return {
            var
            for var, value in self._bound.items()
            if self._times[var] is BindingTime.ITEM
            and call_name(value) == "relax.reshape"
            and BindingTime.CROSS in readers.get(var, [])
        }

    def _sink_expansions(self) -> None:
        readers = self._readers()
        for var, value in reversed(list(self._bound.items())):
            times = readers.get(var, [])
            late = bool(times) and all(time is BindingTime.CROSS for time in times)
            if self._times[var] not in _EARLY or not late or expanded_source(value) is None:
                continue
            # What has one row in the cross stage is spread only where it is a parameter.
            if self._times[var] is BindingTime.ITEM or self._is_broadcast(var):
                self._times[var] = BindingTime.CROSS

    def _is_broadcast(self, var: Any) -> bool:
        """Whether every reader is an operator that broadcasts."""
        values = self._bound.values()
        readers = [v for v in values if any(read.same_as(var) for read in reads(v))]
        is_result = any(var.same_as(result) for result in self._results)
        return not is_result and all(call_name(value) in _BROADCASTING for value in readers)

    def _read_later(self, time: BindingTime) -> list[Any]:
        """The values of a stage that the cross stage reads, in order; not the graph's inputs."""
        readers = self._readers()
        return [
            var
            for var in self._bound
            if self._times[var] is time
            and BindingTime.CROSS in readers.get(var, [])
            and var not in self._views
        ]

    def early_stage(self, time: BindingTime) -> StageGraph | None:
        """The graph of what a stage computes for later ones; None where that is nothing."""
        kept = self._kept[time]
        if not kept:
            return None
        needed = _needed(kept, self._bound)
        inside = [var for var in self._bound if var in needed]
        params = [param for param in self._function.params if param in needed]
        builder = _Builder(self._bound)
        new = [builder.parameter(param, param.ty) for param in params]
        module = builder.build(new, inside, kept, always_tuple=True)
        at = list(self._function.params)
        sources = tuple(ValueSource(None, _index(at, param)) for param in params)
        return StageGraph(time, module, sources, len(inside))

    def cross_stage(self) -> StageGraph:
        """The graph of the rows."""
        cross = {var for var in self._bound if self._times[var] is BindingTime.CROSS}
        inside = [var for var in self._bound if var in cross or var in self._views]
        constant = [var for var in self._bound if self._times[var] is BindingTime.BUILD]
        used = {read for var in inside for read in reads(self._bound[var])} | set(self._results)
        builder = _Builder(self._bound)
        params, sources = [], []
        for index, param in enumerate(self._function.params):
            if param in used:
                params.append(self._cross_parameter(builder, param))
                sources.append(ValueSource(None, index))
        for time in _EARLY:
            for index, var in enumerate(self._kept[time]):
                params.append(self._cross_parameter(builder, var))
                sources.append(ValueSource(time, index))
        module = builder.build(params, constant + inside, self._results)
        return StageGraph(BindingTime.CROSS, module, tuple(sources), len(inside))

    def _cross_parameter(self, builder: _Builder, var: Any) -> Any:
        if self._times[var] is not BindingTime.USER:
            return builder.parameter(var, var.ty)
        return builder.one_row_parameter(var)


class _Builder:
    """Builds a function from bindings of another one."""

    def __init__(self, bound: Mapping[Any, Any]) -> None:
        self._bound = bound
        self._new: dict[Any, Any] = {}
        self._one_row: set[Any] = set()
        self._spread: dict[Any, Any] = {}
        self._block = relax.BlockBuilder()

    def parameter(self, var: Any, ty: Any) -> Any:
        """A parameter in the place of `var`."""
        new = relax.Var(var.name_hint if hasattr(var, "name_hint") else var.name, ty)
        self._new[var] = new
        return new

    def one_row_parameter(self, var: Any) -> Any:
        """A parameter of one row in the place of `var`, whose rows are all the same."""
        shape = [1, *list(var.ty.shape.values)[1:]]
        if all(isinstance(extent, int) for extent in (shape_of(var) or ())[1:]):
            self._one_row.add(var)
            return self.parameter(var, relax.TensorType(shape, var.ty.dtype))
        return self.parameter(var, var.ty)

    def build(
        self, params: list[Any], inside: list[Any], results: list[Any], always_tuple: bool = False
    ) -> IRModule:
        """A module whose `main` computes `results` from `params`."""
        block = self._block
        with block.function("main", params):
            with block.dataflow():
                for var in inside:
                    self._new[var] = block.emit(self._moved(self._bound[var]))
                found = [self._argument(result, spread=True) for result in results]
                single = len(found) == 1 and not always_tuple
                output = block.emit_output(found[0] if single else relax.Tuple(found))
            block.emit_func_output(output)
        return block.get()

    def _moved(self, value: Any) -> Any:
        if isinstance(value, relax.Call):
            spread = call_name(value) not in _BROADCASTING
            args = [self._argument(arg, spread) for arg in value.args]
            return relax.Call(value.op, args, value.attrs, value.ty_args)
        return self._argument(value, spread=True)

    def _argument(self, value: Any, spread: bool) -> Any:
        if isinstance(value, relax.Tuple):
            return relax.Tuple([self._argument(field, spread) for field in value.fields])
        if isinstance(value, relax.TupleGetItem):
            return relax.TupleGetItem(self._argument(value.tuple_value, spread), value.index)
        return self._operand(value, spread) if isinstance(value, relax.Var) else value

    def _operand(self, var: Any, spread: bool) -> Any:
        new = self._new[var]
        if not spread or var not in self._one_row:
            return new
        if var not in self._spread:
            call = relax.op.call_dps_packed(SPREAD, relax.Tuple([new]), out_ty=var.ty)
            self._spread[var] = self._block.emit(call)
        return self._spread[var]


def _results(function: Any, bound: Mapping[Any, Any]) -> list[Any]:
    body = function.body.body
    value = bound.get(body, body)
    return list(value.fields) if isinstance(value, relax.Tuple) else [body]


def _needed(kept: list[Any], bound: Mapping[Any, Any]) -> set[Any]:
    """`kept` and all that they are computed from."""
    found: set[Any] = set()
    open_vars = list(kept)
    while open_vars:
        var = open_vars.pop()
        if var not in found:
            found.add(var)
            open_vars += reads(bound[var]) if var in bound else []
    return found


def _index(variables: list[Any], var: Any) -> int:
    return next(i for i, other in enumerate(variables) if other.same_as(var))
