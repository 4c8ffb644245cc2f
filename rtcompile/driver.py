"""The conductor: from a model file to an artifact on disk.

(Not `build.py`: a submodule of that name would hide the function `rtcompile.build`.)
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rtcompile.codegen.program.constants import ConstantStore
from rtcompile.codegen.program.table_dtypes import table_dtypes
from rtcompile.compile.compiler import FLOAT32_PLAN, Candidate, Compiler
from rtcompile.compile.imported_layers import describe_imported
from rtcompile.compile.provenance import describe_provenance, note_files
from rtcompile.compile.safe_graph import is_safe
from rtcompile.compile.write_artifact import write_variants
from rtcompile.contained_build import build_contained
from rtcompile.errors import (
    ConfigError,
    ModelError,
    RtcompileError,
    ToolchainError,
    TuningError,
    UnsupportedError,
)
from rtcompile.features.config.parse_config import load_config
from rtcompile.features.operators import CallLibrary
from rtcompile.features.plan import FeaturePlan
from rtcompile.files.input_files import InputFile, recorded
from rtcompile.files.scratch_folder import sigterm_unwinds
from rtcompile.options import BuildOptions
from rtcompile.quantize.build import Quantization, build_quantized, has_a_budget, levels_of
from rtcompile.relay_passes.report import Report
from rtcompile.runtime.errors import InferenceError
from rtcompile.targets import CpuTarget, resolve_targets, runs_here
from rtcompile.tuning.tuned.logs import Logs, packaged_logs, read_logs
from rtcompile.verification.differences import Verification
from rtcompile.verification.of_build import verify_build

__all__ = ["BuildResult", "build", "build_here"]


@dataclass(frozen=True)
class BuildResult:
    """What a build did: the manifest it wrote, the passes' report, and the comparisons.

    `log_notes`: what of the tuning logs did not count, and why. Of a build for several `targets`
    the manifest and the passes' report are those of the most able one, and the comparison is the
    worst one. `unverified`: targets that this machine cannot run, which `rtcompile verify` can be
    asked of where they run.
    """

    manifest: dict[str, Any]
    report: Report
    verification: Verification | None
    quantization: Quantization | None = None
    log_notes: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()


def build(
    model: str | Path,
    options: BuildOptions | None = None,
    *,
    output: str | Path,
    progress: Callable[[str], None] = lambda step: None,
) -> BuildResult:
    """Compile the ONNX model at `model` and write the artifact `output`.

    Where TVM may not survive the graph, another process does so. Raises a subclass of
    RtcompileError; then nothing is written.
    """
    options = options or BuildOptions()
    with sigterm_unwinds():
        if is_safe(Path(model)):
            return build_here(model, options, output=output, progress=progress)
        result = build_contained(Path(model), options, Path(output), progress)
        assert isinstance(result, BuildResult)
        return result


def build_here(
    model: str | Path,
    options: BuildOptions | None = None,
    *,
    output: str | Path,
    progress: Callable[[str], None] = lambda step: None,
) -> BuildResult:
    """`build`, in this process whatever the graph is."""
    steps = ["start"]

    def say(step: str) -> None:
        steps.append(step)
        progress(step)

    try:
        return _whole_build(Path(model), options or BuildOptions(), Path(output), say)
    except (RtcompileError, InferenceError, OSError):
        raise
    except Exception as error:  # of TVM, of its own; or no memory
        lines = str(error).strip().splitlines()
        reason = f"{type(error).__name__}: {lines[-1][:300]}" if lines else type(error).__name__
        raise ToolchainError(
            f"{model}: the compiler failed in the step {steps[-1]!r}: {reason}; a graph that it "
            "should know is worth a report, with what --debug says"
        ) from error


def _whole_build(
    model: Path, options: BuildOptions, output: Path, progress: Callable[[str], None]
) -> BuildResult:
    """`build` for each target, one after the other, into one artifact."""
    targets = resolve_targets(options.targets)
    with recorded() as config_files:
        plan = _features(options)
    for target in targets:
        _check_target(target, plan)
        levels_of(options, target)  # refused before anything is built
    constants = None
    if len(targets) > 1 and not has_a_budget(options):
        constants = ConstantStore(table_dtypes(options.embedding_dtype, options.table_dtypes))
    built = []
    for target in targets:
        say = partial(_say, progress, target.name if len(targets) > 1 else "")
        candidate, result = _build(model, plan, options, target, constants, say, config_files)
        candidate.manifest["tags"] = dict(options.tags)
        built.append((candidate, result))
    progress("write the artifact")
    write_variants(output, [(c.manifest, c.sections) for c, _ in built])
    return _all_of([result for _, result in built])


def _build(
    model: Path,
    plan: FeaturePlan | None,
    options: BuildOptions,
    target: CpuTarget,
    constants: ConstantStore | None,
    progress: Callable[[str], None],
    config_files: Sequence[InputFile],
) -> tuple[Candidate, BuildResult]:
    """The artifact for one target, verified. `constants`: see `Compiler.compile`."""
    logs = _logs(options, target)
    with recorded() as model_files:
        compiler = Compiler(model, plan, options, target, progress, logs)
    quantization = None
    _check_quantization(compiler, options)
    if has_a_budget(options):
        _check_measurable(target)
        candidate, quantization = build_quantized(compiler, options, target, progress)
        checked = quantization.exact
    else:
        checked, candidate = _compile(compiler, options, constants)
    verification = None
    if options.verify:
        moved = quantization.quality.largest if quantization else 0.0
        verification = verify_build(
            compiler, checked, candidate, options, runs_here(target), moved, progress
        )
    candidate.manifest["provenance"] = _provenance(options, target, [*config_files, *model_files])
    notes, report = tuple(logs.notes()), compiler.report
    return candidate, BuildResult(candidate.manifest, report, verification, quantization, notes)


def _provenance(
    options: BuildOptions, target: CpuTarget, files_read: Sequence[InputFile]
) -> dict[str, Any]:
    try:
        with recorded() as files:
            note_files(options, target.name)
    except OSError as error:
        raise ModelError(f"{error.filename}: cannot be read: {error.strerror}") from error
    return describe_provenance([*files_read, *files], options)


def _say(progress: Callable[[str], None], target: str, step: str) -> None:
    progress(f"{target}: {step}" if target else step)


def _all_of(results: Sequence[BuildResult]) -> BuildResult:
    """The result for the most able target, with what was said of all."""
    last = results[-1]
    checked = [r.verification for r in results if r.verification is not None]
    worst = max(checked, key=lambda v: v.largest_difference, default=None)
    return replace(
        last,
        verification=worst and replace(worst, rows=sum(v.rows for v in checked)),
        log_notes=tuple(dict.fromkeys(note for r in results for note in r.log_notes)),
        targets=tuple(r.manifest["target"]["name"] for r in results),
        unverified=tuple(
            r.manifest["target"]["name"]
            for r in results
            if not r.manifest.get("verification", {"verified": True})["verified"]
        ),
    )


def _logs(options: BuildOptions, target: CpuTarget) -> Logs:
    """The tuning records of the target. Raises TuningError for a folder that is not there."""
    if options.tuning_logs is None:
        return read_logs(packaged_logs(), target.name)
    directory = Path(options.tuning_logs)
    if not directory.is_dir():
        raise TuningError(f"{directory}: no such folder of tuning logs")
    return read_logs(directory, target.name)


def _features(options: BuildOptions) -> FeaturePlan | None:
    if options.features is not None:
        return load_config(Path(options.features))
    if options.embeddings is not None:
        raise ConfigError("embeddings belong to a feature config: give them with features")
    if options.calibration is not None and not has_a_budget(options):
        raise ConfigError(
            "calibration data of a graph without features serves lower precision only: give it "
            "with quantize or embedding_dtype"
        )
    return None


def _check_target(target: CpuTarget, plan: FeaturePlan | None) -> None:
    """Raise UnsupportedError for what cannot be built on this machine for another."""
    for feature in plan.features if plan else ():
        library = isinstance(feature.operator, CallLibrary)
        if library and target.machine != platform.machine():
            raise UnsupportedError(
                f"feature {feature.name!r}: its operator_lib_file was compiled for this machine, "
                f"{platform.machine()}, and cannot go into a build for {target.name}: build there"
            )


def _check_measurable(target: CpuTarget) -> None:
    if not runs_here(target):
        raise UnsupportedError(
            f"what lower precision does to scores is measured where they are computed, and this "
            f"machine cannot run {target.name}: build there"
        )


def _check_quantization(compiler: Compiler, options: BuildOptions) -> None:
    if compiler.imported and options.quantize != "none":
        raise ConfigError(
            f"quantize {options.quantize!r}: the model comes quantized, and its layers keep the "
            "precision of the file: build it without quantize, or build the float model"
        )


def _compile(
    compiler: Compiler, options: BuildOptions, constants: ConstantStore | None
) -> tuple[Candidate, Candidate]:
    """(what is compared with the original value by value, what is written)."""
    if compiler.imported is None:
        candidate = compiler.compile(constants=constants)
        return candidate, candidate
    # Layers of a quantized model in float32, to see the kernels around them right on their own.
    exact = compiler.compile(FLOAT32_PLAN) if options.verify else None
    candidate = compiler.compile(constants=constants)
    candidate.manifest["precision"] = {
        "layers": describe_imported(compiler.layers, compiler.imported)
    }
    return exact or candidate, candidate
