"""Lower precision only where it is faster: a build timed beside the one in float32.

Both score the same rows in turns, one row and as many as a request may have. What counts is the
fastest turn of each: whatever else the machine does only ever adds to it. Where the build is slower
by more than the turns tell apart, the layers that do least work go back to float32, half of what is
left at a time. With all of them back, it is the other build.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from rtcompile.compile.compiler import Candidate
from rtcompile.compile.load_build import loaded
from rtcompile.quantize.assign import Assignment, LayerCost
from rtcompile.quantize.samples import Samples

__all__ = ["LEAST_WORK", "keep_faster", "speedups"]

# Multiplications a row of a layer below which finding the ranges of dynamic rows takes longer than
# bytes save: 16 x 16 takes 1.1 to 1.4 times as long as in float32, 16 x 32 three quarters.
LEAST_WORK = 512

_ROWS = (1, 100)
_NOISE = 0.03
_TURNS, _SECONDS = 50, 0.01  # of each, and of a turn about

Pace = Callable[[Candidate], Mapping[int, float]]


def speedups(candidate: Candidate, exact: Candidate, samples: Samples) -> dict[int, float]:
    """Rows of a request -> how many times as fast as `exact` the candidate scores them."""
    with (
        loaded(candidate.manifest, candidate.sections) as ours,
        loaded(exact.manifest, exact.sections) as floats,
    ):
        pairs = {
            rows: (samples.call(ours, rows), samples.call(floats, rows))
            for rows in _ROWS
            if rows <= samples.rows
        }
        return {rows: _ratio(*pair) for rows, pair in pairs.items()}


def _ratio(ours: Callable[[], object], floats: Callable[[], object]) -> float:
    fastest, repeats = [float("inf")] * 2, []
    for call in (ours, floats):
        call()  # warm
        repeats.append(max(1, int(_SECONDS / max(_seconds(call), 1e-7))))
    for _ in range(_TURNS if max(repeats) > 1 else _TURNS // 10):
        for index, call in enumerate((ours, floats)):
            turn = min(_seconds(call) for _ in range(repeats[index]))
            fastest[index] = min(fastest[index], turn)
    return fastest[1] / fastest[0]


def _seconds(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def keep_faster(
    assignment: Assignment,
    layers: Sequence[LayerCost],
    build: Callable[[], Candidate],
    pace: Pace,
    exact: str = "float32",
) -> Candidate:
    """The build of the assignment, whose layers go back to `exact` while it is slower with them.

    `build` makes the candidate of the assignment as it is. Levels and reasons are changed in place.
    """
    costs = sorted(layers, key=lambda layer: (layer.work, layer.name))
    left = [layer.name for layer in costs if assignment.levels.get(layer.name, exact) != exact]
    candidate = build()
    while left:
        rows, ratio = min(pace(candidate).items(), key=lambda pair: pair[1], default=(0, 1.0))
        if ratio >= 1 - _NOISE:
            break
        count = -(-len(left) // 2)
        for name in left[:count]:
            level, assignment.levels[name] = assignment.levels[name], exact
            assignment.reasons[name] = (
                f"no gain: with {len(left)} layers in lower precision, this one in {level}, "
                f"requests of {rows} rows take {1 / ratio:.2f} times as long as in {exact}"
            )
        left = left[count:]
        candidate = build()
    return candidate
