"""The report: one HTML page that holds all it needs, to be mailed or kept beside the logs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from rtcompile.tuning.report.charts import estimate_chart, pair_chart, task_chart
from rtcompile.tuning.report.comparison import said
from rtcompile.tuning.report.history import History, failures
from rtcompile.tuning.report.progress import Progress
from rtcompile.tuning.report.style import STYLE
from rtcompile.tuning.report.svg import circle, drawing, line
from rtcompile.tuning.show import task_name

__all__ = ["render"]

_KINDS = {
    "build": "the compiler or the linker refused it, or crashed",
    "crash": "it ended its process",
    "timeout": "it did not end in time",
    "wrong": "its result is not the reference's",
    "lost": "its machine was gone; it was not spent",
}


def render(history: History) -> str:
    """The page as a string of HTML."""
    title = f"Tuning {history.model} for {history.target}"
    sections = [
        f'<p class="warning">{escape(history.note)}</p>' if history.note else "",
        _figures(history),
        _whole_model(history),
        _tasks(history),
        _kernels(history),
        _failures(history),
        _provenance(history),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f'<p class="quiet">{escape(history.machine.cpu)}</p>{"".join(sections)}</body></html>\n'
    )


def _figures(history: History) -> str:
    totals, new = history.estimates, history.new
    tuned = sum(progress.gain > 1 for progress in history.progress.values())
    failed = sum(failures(new).values())
    reached = history.reaching(0.95)
    figures = [
        (
            said(totals[0] / totals[-1], history.gain_noise) if totals[-1] else "-",
            "kernel time, default over best",
        )
    ]
    figures += [
        (said(pair.default / pair.tuned, pair.noise), f"whole request, {pair.label}")
        for pair in history.end_to_end
    ]
    figures += [
        (f"{tuned} of {len(history.tasks)}", "kernels with a better config than the default"),
        (f"{len(new)}", f"trials spent, {failed} of them failed"),
        (f"{reached}", f"trials to 95 % of the gain, after {_duration(history.moment(0.95))}"),
        (_duration(history.seconds), "run"),
    ]
    shown = (
        f'<div class="figure"><b>{escape(b)}</b><span>{escape(s)}</span></div>' for b, s in figures
    )
    return f'<div class="figures">{"".join(shown)}</div>'


def _whole_model(history: History) -> str:
    parts = ["<h2>The whole model</h2>"]
    if history.end_to_end:
        parts.append(
            '<p class="quiet">Requests of the model built with default configs (grey) and with the '
            "best (blue), measured in turns.</p>"
        )
        parts.append(f'<div class="chart">{pair_chart(history.end_to_end)}</div>')
    parts.append(
        '<p class="quiet">Estimate: the time of each kernel, times its calls in the model. Dashed: '
        "all defaults. Dot: 95 % of the gain.</p>"
    )
    parts.append(f'<div class="chart">{estimate_chart(history)}</div>')
    return "".join(parts)


def _tasks(history: History) -> str:
    charts = (
        f'<div class="chart"><h3>{escape(task_name(task))}</h3>{task_chart(progress)}</div>'
        for task, progress in history.progress.items()
    )
    return f'<h2>Best so far, by kernel</h2>{_key()}<div class="charts">{"".join(charts)}</div>'


def _key() -> str:
    entries = [
        (line(0, 6, 26, 6, "best"), "best so far"),
        (line(0, 6, 26, 6, "default"), "default"),
        (circle(13, 6, 3, "trial", "trial"), "trial"),
        (circle(13, 6, 3, "earlier", "from the logs"), "trial from the logs"),
        (circle(13, 6, 3.6, "failed", "failed"), "failed"),
    ]
    shown = (f"<span>{drawing(26, 12, name, [mark])}{name}</span>" for mark, name in entries)
    return f'<div class="key">{"".join(shown)}</div>'


def _kernels(history: History) -> str:
    columns = ("kernel", "config", "calls", "default µs", "best µs", "gain", "trials", "failed")
    rows = (_kernel(progress) for progress in history.progress.values())
    return f"<h2>Before and after, by kernel</h2>{_table(columns, rows, numbers_from=2)}"


def _kernel(progress: Progress) -> list[str]:
    default, use = progress.default_seconds, progress.use
    failed = sum(failures(progress.measured).values())
    best = progress.best
    config = "default" if best == use.default else best.config
    times = ["-", "-", "-"]
    if default is not None:
        after = default / progress.gain
        told = said(progress.gain, progress.noise) if progress.gain > 1 else "no change"
        times = [f"{default * 1e6:.2f}", f"{after * 1e6:.2f}", told]
    counts = [str(len(progress.measured)), str(failed)]
    return [task_name(use.task), config, str(use.calls), *times, *counts]


def _failures(history: History) -> str:
    found = history.failures()
    if not found:
        return "<h2>Failures</h2><p>No trial failed.</p>"
    rows = [[kind, str(count), _KINDS.get(kind, "")] for kind, count in found.most_common()]
    return f"<h2>Failures</h2>{_table(('kind', 'trials', 'what it means'), rows)}"


def _provenance(history: History) -> str:
    machine = history.machine
    entries = {
        "model": history.model,
        "target": history.target,
        "CPU": machine.cpu,
        "TVM": machine.tvm,
        **history.provenance,
        "CPU flags": " ".join(machine.features),
    }
    shown = (f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in entries.items())
    return f"<h2>Provenance</h2><dl>{''.join(shown)}</dl>"


def _table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int | None = None
) -> str:
    """A table; from one column on the cells are numbers."""

    def cell(tag: str, index: int, content: str) -> str:
        number = numbers_from is not None and index >= numbers_from
        kind = ' class="n"' if number else ""
        return f"<{tag}{kind}>{escape(content)}</{tag}>"

    head = "".join(cell("th", i, column) for i, column in enumerate(columns))
    body = "".join(
        f"<tr>{''.join(cell('td', i, content) for i, content in enumerate(row))}</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
