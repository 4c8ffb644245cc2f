"""How a gain is said: with its spread, and as no change where it does not exceed that."""

from __future__ import annotations

import math

from rtcompile.tuning.tuned.gains import MARGIN

__all__ = ["UNSTEADY", "is_change", "loaded_note", "said"]

# Differences of the default's own times, as a share, from which on a machine is not quiet.
UNSTEADY = 0.05


def is_change(gain: float, noise: float) -> bool:
    """Whether a gain, or a loss, is more than noise."""
    return abs(math.log(gain)) > max(noise, math.log(MARGIN))


def said(gain: float, noise: float) -> str:
    """A gain in a few characters: `1.20 x ± 3 %`, or `no change (1.02 x ± 3 %)`."""
    least = max(noise, math.log(MARGIN))
    text = f"{gain:.2f} x ± {100 * least:.0f} %"
    return text if is_change(gain, noise) else f"no change ({text})"


def loaded_note(drift: float, load: float, cores: int) -> str:
    """What to say of a machine that was not quiet; "" of one that was.

    `drift`: of the default's own times; `load`: processes that wanted to run, beside tuning's own.
    """
    reasons = []
    if drift > UNSTEADY:
        reasons.append(f"the default's own times differ by {100 * drift:.0f} %")
    if load > cores / 2:
        reasons.append(f"{load:.1f} other processes wanted its {cores} cores")
    if not reasons:
        return ""
    return (
        f"The machine was not quiet: {' and '.join(reasons)}. Gains below that count as no change; "
        "tune again on a quiet machine for better ones."
    )
