"""The stages of a ranking artifact: what runs once a request, once an item, once a row.

user      the user's features -> their graph inputs, one row
item      the items' features -> their graph inputs, one row an item, kept in the item table
context   the context's features -> their graph inputs, one row a (request, item) pair
cross     the network, over the rows of all three
extract_* the features of a side as columns, for logging and for training
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rtcompile.binding import BoundInput, Form
from rtcompile.codegen.constants import ConstantStore
from rtcompile.codegen.features.lower import FeatureStage, TablePlace
from rtcompile.codegen.network import Source, lower_network
from rtcompile.codegen.program import Port, StageProgram
from rtcompile.describe import describe_columns, describe_stage
from rtcompile.features.plan import FeaturePlan, Side

__all__ = ["CROSS", "ITEM_PLACES", "Stages", "lower_ranking"]

CROSS = "cross"
ITEM_PLACES = Port("item_places", "int64", ())

_SOURCES = {Side.USER: Source.USER, Side.ITEM: Source.ITEM, Side.CONTEXT: Source.ROWS}


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
    network: Any,
    ports: tuple[tuple[Port, ...], tuple[Port, ...]],
    plan: FeaturePlan,
    bound: Sequence[BoundInput],
    constants: ConstantStore,
    widest_panel: int,
    table_names: Mapping[bytes, str],
) -> Stages:
    """Every stage of an optimized `network`, whose inputs are `bound` in order."""
    stages = Stages()
    for side in Side:
        _add_inputs(stages, side, plan, bound, constants)
    for side in Side:
        _add_columns(stages, side, plan, constants)
    inputs, outputs = ports
    sources = [_SOURCES[b.side] for b in bound]
    placed = tuple(
        Port(port.name, port.dtype, port.shape, per_request=source is not Source.ROWS)
        for port, source in zip(inputs, sources, strict=True)
    )
    program = StageProgram(CROSS, (*placed, ITEM_PLACES), outputs)
    lower_network(network, program, constants, widest_panel, table_names, sources)
    sides = [b.side.value for b in bound]
    stages.add(program, {**describe_stage(program), "sides": sides})
    return stages


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
    features = [f for f in plan.features if f.side is side]
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
        at = constants.add_table(name, b.table)
        stage.add_pooled(b.feature, b.port, TablePlace(name, at, *b.table.shape))


def _add_columns(stages: Stages, side: Side, plan: FeaturePlan, constants: ConstantStore) -> None:
    features = [f for f in plan.features if f.side is side]
    if not features:
        return
    stage = FeatureStage(f"extract_{side.value}", constants)
    for feature in features:
        stage.add_column(feature)
    program = stage.finish()
    stages.add(program, describe_columns(program, stage.columns, features))
