"""What a command says of values that were missing or could not be read, behind its output."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["Counters", "added", "since", "summary"]

# Feature -> "defaulted", "unparsed" -> how many.
Counters = Mapping[str, Mapping[str, int]]

_FEATURES = 20  # that are named


def added(parts: Iterable[Counters]) -> dict[str, dict[str, int]]:
    """The sums of several."""
    found: dict[str, dict[str, int]] = {}
    for part in parts:
        for feature, counts in part.items():
            sums = found.setdefault(feature, dict.fromkeys(counts, 0))
            for kind, count in counts.items():
                sums[kind] += count
    return found


def since(before: Counters, now: Counters) -> dict[str, dict[str, int]]:
    """What came to them."""
    none: Mapping[str, int] = {}
    return {
        feature: {kind: n - before.get(feature, none).get(kind, 0) for kind, n in counts.items()}
        for feature, counts in now.items()
    }


def summary(counters: Counters) -> list[str]:
    """Nothing where all could be read: what is missing is as it should be. Else a line a feature
    that has a count; first those with the most values that could not be."""
    if not any(one["unparsed"] for one in counters.values()):
        return []
    some = [(name, one) for name, one in counters.items() if any(one.values())]
    some.sort(key=lambda pair: (-pair[1]["unparsed"], -pair[1]["defaulted"]))
    lines = [
        f"feature {name!r}: {one['unparsed']:,} values could not be read, {one['defaulted']:,} "
        "places took the default"
        for name, one in some[:_FEATURES]
    ]
    if len(some) > _FEATURES:
        lines.append(f"and {len(some) - _FEATURES:,} features more")
    return lines
