"""What differences between recorded and computed scores go with: a hint at their cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.verification.recorded_scores import ScoredRows

__all__ = ["suspects"]

Array = npt.NDArray[Any]

_FEWEST = 3  # rows on each side of a comparison
_TIMES = 10.0  # how much further off the rows with a property must be than those without


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and np.isnan(value))


def _empty(value: Any) -> bool:
    return not _missing(value) and hasattr(value, "__len__") and len(value) == 0


def _several(value: Any) -> bool:
    return isinstance(value, list | dict) and len(value) > 1


def _negative(value: Any) -> bool:
    return isinstance(value, int | float) and value < 0


# Property of a field's value -> what it hints at.
_PROPERTIES: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
    ("is missing", _missing, "another default than training's"),
    ("is empty", _empty, "what training, or its framework before the export, makes of no values"),
    (
        "has several values",
        _several,
        "another pooling (sum, mean), another order, or values cut off",
    ),
    ("is negative", _negative, "another normalizer, or bounds"),
)


def suspects(
    data: ScoredRows, kept: list[int], computed: Mapping[str, Array], off: Array, tolerance: float
) -> tuple[str, ...]:
    """Sentences, the likeliest first. `off`: how far the rows `kept` are off."""
    beyond = ~(off <= tolerance)
    if not beyond.any():
        return ()
    found = [*_of_all(data, kept, computed, tolerance), *_of_fields(data, kept, beyond)]
    if not found and beyond.mean() > 0.9:
        found.append(
            "nearly all rows differ, whatever their fields hold: other weights or tables than "
            "those that scored them, or a feature that every row has is made otherwise"
        )
    return tuple(found)


def _of_all(
    data: ScoredRows, kept: list[int], computed: Mapping[str, Array], tolerance: float
) -> list[str]:
    """What one function of all scores explains."""
    found = []
    for name, got in computed.items():
        want = data.scores[name][kept].reshape(got.shape)
        with np.errstate(all="ignore"):
            changes = {
                "the recorded scores are before the sigmoid": 1 / (1 + np.exp(-want)),
                "the recorded scores are behind a sigmoid that the graph lacks": np.log(
                    want / (1 - want)
                ),
                "the recorded scores are of the other class": 1 - want,
                "the recorded scores are percents": want / 100,
            }
            found += [
                f"output {name!r}: {what}"
                for what, changed in changes.items()
                if np.all(np.abs(changed - got) <= 10 * tolerance * np.maximum(1, np.abs(got)))
            ]
    return found


def _of_fields(data: ScoredRows, kept: list[int], beyond: Array) -> list[str]:
    """Properties of fields whose rows are off while the others are not."""
    told: list[tuple[float, str]] = []
    for name, values in data.columns.items():
        for what, has, hint in _PROPERTIES:
            with_it = np.array([has(values[row]) for row in kept], bool)
            if min(with_it.sum(), (~with_it).sum()) < _FEWEST:
                continue
            share, rest = beyond[with_it].mean(), beyond[~with_it].mean()
            if share > max(_TIMES * rest, 0.2):
                told.append(
                    (
                        float(share - rest),
                        f"rows whose {name!r} {what}: {100 * share:.0f}% differ, of the others "
                        f"{100 * rest:.0f}%: {hint}",
                    )
                )
    return [text for _, text in sorted(told, key=lambda one: -one[0])]
