"""Build a model in lower precision: find the precisions, compile, hold the result to the budget.

The scores of the result are compared with those of a build that is exact: tables in fp32, layers in
float32, itself verified against the original.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtcompile.compile.compiler import FLOAT32_PLAN, Candidate, Compiler
from rtcompile.compile.imported_layers import describe_imported
from rtcompile.compile.load_build import loaded
from rtcompile.errors import BudgetError, ConfigError, DataError, UnsupportedError
from rtcompile.features.generate import generate_columns
from rtcompile.features.plan import FeaturePlan, Side
from rtcompile.options import BuildOptions
from rtcompile.quantize.assign import Assignment
from rtcompile.quantize.choose import (
    Scores,
    layer_costs,
    observe_ranges,
    search,
    switch_plan,
)
from rtcompile.quantize.quality import Budget, Quality, compare
from rtcompile.quantize.samples import (
    GraphSamples,
    RankingSamples,
    Samples,
    read_arrays,
    read_requests,
)
from rtcompile.quantize.speed_gate import LEAST_WORK, keep_faster, speedups
from rtcompile.relay_passes.kernels.precision import LayerPrecision, PrecisionPlan
from rtcompile.relay_passes.kernels.quantize_dense import DenseLayer
from rtcompile.targets import CpuTarget
from rtcompile.verification.draw_inputs import generate_inputs

__all__ = ["Quantization", "build_quantized", "has_a_budget", "levels_of"]

_GENERATED_ROWS, _GENERATED_USERS = 256, 8


@dataclass(frozen=True)
class Quantization:
    """What was chosen. `exact`: a build like it whose layers compute in float32."""

    assignment: Assignment
    quality: Quality
    rows: int
    exact: Candidate


def has_a_budget(options: BuildOptions) -> bool:
    """Whether a build's scores may differ, and are to be measured: by its layers' precision, or by
    its tables', where there is data to measure on."""
    return options.quantize != "none" or (_lowers_tables(options) and bool(options.calibration))


def _lowers_tables(options: BuildOptions) -> bool:
    return options.embedding_dtype != "fp32" or bool(options.table_dtypes)


def levels_of(options: BuildOptions, target: CpuTarget) -> tuple[str, ...]:
    """From the fastest to float32. Raises UnsupportedError where the target has no kernel."""
    if options.quantize == "none":
        return ("float32",)
    registers = target.registers
    if options.quantize == "int8" and not registers.int8:
        raise UnsupportedError(
            f"quantize: {target.name} has no instruction that multiplies bytes: int8 layers would "
            "be no faster than float32; name a target that has one (x86-64-v4-vnni, "
            "aarch64-neoverse-n1), or store the embeddings in int8 only"
        )
    if options.quantize == "bf16" and not registers.bf16:
        raise UnsupportedError(
            f"quantize: {target.name} has no instruction that multiplies bfloat16: layers would be "
            "slower than float32; name a target that has one (x86-64-v4-bf16)"
        )
    middle = ("bf16",) if registers.bf16 else ()
    return ("int8", *middle, "float32") if options.quantize == "int8" else ("bf16", "float32")


def build_quantized(
    compiler: Compiler,
    options: BuildOptions,
    target: CpuTarget,
    progress: Callable[[str], None],
) -> tuple[Candidate, Quantization]:
    """The artifact, and how it was found. Raises BudgetError, DataError."""
    levels, samples = levels_of(options, target), _samples(compiler, options)
    reference = None
    if _lowers_tables(options):
        reference = _scores(compiler.compile(exact_tables=True), samples)
    assignment = Assignment({}, Quality(0.0, 0.0))
    if compiler.imported or len(levels) == 1 or not compiler.layers:
        # The last compilation is the one that is reported.
        exact = compiler.compile(FLOAT32_PLAN) if compiler.imported else None
        candidate = compiler.compile()
        exact, reference = exact or candidate, reference or _scores(candidate, samples)
    else:
        exact = compiler.compile(FLOAT32_PLAN)
        reference = reference or _scores(exact, samples)
        ranges = _ranges(compiler, options, samples, progress)
        layers, small = _worth(compiler.layers, ranges, levels)
        progress("build every precision")
        switch = compiler.compile(switch_plan(ranges, levels))
        progress("measure precisions")
        assignment = search(switch, layers, samples, reference, levels, _budget(options))
        assignment.levels.update(dict.fromkeys(small, "float32"))
        assignment.reasons.update(small)

        def build() -> Candidate:
            return compiler.compile(PrecisionPlan(_precisions(assignment, ranges)))

        def pace(candidate: Candidate) -> Mapping[int, float]:
            if options.keep_slower:
                return {}
            progress("time it beside float32")
            return speedups(candidate, exact, samples)

        candidate = keep_faster(assignment, layer_costs(layers), build, pace)
    quality = compare(reference, _scores(candidate, samples), samples.labels)
    _hold(quality, options)
    candidate.manifest["precision"] = _describe(compiler, assignment, quality, samples)
    return candidate, Quantization(assignment, quality, samples.rows, exact)


def _worth(
    layers: Mapping[str, DenseLayer], ranges: Mapping[str, LayerPrecision], levels: Sequence[str]
) -> tuple[dict[str, DenseLayer], dict[str, str]]:
    """The layers that can gain, and why the others cannot."""
    small = {
        name: f"too small: the ranges of its rows cost more than {levels[0]} saves"
        for name, layer in layers.items()
        if levels[0] == "int8" and name not in ranges and layer.depth * layer.columns < LEAST_WORK
    }
    return {name: layer for name, layer in layers.items() if name not in small}, small


def _ranges(
    compiler: Compiler,
    options: BuildOptions,
    samples: Samples,
    progress: Callable[[str], None],
) -> dict[str, LayerPrecision]:
    """Of real data only: generated numbers say nothing of what a layer will read."""
    if options.quantize != "int8" or options.calibration is None:
        return {}
    if options.calibration_method == "dynamic":
        return {}
    progress("observe the ranges")
    return observe_ranges(compiler.compile, compiler.layers, samples, options.calibration_method)


def _precisions(
    assignment: Assignment, ranges: Mapping[str, LayerPrecision]
) -> dict[str, LayerPrecision]:
    return {
        name: ranges[name] if level == "int8" and name in ranges else LayerPrecision(level)
        for name, level in assignment.levels.items()
    }


def _scores(candidate: Candidate, samples: Samples) -> Scores:
    with loaded(candidate.manifest, candidate.sections) as ranker:
        return samples.scores(ranker)


def _budget(options: BuildOptions) -> Budget:
    try:
        return Budget(options.max_auc_drop, options.max_difference, options.max_mean_difference)
    except ValueError as error:
        raise ConfigError(str(error)) from error


def _hold(quality: Quality, options: BuildOptions) -> None:
    used = quality.share(_budget(options))
    if used > 1 and not options.allow_over_budget:
        raise BudgetError(
            f"the scores in lower precision are over the budget ({100 * used:.0f}% of it): "
            f"{quality}; allow more (--max-auc-drop, --max-difference, --max-mean-difference), or "
            "build with --allow-over-budget: the artifact was not written"
        )


def _describe(
    compiler: Compiler, assignment: Assignment, quality: Quality, samples: Samples
) -> dict[str, object]:
    """For the manifest: each layer's shape and level, and what it cost."""
    imported = compiler.imported
    layers = [
        {
            "layer": name,
            "depth": layer.depth,
            "columns": layer.columns,
            "level": assignment.levels.get(name, "float32"),
            "reason": assignment.reasons.get(name, ""),
        }
        for name, layer in compiler.layers.items()
    ]
    return {
        "layers": describe_imported(compiler.layers, imported) if imported else layers,
        "rows": samples.rows,
        "largest_difference": quality.largest,
        "mean_difference": quality.mean,
        "auc_drop": quality.auc_drop,
    }


def _samples(compiler: Compiler, options: BuildOptions) -> Samples:
    plan, label = compiler.plan, options.label
    if options.calibration is None:
        if label is not None:
            raise ConfigError("label names a column of the calibration data: give that too")
        return _generated(compiler)
    path = Path(options.calibration)
    if plan is None:
        return read_arrays(path, compiler.ports[0], label)
    return read_requests(path, plan, label)


def _generated(compiler: Compiler) -> Samples:
    if compiler.plan is not None:
        return RankingSamples(compiler.plan, _generated_rows(compiler.plan))
    graph = compiler.original.graph
    inputs = generate_inputs(graph.model, compiler.ports[0], _GENERATED_ROWS, seed=0)
    fixed = [port.name for port in compiler.ports[0] if port.per_request]
    if fixed:
        raise DataError(f"input {fixed[0]!r} has no rows: such a graph cannot be quantized yet")
    return GraphSamples(inputs)


def _generated_rows(plan: FeaturePlan) -> dict[str, list[object]]:
    """Rows of a few users, each with items of their own."""
    rng = np.random.default_rng(0)
    each = _GENERATED_ROWS // _GENERATED_USERS
    columns: dict[str, list[object]] = {}
    for side in Side:
        count = _GENERATED_USERS if side is Side.USER else _GENERATED_ROWS
        for name, values in generate_columns(plan, side, count, rng).items():
            repeated = [value for value in values for _ in range(each)]
            columns[name] = repeated if side is Side.USER else values
    return columns
