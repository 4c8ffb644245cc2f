"""Mixed precision under a budget: the fastest precision of each layer that the scores can bear.

All layers begin at the fastest level. Over the budget, the layers that cost most of it for the time
that they save go one level up, as many as needed; then each that went is tried again at the faster
level, cheapest first, until none fits. Every candidate is measured, not estimated: precisions of
several layers may add up, or cancel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from rtcompile.quantize.quality import Budget, Quality

__all__ = ["Assignment", "LayerCost", "assign"]

Measure = Callable[[Mapping[str, str]], Quality]


@dataclass(frozen=True)
class LayerCost:
    """A layer that may be quantized, and the work that it does a row, in multiplications."""

    name: str
    work: int


@dataclass
class Assignment:
    """`levels`: layer -> precision. `reasons`: why a layer is not at the fastest one."""

    levels: dict[str, str]
    quality: Quality
    reasons: dict[str, str] = field(default_factory=dict)


def assign(
    layers: Sequence[LayerCost], levels: Sequence[str], measure: Measure, budget: Budget
) -> Assignment:
    """The assignment. `levels`: from the fastest to the exact one, which costs nothing.

    `measure` runs the calibration data with a level for each layer. Over the budget even at the
    exact level: that assignment is returned, and its quality says so.
    """
    current = {layer.name: levels[0] for layer in layers}
    quality = measure(current)
    reasons: dict[str, str] = {}
    floats = dict.fromkeys(current, levels[-1])
    for level, above in pairwise(levels):
        if quality.share(budget) <= 1:
            break
        shares = {
            layer.name: measure({**floats, layer.name: level}).share(budget)
            for layer in layers
            if current[layer.name] == level
        }
        order = sorted(
            (layer for layer in layers if layer.name in shares),
            key=lambda layer: (-shares[layer.name] / max(layer.work, 1), layer.name),
        )
        current, quality = _raise(order, current, above, measure, budget)
        current, quality = _lower(order, current, (level, above), measure, budget, quality)
        for name, share in shares.items():
            if current[name] != level:
                reasons[name] = f"{level} alone uses {100 * share:.0f}% of the budget"
    return Assignment(current, quality, reasons)


def _raise(
    order: Sequence[LayerCost],
    current: Mapping[str, str],
    above: str,
    measure: Measure,
    budget: Budget,
) -> tuple[dict[str, str], Quality]:
    """The first layers of `order` one level up, as few as bring the scores inside the budget."""

    def raised(count: int) -> dict[str, str]:
        return {**current, **{layer.name: above for layer in order[:count]}}

    few, enough = 0, len(order)
    quality = measure(raised(enough))
    if quality.share(budget) > 1:
        return raised(enough), quality
    while enough - few > 1:
        middle = (few + enough) // 2
        found = measure(raised(middle))
        if found.share(budget) <= 1:
            enough, quality = middle, found
        else:
            few = middle
    return raised(enough), quality


def _lower(
    order: Sequence[LayerCost],
    current: dict[str, str],
    levels: tuple[str, str],
    measure: Measure,
    budget: Budget,
    quality: Quality,
) -> tuple[dict[str, str], Quality]:
    """Try the layers that went up at the level below again, those that cost least first.

    Once more where one of them costs less there, which makes room for those before it.
    """
    below, above = levels
    is_eased = quality.share(budget) <= 1
    while is_eased:
        is_eased = False
        for layer in reversed([layer for layer in order if current[layer.name] == above]):
            candidate = {**current, layer.name: below}
            found = measure(candidate)
            if found.share(budget) <= 1:
                is_eased |= found.share(budget) < quality.share(budget)
                current, quality = candidate, found
    return current, quality
