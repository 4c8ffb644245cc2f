"""The stages of a ranking artifact: what runs once a request, once an item, once a row.

user, item, context  the features of a side -> graph inputs
user_network         what the network computes of the user alone, once a request
item_network         what it computes of an item alone, once an item; kept in the item table
cross                the rest of the network, over the rows
extract_*            the features of a side as columns, for logging and for training

A network's description names the `sources` of its inputs: stage and which of its outputs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tvm import relax

from rtcompile.codegen.features.lower import FeatureStage
from rtcompile.codegen.lowering.network import Source, lower_network
from rtcompile.codegen.lowering.origins import Origins, origins_of
from rtcompile.codegen.program.constants import ConstantStore
from rtcompile.codegen.program.kernel_configs import Choices
from rtcompile.codegen.program.network_ports import network_ports
from rtcompile.codegen.program.program import Port, StageProgram
from rtcompile.compile.binding import BoundInput, Form
from rtcompile.compile.stage_entries import describe_columns, describe_stage
from rtcompile.features.plan import FeaturePlan, Side
from rtcompile.relay_passes.analysis.binding_times import BindingTime
from rtcompile.relay_passes.matching import bindings
from rtcompile.relay_passes.stage.split_stages import StageGraph, ValueSource

__all__ = ["BINDING_TIMES", "CROSS", "ITEM_PLACES", "Stages", "lower_ranking"]

CROSS = "cross"
ITEM_PLACES = Port("item_places", "int64", ())

BINDING_TIMES = {
    Side.USER: BindingTime.USER,
    Side.ITEM: BindingTime.ITEM,
    Side.CONTEXT: BindingTime.CROSS,
}


@dataclass
class Stages:
    """Programs, and what the manifest says of them, by name."""

    programs: list[StageProgram] = field(default_factory=list)
    descriptions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, program: StageProgram, description: dict[str, Any]) -> None:
        """Append a stage."""
        self.programs.append(program)
        self.descriptions[program.name] = description


def lower_ranking(
    staged: Sequence[StageGraph],
    ports: tuple[tuple[Port, ...], tuple[Port, ...]],
    plan: FeaturePlan,
    bound: Sequence[BoundInput],
    constants: ConstantStore,
    choices: Choices,
    table_names: Mapping[bytes, str],
) -> Stages:
    """Every stage of a network that was cut into `staged`, whose inputs are `bound` in order."""
    stages = Stages()
    for side in Side:
        _add_inputs(stages, side, plan, bound, constants)
    for side in Side:
        _add_columns(stages, side, plan, constants)
    networks = _Networks(ports, bound, constants, choices, table_names)
    for graph in staged:
        program, sources = networks.lower(graph)
        about = {"sources": sources, "operators": graph.operators}
        stages.add(program, {**describe_stage(program), **about})
    return stages


class _Networks:
    """Lowers the networks of the stages, in order."""

    def __init__(
        self,
        ports: tuple[tuple[Port, ...], tuple[Port, ...]],
        bound: Sequence[BoundInput],
        constants: ConstantStore,
        choices: Choices,
        table_names: Mapping[bytes, str],
    ) -> None:
        self._ports, self._bound = ports, bound
        self._constants, self._choices, self._names = constants, choices, table_names
        self._results: dict[BindingTime, list[Origins]] = {}  # of each result of a stage

    def lower(self, graph: StageGraph) -> tuple[StageProgram, list[list[Any]]]:
        """The program of a stage, and where its inputs come from."""
        cross = graph.time is BindingTime.CROSS
        names = [self._name(source) for source in graph.inputs]
        results = [port.name for port in self._ports[1]] if cross else _numbered(graph)
        inputs, outputs = network_ports(graph.module["main"], tuple(names), tuple(results))
        sources = [self._place(source) for source in graph.inputs]
        kinds = [
            _kind(self._time(source), port) if cross else Source.ROWS
            for source, port in zip(graph.inputs, inputs, strict=True)
        ]
        placed = tuple(
            replace(port, per_request=port.per_request or kind is not Source.ROWS)
            for port, kind in zip(inputs, kinds, strict=True)
        )
        name = CROSS if cross else f"{graph.time.value}_network"
        program = StageProgram(name, (*placed, ITEM_PLACES) if cross else placed, outputs)
        program.single_row, program.tuned_tile = graph.time is BindingTime.USER, cross
        origins = [self._origins_of(source) for source in graph.inputs]
        main = graph.module["main"]
        given = dict(zip(main.params, origins, strict=True))
        self._results[graph.time] = [
            origins_of(result, bindings(main), given) for result in _results(main)
        ]
        lower_network(
            graph.module, program, self._constants, self._choices, self._names, kinds, origins
        )
        return program, sources

    def _origins_of(self, source: ValueSource) -> Origins:
        """What of a request an input of a stage comes from."""
        if source.stage is None:
            return (f"feature {self._bound[source.index].feature.name!r}",)
        return self._results[source.stage][source.index]

    def _time(self, source: ValueSource) -> BindingTime:
        return source.stage or BINDING_TIMES[self._bound[source.index].side]

    def _name(self, source: ValueSource) -> str:
        if source.stage is None:
            return self._ports[0][source.index].name
        return f"{source.stage.value}_{source.index}"

    def _place(self, source: ValueSource) -> list[Any]:
        """The stage that gives a value, and which of its outputs it is."""
        if source.stage is not None:
            return [f"{source.stage.value}_network", source.index]
        side = self._bound[source.index].side
        before = sum(b.side is side for b in self._bound[: source.index])
        return [side.value, before]


def _numbered(graph: StageGraph) -> list[str]:
    count = len(graph.module["main"].ret_ty.fields)
    return [f"{graph.time.value}_{index}" for index in range(count)]


def _results(function: Any) -> list[Any]:
    """What a function returns, in order."""
    body = function.body.body
    value = bindings(function).get(body, body)
    return list(value.fields) if isinstance(value, relax.Tuple) else [body]


def _kind(time: BindingTime, port: Port) -> Source:
    """What the buffer of an input of the cross stage holds."""
    if time is BindingTime.ITEM:
        return Source.ITEM
    return Source.USER if time is BindingTime.USER and not port.per_request else Source.ROWS


def _add_inputs(
    stages: Stages,
    side: Side,
    plan: FeaturePlan,
    bound: Sequence[BoundInput],
    constants: ConstantStore,
) -> None:
    stage = FeatureStage(side.value, constants)
    mine = [b for b in bound if b.side is side]
    if not mine:
        return
    for b in mine:
        _add_input(stage, b, constants)
    program = stage.finish()
    read = {b.feature.name for b in mine}
    features = [f for f in plan.features if f.name in read]
    stages.add(program, describe_columns(program, stage.columns, features))


def _add_input(stage: FeatureStage, b: BoundInput, constants: ConstantStore) -> None:
    if b.form is Form.NUMBERS:
        stage.add_numbers(b.feature, b.port)
    elif b.form is Form.IDS:
        stage.add_ids(b.feature, b.port)
    elif b.form is Form.LENGTHS:
        stage.add_lengths(b.feature, b.port)
    else:
        assert b.table is not None
        assert b.feature.embedding is not None
        name = b.feature.embedding.table
        stage.add_pooled(b.feature, b.port, constants.add_table(name, b.table))


def _add_columns(stages: Stages, side: Side, plan: FeaturePlan, constants: ConstantStore) -> None:
    features = [f for f in plan.features if f.side is side]
    if not features:
        return
    stage = FeatureStage(f"extract_{side.value}", constants)
    for feature in features:
        stage.add_column(feature)
    program = stage.finish()
    stages.add(program, describe_columns(program, stage.columns, features))
