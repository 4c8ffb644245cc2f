"""The conductor: from a model file to an artifact. This file alone knows every stage.

(Not `build.py`: a submodule of that name would hide the function `rtcompile.build`.)
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from relay_passes.binding_times import with_sides
from relay_passes.errors import PassError
from relay_passes.pipeline import simplify, to_stages
from relay_passes.report import Report
from relay_passes.split_stages import StageGraph
from rtcompile.artifact import write_artifact
from rtcompile.binding import BoundInput, bind
from rtcompile.codegen.constants import ConstantStore, Table
from rtcompile.codegen.module import compile_stages
from rtcompile.codegen.network import lower_network, network_ports
from rtcompile.codegen.probes import add_probes
from rtcompile.codegen.program import Port, StageProgram
from rtcompile.describe import describe_stage
from rtcompile.embeddings import EmbeddingTables, graph_tables, load_tables
from rtcompile.errors import ConfigError, UnsupportedError
from rtcompile.features.config import load_config
from rtcompile.features.operators import CallLibrary
from rtcompile.features.plan import FeaturePlan, Side
from rtcompile.frontends.id_inputs import id_columns
from rtcompile.frontends.onnx_import import ImportedGraph, import_onnx
from rtcompile.options import BuildOptions
from rtcompile.rows import read_rows
from rtcompile.staging import BINDING_TIMES, CROSS, Stages, lower_ranking
from rtcompile.stored_tables import Original, table_digests, with_stored_tables
from rtcompile.table_dtypes import table_dtypes
from rtcompile.targets import CpuTarget, resolve_target, runs_here
from rtcompile.verify import Verification, verify_network
from rtcompile.verify_ranking import verify_ranking

__all__ = ["BuildResult", "build"]


@dataclass(frozen=True)
class BuildResult:
    """What a build did: the manifest it wrote, the passes' report, and the comparison."""

    manifest: dict[str, Any]
    report: Report
    verification: Verification | None


def build(
    model: str | Path,
    options: BuildOptions | None = None,
    *,
    output: str | Path,
    progress: Callable[[str], None] = lambda step: None,
) -> BuildResult:
    """Compile the ONNX model at `model` and write the artifact `output`.

    Raises a subclass of RtcompileError; then nothing is written.
    """
    options = options or BuildOptions()
    model, output = Path(model), Path(output)
    target = resolve_target(options.target)
    dtypes = table_dtypes(options.embedding_dtype, options.table_dtypes)
    plan = _features(options)
    _check_target(target, plan, options.verify)
    progress("import the graph")
    graph = import_onnx(model)
    progress("optimize the graph")
    report = Report()
    constants = ConstantStore(dtypes)
    try:
        simplified = simplify(graph.module, report)
        ports = network_ports(simplified["main"], graph.inputs, graph.outputs)
        bound = _bind(plan, ports[0], graph, options) if plan else ()
        if plan and "staging" not in options.without:
            simplified = with_sides(simplified, [BINDING_TIMES[b.side] for b in bound])
        staged = to_stages(simplified, report, fusion="fusion" not in options.without)
    except PassError as error:
        raise UnsupportedError(f"{model}: {error}") from error
    progress("generate code")
    digests = table_digests(graph.model)
    stages = _lower(digests, staged, ports, plan, bound, constants, target)
    dtypes.check_names(table.name for table in constants.tables)
    if options.profile:
        for program in stages.programs:
            probes = add_probes(program, target.machine)
            stages.descriptions[program.name]["probes"] = probes
    assets = _assets(plan, constants)
    data = constants.to_bytes()
    progress("compile")
    library = compile_stages(stages.programs, len(data), target)
    manifest = _manifest(model, options, target, stages, constants, plan)
    manifest["assets"] = assets
    sections = {"module": library, "constants": data}
    verification = None
    if options.verify:
        progress("verify against the original")
        original = Original(graph, bound)
        stored = with_stored_tables(original, constants.stored_values(), digests)
        if plan:
            rows = read_rows(options.calibration, plan) if options.calibration else None
            verification = verify_ranking(plan, original, stored, manifest, sections, rows)
        else:
            verification = verify_network(graph, stored, manifest, sections)
    progress("write the artifact")
    write_artifact(output, manifest, sections)
    return BuildResult(manifest, report, verification)


def _features(options: BuildOptions) -> FeaturePlan | None:
    if options.features is not None:
        return load_config(Path(options.features))
    for name in ("embeddings", "calibration"):
        if getattr(options, name) is not None:
            raise ConfigError(f"{name} belongs to a feature config: give it with features")
    return None


def _check_target(target: CpuTarget, plan: FeaturePlan | None, verify: bool) -> None:
    """Raise UnsupportedError for what cannot be built on this machine for another."""
    if verify and not runs_here(target):
        raise UnsupportedError(
            f"a build for {target.name} cannot be verified on this machine, which cannot run it: "
            "build there, or build with --no-verify"
        )
    for feature in plan.features if plan else ():
        library = isinstance(feature.operator, CallLibrary)
        if library and target.machine != platform.machine():
            raise UnsupportedError(
                f"feature {feature.name!r}: its operator_lib_file was compiled for this machine, "
                f"{platform.machine()}, and cannot go into a build for {target.name}: build there"
            )


def _bind(
    plan: FeaturePlan, inputs: tuple[Port, ...], graph: ImportedGraph, options: BuildOptions
) -> tuple[BoundInput, ...]:
    tables: list[EmbeddingTables] = []
    if options.embeddings is not None:
        tables.append(load_tables(Path(options.embeddings)))
    tables.append(graph_tables(graph.model))
    return bind(plan, inputs, tables, id_columns(graph.model).whole)


def _lower(
    digests: dict[str, bytes],
    staged: tuple[StageGraph, ...],
    ports: tuple[tuple[Port, ...], tuple[Port, ...]],
    plan: FeaturePlan | None,
    bound: tuple[BoundInput, ...],
    constants: ConstantStore,
    target: CpuTarget,
) -> Stages:
    names, registers = {digest: name for name, digest in digests.items()}, target.registers
    if plan is not None:
        return lower_ranking(staged, ports, plan, bound, constants, registers, names)
    stages = Stages()
    program = StageProgram(CROSS, *ports)
    lower_network(staged[-1].module, program, constants, registers, names)
    stages.add(program, describe_stage(program))
    return stages


def _assets(plan: FeaturePlan | None, constants: ConstantStore) -> dict[str, dict[str, int]]:
    """Where the files lie among the constants that text is processed with."""
    found = {}
    for asset in plan.assets() if plan else ():
        at = constants.add(np.frombuffer(asset.data, np.uint8))
        found[asset.name] = {"offset": at.offset, "length": len(asset.data)}
    return found


def _manifest(
    model: Path,
    options: BuildOptions,
    target: CpuTarget,
    stages: Stages,
    constants: ConstantStore,
    plan: FeaturePlan | None,
) -> dict[str, Any]:
    return {
        "kind": "graph" if plan is None else "ranking",
        "target": {
            "name": target.name,
            "machine": target.machine,
            "features": list(target.features),
        },
        "fields": {side.value: plan.columns(side) for side in Side} if plan else {},
        "stages": stages.descriptions,
        "tables": [_describe_table(table) for table in constants.tables],
        "provenance": {
            "model": model.name,
            "model_sha256": _digest(model),
            "features_sha256": _digest(Path(options.features)) if options.features else None,
            "options_sha256": options.digest(),
            "rtcompile": version("rtcompile"),
            "tvm": version("apache-tvm"),
        },
    }


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


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
