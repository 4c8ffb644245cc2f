"""The search: what it spends, what it keeps, and what a build makes of it. Nothing is measured."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rtcompile.codegen.program.trials import Task, Trial
from rtcompile.errors import TuningError
from rtcompile.tuning.cost_model import CostModel
from rtcompile.tuning.report.collect import Collector
from rtcompile.tuning.search import Search
from rtcompile.tuning.tuned.known_configs import Known, choices_of
from rtcompile.tuning.tuned.logs import read_logs
from rtcompile.tuning.tuned.machine import Machine
from tests.rtcompile.tuning.records import HERE, TARGET, FakeRunner, configs, dense, record

_TASKS = {dense(): 2, dense(70, "maximum acc 0.0"): 1, dense(40, most=1): 1}


def _search(directory: Path, budget: int, tasks: dict[Task, int] | None = None) -> Search:
    known = Known(read_logs(directory, TARGET.name).records, TARGET.registers)
    return Search(tasks or _TASKS, known, TARGET, directory, HERE, budget)


@pytest.mark.slow
def test_the_budget_is_spent_once(tmp_path: Path) -> None:
    pytest.importorskip("xgboost")
    runner = FakeRunner()
    search = _search(tmp_path, 30)
    assert len(list(search.run(runner, CostModel()))) == 30
    known = Known(read_logs(tmp_path, TARGET.name).records, TARGET.registers)
    for task in _TASKS:
        best = known.best(task)
        assert best is not None
        assert best.gain == 1 or runner.ran.count(Trial.of(task, best.config)) == 2
    assert runner.ran[:3] == [Trial.of(task, configs(task)[0]) for task in _TASKS]
    again = FakeRunner()
    assert not list(_search(tmp_path, 30).run(again, CostModel()))
    assert not again.ran
    list(_search(tmp_path, 40).run(again, CostModel()))
    assert len(again.ran) == 10


def test_the_terminal_and_the_report_have_the_same_totals(tmp_path: Path) -> None:
    pytest.importorskip("xgboost")
    search = _search(tmp_path, 40)
    machine = Machine(HERE.cpu, (), "x86_64", HERE.tvm)
    collector = Collector(_TASKS, TARGET, machine, [])
    for one in search.run(FakeRunner(), CostModel()):
        collector.add(one)
    model = tmp_path / "model.onnx"
    model.write_bytes(b"")
    totals = collector.history(model, "here").estimates
    assert search.totals() == pytest.approx((totals[0], totals[-1]))
    assert totals[-1] < totals[0]


def test_a_search_that_ends_early_goes_on_where_it_was(tmp_path: Path) -> None:
    pytest.importorskip("xgboost")
    first, second = FakeRunner(), FakeRunner()
    running = _search(tmp_path, 30).run(first, CostModel())
    for _ in range(15):
        next(running)
    running.close()
    list(_search(tmp_path, 30).run(second, CostModel()))
    assert len(second.ran) == 15


def test_all_there_is_to_try_ends_the_search(tmp_path: Path) -> None:
    pytest.importorskip("xgboost")
    task = dense(40, most=1)
    search = _search(tmp_path, 10_000, {task: 1})
    list(search.run(FakeRunner(), CostModel()))
    assert len(configs(task)) <= search.spent <= len(configs(task)) + 1


def test_lost_trials_are_not_spent(tmp_path: Path) -> None:
    pytest.importorskip("xgboost")
    list(_search(tmp_path, 30).run(FakeRunner(lose_after=10), CostModel()))
    assert len(read_logs(tmp_path, TARGET.name).records) == 10


def test_without_xgboost_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "xgboost", None)
    with pytest.raises(TuningError, match=r"pip install 'rtcompile\[tune\]'"):
        CostModel()


def test_the_best_config_needs_a_margin() -> None:
    task = dense()
    default, near, fast, *_ = configs(task)
    found = Known([record(task, default), record(task, near, 0.99)], TARGET.registers)
    best = found.best(task)
    assert best is not None
    assert (best.config, best.gain) == (default, 1.0)
    found.add(record(task, fast, 0.5))
    best = found.best(task)
    assert best is not None
    assert (best.config, best.gain) == (fast, 2.0)


def test_machines_are_weighed_alike() -> None:
    task = dense()
    _, one, other, *_ = configs(task)
    there = {"cpu": "another"}
    records = [
        *(record(task, one, 0.5), record(task, one, 2.0, **there)),
        *(record(task, other, 0.8), record(task, other, 0.8, **there)),
    ]
    best = Known(records, TARGET.registers).best(task)
    assert best is not None
    assert best.config == other


def test_a_config_that_the_kernel_has_not_is_never_chosen() -> None:
    task = dense()
    absurd = {"width": 4096, "rows": 900, "unroll": 1, "rows_outer": 0}
    records = [record(task, absurd, 0.1), record(task, {"height": 2}, 0.1)]
    choices = choices_of(Known(records, TARGET.registers), TARGET.registers)
    assert choices.config(task, configs(task)[0]) == configs(task)[0]
    assert choices.asked[task].source == "defaulted"


def test_what_a_build_is_told() -> None:
    measured, fast = dense(), configs(dense())[2]
    known = Known([record(measured, fast, 0.5)], TARGET.registers)
    choices = choices_of(known, TARGET.registers)
    default = configs(measured)[0]
    same, other, row = dense(epilogue="tanh acc"), dense(70), dense(most=1)
    assert choices.config(measured, default) == fast
    assert choices.config(measured, default) == fast
    assert choices.config(same, default) == fast
    assert choices.config(other, default) == default
    assert choices.config(row, default) == default
    assert [(c.source, c.calls) for c in choices.asked.values()] == [
        ("tuned", 2), ("reused", 1), ("defaulted", 1), ("defaulted", 1)
    ]  # fmt: skip
