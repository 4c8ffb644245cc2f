"""The compiler: a model up to its stages once, and from there to as many artifacts as one asks for.

What precedes the stages does not depend on precision: import, simplification, binding, the cut by
binding times, the lifting of dense layers. `Compiler.compile` goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.codegen.entry.profile_probes import add_probes
from rtcompile.codegen.entry.serve import served_stages
from rtcompile.codegen.library.module import compile_stages
from rtcompile.codegen.lowering.network import lower_network
from rtcompile.codegen.program.constants import ConstantStore, Table
from rtcompile.codegen.program.kernel_configs import Choices
from rtcompile.codegen.program.network_ports import network_ports
from rtcompile.codegen.program.program import StageProgram
from rtcompile.codegen.program.table_dtypes import TableDtypes, table_dtypes
from rtcompile.codegen.program.trials import Config, Task
from rtcompile.compile.binding import BoundInput, bind
from rtcompile.compile.embeddings import EmbeddingTables, graph_tables, load_tables
from rtcompile.compile.imported_layers import ImportedLayers, imported_layers
from rtcompile.compile.stage_entries import describe_stage
from rtcompile.compile.staging import (
    BINDING_TIMES,
    CROSS,
    Stages,
    lower_ranking,
)
from rtcompile.compile.stored_tables import Original, table_digests, with_stored_tables
from rtcompile.compile.unsupported_values import named_failures
from rtcompile.errors import UnsupportedError
from rtcompile.features.plan import FeaturePlan, Side
from rtcompile.files.pieces import Sections
from rtcompile.frontends.onnx.id_inputs import id_columns
from rtcompile.frontends.onnx.import_onnx import ImportedGraph, import_onnx
from rtcompile.options import BuildOptions
from rtcompile.relay_passes.analysis.binding_times import with_sides
from rtcompile.relay_passes.kernels.precision import PrecisionPlan
from rtcompile.relay_passes.kernels.quantize_dense import describe_layers
from rtcompile.relay_passes.pipeline import simplify, to_kernels, to_stages
from rtcompile.relay_passes.report import Report
from rtcompile.relay_passes.stage.split_stages import StageGraph
from rtcompile.targets import CpuTarget
from rtcompile.tuning.tuned.known_configs import Known, choices_of, describe_choices
from rtcompile.tuning.tuned.logs import Logs

__all__ = ["FLOAT32_PLAN", "Candidate", "Compiler"]

Progress = Callable[[str], None]

# Every layer in float32.
FLOAT32_PLAN = PrecisionPlan()


@dataclass(frozen=True)
class Candidate:
    """What one compilation made: the artifact's parts, and what the kernels read of its tables."""

    manifest: dict[str, Any]
    sections: Sections
    stored_tables: Mapping[str, npt.NDArray[np.float32]]


class Compiler:
    """A model and its features, cut into stages. Raises a subclass of RtcompileError.

    `report` says what the passes did; `plan` is None for a graph that takes its own inputs;
    `layers` are the dense layers that can be quantized, by name; `imported` says of a model that
    comes quantized what they are in it, and is None for others. `logs`: tuning records to choose
    the kernels' configs by.
    """

    def __init__(
        self,
        model: Path,
        plan: FeaturePlan | None,
        options: BuildOptions,
        target: CpuTarget,
        progress: Progress,
        logs: Logs | None = None,
    ) -> None:
        self._known = Known(logs.records if logs else (), target.registers)
        self._model, self._options, self._target, self._progress = model, options, target, progress
        self._dtypes = table_dtypes(options.embedding_dtype, options.table_dtypes)
        self.plan = plan
        self.report = Report()
        progress("import the graph")
        graph = import_onnx(model, options.outputs)
        self.report.start("keep_outputs").applied = graph.left_out.operators
        progress("optimize the graph")
        bound: tuple[BoundInput, ...] = ()
        with named_failures(str(model), graph.module):
            simplified = simplify(graph.module, self.report)
            self.ports = network_ports(
                simplified["main"], graph.inputs, graph.outputs, graph.ragged
            )
            if self.plan:
                _check_no_bags(graph)
                tables = _tables(options, graph.model)
                rows, unread = id_columns(graph.model).whole, graph.left_out.inputs
                bound = bind(self.plan, self.ports[0], tables, rows, unread)
                if "staging" not in options.without:
                    simplified = with_sides(simplified, [BINDING_TIMES[b.side] for b in bound])
            self._staged = to_stages(simplified, self.report, options.without)
        self._early_passes = tuple(self.report.passes)
        self.layers = {
            name: layer
            for s in self._staged
            for name, layer in describe_layers(s.module, s.time.value).items()
        }
        self.imported: ImportedLayers | None = None
        if graph.quantized:
            weights = graph.quantized.weights
            self.imported = imported_layers(self._staged, weights, target)
        self.original = Original(graph, bound)
        self._digests = table_digests(graph.model)

    def tasks(self, precision: PrecisionPlan | None = None) -> dict[Task, int]:
        """What there is to tune: the kernels that the model's calls are of, and how many calls."""
        choices = Choices(self._target.registers)
        self._lower(self._kernels(precision), ConstantStore(self._dtypes), choices)
        return {task: choice.calls for task, choice in choices.asked.items()}

    def compile(
        self,
        precision: PrecisionPlan | None = None,
        exact_tables: bool = False,
        constants: ConstantStore | None = None,
        configs: Mapping[Task, Config] | None = None,
    ) -> Candidate:
        """The artifact of the model, its layers in a precision, by default that which it comes in.

        `configs`: of tasks, whatever the logs say. `constants`: of the same model for other
        targets, to go on with; tables are shared. `exact_tables`: in fp32, whatever the options
        say. What the passes did replaces what an earlier compilation reported.
        """
        self._progress("generate code")
        if constants is None:
            constants = ConstantStore(TableDtypes() if exact_tables else self._dtypes)
        choices = choices_of(self._known, self._target.registers, configs or {})
        stages = self._lower(self._kernels(precision), constants, choices)
        self._dtypes.check_names(table.name for table in constants.tables)
        if self._options.profile:
            for program in stages.programs:
                probes = add_probes(program, self._target.machine)
                stages.descriptions[program.name]["probes"] = probes
        assets = _assets(self.plan, constants)
        data = constants.to_pieces()
        self._progress("compile")
        library = compile_stages(stages.programs, len(data), self._target)
        manifest = {
            **self._manifest(stages, constants),
            "assets": assets,
            "tuning": describe_choices(choices),
        }
        sections: Sections = {"module": library, "constants": data}
        return Candidate(manifest, sections, constants.stored_values())

    def stored(self, candidate: Candidate) -> Original | None:
        """The original on the tables as a candidate stores them; None where they are the same."""
        return with_stored_tables(self.original, candidate.stored_tables, self._digests)

    def _kernels(self, precision: PrecisionPlan | None) -> list[StageGraph]:
        if precision is None:
            precision = self.imported.plan if self.imported else FLOAT32_PLAN
        fusion = "fusion" not in self._options.without
        self.report = Report([*self._early_passes])
        with named_failures(str(self._model), *(s.module for s in self._staged)):
            return [
                replace(
                    s, module=to_kernels(s.module, self.report, s.time.value, fusion, precision)
                )
                for s in self._staged
            ]

    def _lower(
        self, staged: list[StageGraph], constants: ConstantStore, choices: Choices
    ) -> Stages:
        names = {digest: name for name, digest in self._digests.items()}
        bound = self.original.bound
        if self.plan is not None:
            return lower_ranking(staged, self.ports, self.plan, bound, constants, choices, names)
        stages = Stages()
        program = StageProgram(CROSS, *self.ports, tuned_tile=True)
        lower_network(staged[-1].module, program, constants, choices, names)
        stages.add(program, describe_stage(program))
        return stages

    def _manifest(self, stages: Stages, constants: ConstantStore) -> dict[str, Any]:
        target, plan = self._target, self.plan
        return {
            "kind": "graph" if plan is None else "ranking",
            "target": {
                "name": target.name,
                "machine": target.machine,
                "features": list(target.features),
            },
            "fields": {side.value: plan.columns(side) for side in Side} if plan else {},
            "stages": stages.descriptions,
            "serve": [program.name for program in served_stages(stages.programs)],
            "tables": [_describe_table(table) for table in constants.tables],
            "left_out": asdict(self.original.graph.left_out),
            "provenance": {},  # of what is to be written; see `provenance.py`
        }


def _check_no_bags(graph: ImportedGraph) -> None:
    """Raise UnsupportedError for inputs that offsets cut into bags: a feature is one input."""
    for one in graph.ragged:
        raise UnsupportedError(
            f"input {one.offsets!r} cuts {one.flat[0]!r} into bags by offsets, which no feature "
            "gives: give the graph the pooled embedding [rows, d] of a feature as an input, with "
            "its table by embeddings, or build the graph without features"
        )


def _tables(options: BuildOptions, model: Any) -> list[EmbeddingTables]:
    given = [] if options.embeddings is None else [load_tables(Path(options.embeddings))]
    return [*given, graph_tables(model)]


def _assets(plan: FeaturePlan | None, constants: ConstantStore) -> dict[str, dict[str, int]]:
    """Where the files lie among the constants that text is processed with."""
    found = {}
    for asset in plan.assets() if plan else ():
        at = constants.add(np.frombuffer(asset.data, np.uint8))
        found[asset.name] = {"offset": at.offset, "length": len(asset.data)}
    return found


def _describe_table(table: Table) -> dict[str, Any]:
    return {
        "name": table.name,
        "offset": table.offset,
        "bytes": table.bytes,
        "rows": table.rows,
        "dimension": table.format.dimension,
        "dtype": table.format.dtype,
        "note": table.note,
    }
