from __future__ import annotations

from html.parser import HTMLParser

import pytest

from rtcompile.codegen.program.trials import Outcome, Task, Trial
from rtcompile.tuning.report.history import EndToEnd, History
from rtcompile.tuning.report.page import render
from rtcompile.tuning.report.progress import Measured, Progress, TaskUse
from rtcompile.tuning.report.svg import ticks
from rtcompile.tuning.tuned.machine import Machine

_VOID = {"meta", "br", "link"}


class _Page(HTMLParser):
    """Checks that tags are closed in turn; keeps texts, and what would reach for the network."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.links: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        assert not self._open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self._open.append(tag)
        self.links += [name for name, _ in attributes if name in {"src", "href", "action"}]
        assert tag not in {"script", "link", "img", "iframe"}

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def _use(depth: int, calls: int = 1) -> TaskUse:
    task = Task.of("dense", 1, {"depth": depth, "least": 1, "most": 64})
    return TaskUse(task, Trial.of(task, {"rows": 0}), calls)


def _measured(use: TaskUse, rows: int, seconds: float | None, **more: object) -> Measured:
    error = "" if seconds is not None else "crash: <signal 11>"
    return Measured(Trial.of(use.task, {"rows": rows}), Outcome(seconds, error), **more)  # type: ignore[arg-type]


def _history(uses: list[TaskUse], measured: list[Measured], **more: object) -> History:
    machine = Machine("a <fast> CPU", ("avx2",), "x86_64", "0.27")
    return History("a & b.onnx", "x86-64-v3", machine, uses, measured, 61.0, 1.03, **more)  # type: ignore[arg-type]


def test_the_best_gain_grows_with_the_trials() -> None:
    use = _use(8)
    trials = [(0, 10.0), (1, 9.9), (2, None), (3, 8.0), (4, 5.0), (5, 20.0)]
    progress = Progress(use, [_measured(use, r, s) for r, s in trials], 1.03)
    assert progress.best_gains == pytest.approx([1, 1, 1, 1.25, 2, 2])
    assert progress.best.values == {"rows": 4} and progress.gain == pytest.approx(2)


def test_turns_count_before_times_of_another_moment() -> None:
    use = _use(8)
    slow_moment = Measured(Trial.of(use.task, {"rows": 1}), Outcome(12.0, "", 18.0))
    progress = Progress(use, [_measured(use, 0, 10.0), slow_moment], 1.03)
    assert progress.gain == pytest.approx(1.5)


def test_a_gain_within_the_margin_keeps_the_default() -> None:
    use = _use(8)
    progress = Progress(use, [_measured(use, 0, 10.0), _measured(use, 1, 9.8)], 1.03)
    assert progress.best == use.default and progress.gain == 1


def test_the_estimate_counts_calls_and_ends_with_the_best() -> None:
    first, second = _use(8, calls=3), _use(16)
    measured = [
        _measured(first, 0, 2.0),
        _measured(second, 0, 10.0),
        _measured(second, 1, 5.0),
        _measured(first, 1, 1.0),
    ]
    history = _history([first, second], measured)
    assert history.estimates == pytest.approx([16, 16, 16, 11, 8])
    assert history.reaching(0.5) == 3 and history.reaching(0.95) == 4
    assert list(history.progress) == [second.task, first.task]  # longest in the model first


def test_the_page_holds_all_and_needs_nothing() -> None:
    use, unmeasured = _use(8), _use(16)
    measured = [
        _measured(use, 0, 2e-6, earlier=True),
        _measured(use, 1, None, at=1.0),
        _measured(use, 2, 1e-6, at=2.0),
    ]
    history = _history(
        [use, unmeasured],
        measured,
        end_to_end=[EndToEnd("100 items", 2e-3, 1e-3)],
        provenance={"date": "2026-11-25"},
    )
    html = render(history)
    page = _Page(html)
    text = " ".join(page.texts)
    assert not page.links and "url(" not in html and "@import" not in html
    assert "a & b.onnx" in text and "a <fast> CPU" in text and "2026-11-25" in text
    assert "100 items" in text and "2.00 x" in text and "no trial ran" in text
    assert "trial 2: crash: <signal 11>" in text and '{"rows": 2}' in text


def test_a_run_without_any_measurement_has_a_page() -> None:
    page = _Page(render(_history([_use(8)], [])))
    assert "No trial failed." in page.texts


@pytest.mark.parametrize(
    ("top", "expected"),
    [(0, [0]), (10, [0, 5, 10]), (237, [0, 100, 200]), (0.9, [0, 0.5]), (4, [0, 1, 2, 3, 4])],
)
def test_ticks_are_round(top: float, expected: list[float]) -> None:
    assert ticks(top) == pytest.approx(expected)
