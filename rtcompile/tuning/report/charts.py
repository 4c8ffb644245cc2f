"""The charts of a report: the model's estimate over the run, each task's trials, pairs of bars."""

from __future__ import annotations

from collections.abc import Sequence

from rtcompile.tuning.report.comparison import said
from rtcompile.tuning.report.history import EndToEnd, History
from rtcompile.tuning.report.progress import Measured, Progress
from rtcompile.tuning.report.svg import Frame, circle, drawing, line, path, rectangle, text

__all__ = ["estimate_chart", "pair_chart", "task_chart"]

_MICRO = 1e6
_ROOM = 1.15  # of the axis, above the highest value that it must show
_HIGHEST = 2.5  # times the default: slower trials lie on the upper edge


def estimate_chart(history: History) -> str:
    """Time of all kernel calls of the model over the trials of the run."""
    totals = [total * _MICRO for total in history.estimates]
    frame = Frame(46, 26, 1040, 190, max(len(totals) - 1, 1), max(totals) * _ROOM)
    reached, start = history.reaching(0.95), frame.y(totals[0])
    hint = f"95 % of the gain after {reached} trials"
    parts = [
        *frame.axes("trials", "µs, all kernel calls of the model"),
        line(frame.left, start, frame.left + frame.width, start, "default"),
        path(_steps([(frame.x(i), frame.y(total)) for i, total in enumerate(totals)]), "best"),
        circle(frame.x(reached), frame.y(totals[reached]), 4.5, "mark", hint),
    ]
    return drawing(1100, 252, f"estimate: {totals[0]:.1f} to {totals[-1]:.1f} µs", parts)


def task_chart(progress: Progress) -> str:
    """The trials of a task, the best so far, the default; failures on the axis."""
    default = progress.default_seconds
    if default is None:
        return '<p class="none">no trial ran</p>'
    times = [None if gain is None else default / gain for gain in progress.gains]
    highest = min(max(t for t in [*times, default] if t is not None), _HIGHEST * default)
    frame = Frame(46, 26, 296, 110, len(times), highest * _MICRO * _ROOM)
    at = frame.y(default * _MICRO)
    best = [default / gain * _MICRO for gain in progress.best_gains]
    parts = [
        *frame.axes("trials", "µs"),
        line(frame.left, at, frame.left + frame.width, at, "default"),
        *(
            _trial(frame, number, measured, seconds)
            for number, (measured, seconds) in enumerate(
                zip(progress.measured, times, strict=True), 1
            )
        ),
        path(_steps([(frame.x(i), frame.y(b)) for i, b in enumerate(best, 1)]), "best"),
    ]
    return drawing(352, 172, f"best {best[-1]:.2f} of {default * _MICRO:.2f} µs", parts)


def _trial(frame: Frame, number: int, measured: Measured, seconds: float | None) -> str:
    if seconds is None:
        hint = f"trial {number}: {measured.outcome.error}, {measured.trial.config}"
        return circle(frame.x(number), frame.above + frame.height, 2.6, "failed", hint)
    hint = f"trial {number}: {seconds * _MICRO:.2f} µs, {measured.trial.config}"
    kind = "earlier" if measured.earlier else "trial"
    return circle(frame.x(number), frame.y(seconds * _MICRO), 2, kind, hint)


def pair_chart(pairs: Sequence[EndToEnd]) -> str:
    """A bar for the default above one for the best, by label."""
    longest = max(max(pair.default, pair.tuned) for pair in pairs)
    parts, at = [], 0.0
    for pair in pairs:
        parts.append(text(186, at + 25, pair.label, "label end"))
        for offset, seconds, kind in ((6, pair.default, "before"), (24, pair.tuned, "after")):
            width = 640 * seconds / longest
            parts.append(rectangle(196, at + offset, width, 15, kind))
            value = f"{seconds * _MICRO:,.1f} µs"
            if kind == "after":
                value += f", {said(pair.default / pair.tuned, pair.noise)}"
            parts.append(text(202 + width, at + offset + 12, value, "value start"))
        at += 50
    return drawing(1100, at, "default and best, by request", parts)


def _steps(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Horizontal to the next point's place, then up or down to it."""
    stepped = list(points[:1])
    for x, y in points[1:]:
        stepped += [(x, stepped[-1][1]), (x, y)]
    return stepped
