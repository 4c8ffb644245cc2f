"""Gains and noise, with made-up clocks: what is chosen is never slower by more than the noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from rtcompile.codegen.program.trials import Outcome, Task, Trial
from rtcompile.tuning import search as search_module
from rtcompile.tuning.report.collect import Collector
from rtcompile.tuning.report.comparison import loaded_note, said
from rtcompile.tuning.report.history import EndToEnd
from rtcompile.tuning.report.page import render
from rtcompile.tuning.search import Search
from rtcompile.tuning.tuned.gains import Gains
from rtcompile.tuning.tuned.known_configs import Known
from rtcompile.tuning.tuned.machine import Machine
from rtcompile.tuning.tuned.records import Record
from rtcompile.tuning.turns import in_turns, outcome_of, spread_of
from tests.rtcompile.tuning.records import HERE, TARGET, configs, dense

_TASK = Task.of("dense", 1, {"depth": 8})
_ONE, _OTHER = (Trial.of(_TASK, {"rows": rows}) for rows in (1, 2))


def _gains(*measured: tuple[Trial, float, float]) -> Gains:
    found = Gains()
    for trial, gain, spread in measured:
        found.add(trial, Outcome(1 / gain, "", 1.0, spread), 1.0)
    return found


class _Clock:
    """A machine whose calls take longer and longer, and now and then very long."""

    def __init__(self, seed: int, noise: float, drift: float, hiccup: float = 0.0) -> None:
        self._rng = np.random.default_rng(seed)
        self._noise, self._drift, self._hiccup = noise, drift, hiccup
        self._moment = 1.0

    def takes(self, seconds: float) -> float:
        """What a call that takes so long on a quiet machine takes now."""
        self._moment *= 1 + self._drift
        late = 10.0 if self._rng.random() < self._hiccup else 1.0
        return float(seconds * self._moment * math.exp(self._rng.normal(0, self._noise)) * late)


@pytest.mark.parametrize("seed", range(5))
def test_turns_cancel_what_changes_slowly(seed: int) -> None:
    clock = _Clock(seed, 0.002, drift=0.02, hiccup=0.05)
    calls = [lambda: clock.takes(1.0), lambda: clock.takes(1.25)]
    outcome = outcome_of(in_turns(calls, 9))
    assert outcome.seconds and outcome.default_seconds and outcome.spread is not None
    assert outcome.default_seconds / outcome.seconds == pytest.approx(1.25, rel=0.03)
    assert outcome.spread < 0.1


def test_the_spread_grows_with_the_noise_and_shrinks_with_the_turns() -> None:
    def spread(noise: float, turns: int) -> float:
        clock = _Clock(1, noise, 0.0)
        return spread_of(*in_turns([lambda: clock.takes(1.0)] * 2, turns))

    assert spread(0.001, 25) < spread(0.02, 25) < spread(0.3, 25)
    assert spread(0.1, 1000) < spread(0.1, 25) / 3
    assert spread_of([1.0] * 9, [2.0] * 9) == 0
    assert spread_of([0.0], [0.0]) == 1


def test_what_a_config_was_found_by_does_not_count() -> None:
    """2.91 times as fast at first, 1.02 times in truth."""
    found = _gains((_ONE, 2.91, 0.01))
    assert found.best() is None and found.unsure() == _ONE
    found.add(_ONE, Outcome(1 / 1.02, "", 1.0, 0.01), 1.0)
    assert found.best() is None and found.unsure() is None
    assert found.known()[_ONE].times == pytest.approx(1.02)


def test_the_next_best_is_measured_again_when_the_best_was_luck() -> None:
    found = _gains((_ONE, 2.0, 0.01), (_OTHER, 1.5, 0.01), (_ONE, 1.0, 0.01))
    assert found.unsure() == _OTHER
    found.add(_OTHER, Outcome(1 / 1.4, "", 1.0, 0.01), 1.0)
    best = found.best()
    assert best is not None and best[0] == _OTHER and best[1].times == pytest.approx(1.4)


@pytest.mark.parametrize(
    ("gain", "spread", "chosen"), [(1.2, 0.01, True), (1.2, 0.25, False), (1.02, 0.001, False)]
)
def test_a_gain_within_the_noise_is_none(gain: float, spread: float, chosen: bool) -> None:
    found = _gains((_ONE, gain, spread), (_ONE, gain, spread))
    assert (found.best() is not None) is chosen


def test_repeated_measurements_that_disagree_are_noise() -> None:
    found = _gains((_ONE, 1.3, 0.01), (_ONE, 1.6, 0.01), (_ONE, 0.9, 0.01))
    assert found.known()[_ONE].noise == pytest.approx(math.log(1.6 / 0.9) / 2)
    assert found.best() is None


def test_a_loaded_machine_widens_the_noise() -> None:
    """The default's own times differ by about a third from one measurement to the next."""
    steady, slowing, loaded, rng = Gains(), Gains(), Gains(), np.random.default_rng(0)
    for number in range(20):
        before = math.exp(rng.normal(0, 0.3))
        for gains, seconds in ((steady, 1.0), (slowing, 1.05**number), (loaded, before)):
            gains.add(_ONE, Outcome(seconds / 1.15, "", seconds, 0.01), seconds)
    assert steady.best() is not None and steady.drift() == 0
    assert slowing.best() is not None and slowing.drift() == pytest.approx(0)
    assert loaded.best() is None and loaded.drift() > 0.14


def test_records_without_a_spread_count_as_they_did() -> None:
    found = Gains()
    found.add(_ONE, Outcome(0.5, "", 1.0), 1.0)
    best = found.best()
    assert best is not None and best[1].times == 2 and found.unsure() == _ONE
    found.add(_ONE, Outcome(0.8, "", 1.0), 1.0)
    best = found.best()
    assert best is not None and best[1].times == pytest.approx(math.sqrt(2 / 0.8))


def _chosen(truth: Sequence[float], clock: _Clock) -> tuple[float, float, float]:
    """As a search goes: each config once, then what looks best again, as long as it is unsure.

    `truth`: how many times as fast as the default each is. Returns that of the chosen one, the
    noise that its gain was said to have, and the gain of the luckiest measurement.
    """
    trials = [Trial.of(_TASK, {"rows": number}) for number in range(len(truth))]
    gains, luckiest = Gains(), 1.0

    def measure(trial: Trial) -> None:
        nonlocal luckiest
        seconds = 1 / truth[trials.index(trial)]
        outcome = outcome_of(in_turns([lambda: clock.takes(seconds), lambda: clock.takes(1.0)], 9))
        assert outcome.seconds and outcome.default_seconds
        luckiest = max(luckiest, outcome.default_seconds / outcome.seconds)
        gains.add(trial, outcome, outcome.default_seconds)

    for trial in trials:
        measure(trial)
    while (again := gains.unsure()) is not None:
        measure(again)
    best = gains.best()
    return (
        (1.0, 0.0, luckiest)
        if best is None
        else (truth[trials.index(best[0])], best[1].noise, luckiest)
    )


@pytest.mark.parametrize("noise", [0.002, 0.05, 0.5])
def test_a_choice_is_never_slower_than_the_default_by_more_than_the_noise(noise: float) -> None:
    for seed in range(20):
        ratios = np.exp(np.random.default_rng(seed).normal(-0.05, 0.06, 40))
        truth = [1.0, *ratios.tolist()]
        chosen, within, _ = _chosen(truth, _Clock(seed, noise, drift=0.0005, hiccup=0.1))
        assert math.log(chosen) >= -within
        if noise == 0.002 and max(truth) > 1.08:
            assert chosen > 1.05  # what is faster is found


@pytest.mark.parametrize("noise", [0.05, 0.5])
def test_kernels_that_are_all_alike_stay_as_they_are(noise: float) -> None:
    changed = 0
    for seed in range(20):
        _, within, luckiest = _chosen([1.0] * 40, _Clock(seed, noise, 0.0, 0.1))
        changed += within > 0
        assert luckiest > 1.03  # which a choice by single measurements would take
    assert changed <= 2


def test_a_search_measures_its_choice_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first measurement of one config is lucky, and the budget is spent with a second."""
    monkeypatch.setattr(search_module, "append", lambda *record: None)
    task = dense()
    lucky = Trial.of(task, configs(task)[3])
    ran: list[Trial] = []

    class Runner:
        def run(self, trials: Sequence[Trial]) -> Iterator[tuple[Trial, Outcome]]:
            for trial in trials:
                ran.append(trial)
                gain = 2.91 if trial == lucky and ran.count(trial) == 1 else 1.0
                yield trial, Outcome(1 / gain, "", 1.0, 0.01)

    class InOrder:
        def choose(self, _: object, untried: list[Trial], count: int) -> list[Trial]:
            return untried[:count]

    known = Known([], TARGET.registers)
    search = Search({task: 1}, known, TARGET, Path("none"), HERE, 10)
    assert len(list(search.run(Runner(), InOrder()))) == 10  # type: ignore[arg-type]
    assert ran.count(lucky) == 2
    best = known.best(task)
    assert best is not None and (best.config, best.gain) == (configs(task)[0], 1.0)
    before, after = search.totals()
    assert before == after and search.gain_noise() == 0


def test_how_gains_are_said() -> None:
    assert said(1.2, 0.05) == "1.20 x ± 5 %"
    assert said(1.02, 0.001) == "no change (1.02 x ± 3 %)"
    assert said(2.91, 1.5) == "no change (2.91 x ± 150 %)"
    assert said(0.8, 0.05) == "0.80 x ± 5 %"


def test_a_machine_that_is_not_quiet_is_told_of() -> None:
    assert loaded_note(0.01, 0.2, 2) == ""
    assert "differ by 30 %" in loaded_note(0.3, 0.2, 2)
    assert "5.0 other processes wanted its 2 cores" in loaded_note(0.01, 5.0, 2)


def test_the_report_headlines_no_noise(tmp_path: Path) -> None:
    task = dense()
    trials = [Trial.of(task, config) for config in configs(task)[:2]]
    machine = Machine(HERE.cpu, (), "x86_64", HERE.tvm)
    collector = Collector({task: 1}, TARGET, machine, [], load=7.0, cores=2)
    for trial, gain in ((trials[0], 1.0), (trials[1], 2.91), (trials[1], 1.02)):
        collector.add(Record(trial, Outcome(1 / gain, "", 1.0, 0.02), HERE))
    model = tmp_path / "model.onnx"
    model.write_bytes(b"")
    compared = [EndToEnd("1 row", 1.03e-3, 1e-3, 0.08), EndToEnd("100 rows", 1.5e-3, 1e-3, 0.08)]
    page = render(collector.history(model, "here", compared))
    assert "2.91" not in page
    assert "no change (1.00 x" in page
    assert "no change (1.03 x ± 8 %)" in page
    assert "1.50 x ± 8 %" in page
    assert "0 of 1" in page
    assert "7.0 other processes wanted its 2 cores" in page


def test_a_spread_is_kept_in_the_logs() -> None:
    record = Record(_ONE, Outcome(1.0, "", 2.0, 0.25), HERE)
    assert Record.of_line(record.to_line()) == record
    without = Record(_ONE, Outcome(1.0, "", 2.0), HERE)
    assert "spread" not in without.to_line() and Record.of_line(without.to_line()) == without
    for wrong in ('"x"', "-1", "true", "NaN"):
        line = record.to_line().replace('"spread": 0.25', f'"spread": {wrong}')
        with pytest.raises(ValueError, match="spread"):
            Record.of_line(line)
