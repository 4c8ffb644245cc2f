"""The conductor: from a model file to an artifact. This file alone knows every stage.

(Not `build.py`: a submodule of that name would hide the function `rtcompile.build`.)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from onnx import numpy_helper

from relay_passes.errors import PassError
from relay_passes.pipeline import optimize
from relay_passes.report import Report
from rtcompile.artifact import write_artifact
from rtcompile.codegen.constants import ConstantStore, array_digest
from rtcompile.codegen.module import compile_stages
from rtcompile.codegen.network import lower_network, network_ports
from rtcompile.codegen.program import StageProgram
from rtcompile.describe import describe_stage
from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx_import import ImportedGraph, import_onnx
from rtcompile.options import BuildOptions
from rtcompile.targets import CpuTarget, resolve_target
from rtcompile.verify import Verification, verify_network

__all__ = ["BuildResult", "build"]

CROSS_STAGE = "cross"


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
    if options.features is not None:
        raise UnsupportedError(
            "building with a feature config is not supported yet: leave --features out to compile "
            "the graph on its own inputs"
        )
    model, output = Path(model), Path(output)
    target = resolve_target(options.target)
    progress("import the graph")
    graph = import_onnx(model)
    progress("optimize the graph")
    report = Report()
    try:
        optimized = optimize(graph.module, report)
    except PassError as error:
        raise UnsupportedError(f"{model}: {error}") from error
    progress("generate code")
    constants = ConstantStore()
    program = _lower(graph, optimized, constants, target)
    data = constants.to_bytes()
    progress("compile")
    library = compile_stages([program], len(data), target)
    manifest = _manifest(model, options, target, program, constants)
    sections = {"module": library, "constants": data}
    verification = None
    if options.verify:
        progress("verify against the original")
        verification = verify_network(graph, manifest, sections)
    progress("write the artifact")
    write_artifact(output, manifest, sections)
    return BuildResult(manifest, report, verification)


def _lower(
    graph: ImportedGraph, module: Any, constants: ConstantStore, target: CpuTarget
) -> StageProgram:
    inputs, outputs = network_ports(module["main"], graph.inputs, graph.outputs)
    program = StageProgram(CROSS_STAGE, inputs, outputs)
    lower_network(module, program, constants, target.widest_panel, _table_names(graph))
    return program


def _table_names(graph: ImportedGraph) -> dict[bytes, str]:
    tensors = graph.model.graph.initializer
    return {
        array_digest(numpy_helper.to_array(tensor)): tensor.name
        for tensor in tensors
        if len(tensor.dims) == 2
    }


def _manifest(
    model: Path,
    options: BuildOptions,
    target: CpuTarget,
    program: StageProgram,
    constants: ConstantStore,
) -> dict[str, Any]:
    return {
        "kind": "graph",
        "target": {
            "name": target.name,
            "machine": target.machine,
            "features": list(target.features),
        },
        "stages": {program.name: describe_stage(program)},
        "tables": [
            {"name": t.name, "offset": t.offset, "rows": t.rows, "dimension": t.dimension}
            for t in constants.tables
        ],
        "provenance": {
            "model": model.name,
            "model_sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
            "options_sha256": options.digest(),
            "rtcompile": version("rtcompile"),
            "tvm": version("apache-tvm"),
        },
    }
