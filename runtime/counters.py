"""What became of values, by feature."""

from __future__ import annotations

from collections.abc import Iterable

from rtcompile.runtime.encoding.unparsed import UnparsedValues
from rtcompile.runtime.stages.stage import Stage

__all__ = ["counters_of"]


def counters_of(stages: Iterable[Stage], unparsed: UnparsedValues) -> dict[str, dict[str, int]]:
    """Feature -> "defaulted", places that took the default, and "unparsed", values that could not
    be read: what stages counted, and what was met while columns were encoded."""
    found: dict[str, dict[str, int]] = {}
    for stage in stages:
        for name, (defaulted, given) in stage.tally().items():
            counts = found.setdefault(name, {"defaulted": 0, "unparsed": 0})
            counts["defaulted"] += defaulted
            counts["unparsed"] += given
    for name, given in unparsed.counts().items():
        found.setdefault(name, {"defaulted": 0, "unparsed": 0})["unparsed"] += given
    return found
