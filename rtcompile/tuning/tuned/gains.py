"""What a task's configs gain over its default, how sure that is, and which one replaces it.

    gain    time of the default over time of the config, in turns with each other
    noise   what a gain may be by chance: the spread of the turns, of repeated measurements, and of
            the default's own times, and never less than a margin

Of many configs the luckiest looks best, so what a config was found by does not count: it is
measured again, in turns with the default, and replaces it where that gain exceeds the noise.
Records of before spreads were kept count as they did: one measurement may do, and all do alike.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from rtcompile.codegen.program.trials import Outcome, Trial

__all__ = ["MARGIN", "Gain", "Gains", "robust_spread"]

# A config must gain more than this: less may be noise, and then the default is as good.
MARGIN = 1.03

_FEWEST = 4  # times of the default that say how steady the machine is


@dataclass(frozen=True)
class Gain:
    """How many times as fast, `noise` as a share of that, and whether it was measured again."""

    times: float
    noise: float
    is_sure: bool

    @property
    def exceeds_noise(self) -> bool:
        """Whether it is a gain at all."""
        return math.log(self.times) > self.noise


@dataclass(frozen=True)
class _Measured:
    gain: float  # its logarithm
    spread: float | None


class Gains:
    """Of one task, as its records come. `margin`: the least noise."""

    def __init__(self, margin: float = MARGIN) -> None:
        self._least = math.log(margin)
        self._found: dict[Trial, dict[Hashable, list[_Measured]]] = {}
        self._defaults: dict[Hashable, list[float]] = defaultdict(list)

    def add(self, trial: Trial, outcome: Outcome, before: float, machine: Hashable = None) -> None:
        """A config's outcome beside `before`, the default's seconds on the same machine."""
        if outcome.seconds is None:
            return
        measured = _Measured(math.log(before / outcome.seconds), outcome.spread)
        self._found.setdefault(trial, defaultdict(list))[machine].append(measured)
        if outcome.spread is not None:
            self._defaults[machine].append(math.log(before))

    @property
    def is_empty(self) -> bool:
        """Whether no config was measured."""
        return not self._found

    def known(self) -> dict[Trial, Gain]:
        """Each config's, in the order in which they were first measured."""
        drift = self.drift()
        return {trial: self._gain(found, drift) for trial, found in self._found.items()}

    def best(self) -> tuple[Trial, Gain] | None:
        """The config that replaces the default; None where none does."""
        return _largest({t: g for t, g in self.known().items() if g.is_sure})

    def unsure(self) -> Trial | None:
        """What looks better than all others and was measured only once."""
        found = _largest(self.known())
        return found[0] if found and self._count(found[0]) == 1 else None

    def drift(self) -> float:
        """How much the default's own times differ from one measurement to the next, as a share.

        On a loaded machine it is much. What changes slowly, as a clock rate does, is cancelled by
        the turns, and does not count.
        """
        spreads = [
            robust_spread([b - a for a, b in pairwise(times)]) / math.sqrt(2)
            for times in self._defaults.values()
            if len(times) >= _FEWEST
        ]
        return max(spreads, default=0.0)

    def _count(self, trial: Trial) -> int:
        return sum(map(len, self._found[trial].values()))

    def _gain(self, by_machine: dict[Hashable, list[_Measured]], drift: float) -> Gain:
        everything = [one for found in by_machine.values() for one in found]
        if any(one.spread is None for one in everything):
            times = math.exp(statistics.fmean(one.gain for one in everything))
            return Gain(times, self._least, True)
        # What it was found by is left out, where there is another.
        counted = [one for found in by_machine.values() for one in found[1:] or found]
        gains = [one.gain for one in counted]
        spreads = [one.spread or 0.0 for one in counted]
        noise = max(self._least, drift, *spreads, (max(gains) - min(gains)) / 2)
        return Gain(math.exp(statistics.fmean(gains)), noise, len(everything) > 1)


def _largest(known: dict[Trial, Gain]) -> tuple[Trial, Gain] | None:
    able = [(trial, gain) for trial, gain in known.items() if gain.exceeds_noise]
    return max(able, key=lambda one: one[1].times, default=None)


def robust_spread(values: Sequence[float]) -> float:
    """The standard deviation that the middle of the values suggests; single outliers do no harm."""
    middle = statistics.median(values)
    return 1.4826 * statistics.median(abs(value - middle) for value in values)
