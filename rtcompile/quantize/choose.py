"""Find out which layers can compute in lower precision, by running the model on data.

Three builds share everything but the precision of their dense layers:

    observe   float32; counts what each layer reads        ->  ranges (where there is real data)
    switch    every layer in all precisions, one chosen     ->  the scores of any mixture
    final     each layer in the precision that was chosen

The first two are thrown away.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.codegen.kernels.observe_rows import Observed
from rtcompile.compile.compiler import Candidate
from rtcompile.compile.load_build import loaded
from rtcompile.quantize.assign import Assignment, LayerCost, assign
from rtcompile.quantize.histogram import Histogram
from rtcompile.quantize.quality import Budget, compare
from rtcompile.quantize.ranges import choose_range
from rtcompile.quantize.samples import Samples
from rtcompile.relay_passes.kernels.precision import LayerPrecision, Mode, PrecisionPlan
from rtcompile.relay_passes.kernels.quantize_dense import DenseLayer

__all__ = ["Scores", "layer_costs", "observe_ranges", "search", "switch_plan"]

# A layer of the user's or an item's stage runs for one row where one of cross runs for many.
_EARLY_SHARE = 0.01

Scores = Mapping[str, npt.NDArray[Any]]


def observe_ranges(
    compile_: Callable[[PrecisionPlan], Candidate],
    layers: Mapping[str, DenseLayer],
    samples: Samples,
    method: str,
) -> dict[str, LayerPrecision]:
    """int8 with the range that each layer's input has on the samples."""
    observing = compile_(PrecisionPlan(mode=Mode.OBSERVE))
    with loaded(observing.manifest, observing.sections) as ranker:
        words = ranker.calibration_words()
        samples.scores(ranker)
        found = {}
        for name in layers:
            stage, number = _place(name)
            seen = words[stage].reshape(-1, Observed.WORDS)[number]
            ends, counts = seen.view(np.float32), seen.view(np.uint32)[Observed.COUNTS.slice()]
            low, high = float(ends[Observed.LOW]), float(ends[Observed.HIGH])
            chosen = choose_range(Histogram(low, high, counts.astype(np.int64)), method)
            found[name] = LayerPrecision("int8", chosen.scale, chosen.zero)
    return found


def switch_plan(ranges: Mapping[str, LayerPrecision], levels: tuple[str, ...]) -> PrecisionPlan:
    """Every layer in all `levels`. Until it is told otherwise, such a build is exact."""
    return PrecisionPlan(ranges, Mode.SWITCH, _exact_first(levels))


def search(
    switch: Candidate,
    layers: Mapping[str, DenseLayer],
    samples: Samples,
    reference: Scores,
    levels: tuple[str, ...],
    budget: Budget,
) -> Assignment:
    """The fastest level of each layer that keeps the scores inside the budget.

    `levels`: from the fastest to float32. `reference`: what scores are compared with.
    """
    order = _exact_first(levels)
    with loaded(switch.manifest, switch.sections) as ranker:
        words = ranker.calibration_words()

        def scores(chosen: Mapping[str, str]) -> Scores:
            for name, level in chosen.items():
                stage, number = _place(name)
                words[stage][number] = order.index(level)
            return samples.scores(ranker)

        return assign(
            layer_costs(layers),
            levels,
            lambda chosen: compare(reference, scores(chosen), samples.labels),
            budget,
        )


def layer_costs(layers: Mapping[str, DenseLayer]) -> list[LayerCost]:
    """What each layer does for a row of a request."""
    return [LayerCost(name, _work(layer)) for name, layer in layers.items()]


def _exact_first(levels: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(reversed(levels))


def _place(name: str) -> tuple[str, int]:
    stage, number = name.rsplit("/", 1)
    return stage, int(number)


def _work(layer: DenseLayer) -> int:
    share = 1.0 if layer.stage == "cross" else _EARLY_SHARE
    return max(1, int(layer.depth * layer.columns * layer.rows * share))
