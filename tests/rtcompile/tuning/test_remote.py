from __future__ import annotations

import pytest

from rtcompile.errors import TuningError
from rtcompile.tuning.remote_runner import Limits, RemoteRunner
from tests.rtcompile.tuning.candidates import default, prepare, trial
from tests.rtcompile.tuning.remote import KEY, fleet

_LIMITS = Limits(build_seconds=60, session_seconds=5, patience_seconds=30)


def _runner(address: str, limits: Limits) -> RemoteRunner:
    return RemoteRunner(prepare, "host", address, KEY, default, limits)


@pytest.mark.slow
def test_bad_candidates_cost_themselves_only() -> None:
    trials = [
        trial(1, kind, form)
        for form, kind in enumerate(
            ["good", "crash", "wrong", "loop", "unbuildable", "compiler-crash", "good"]
        )
    ]
    with fleet(1) as (address, _), _runner(address, _LIMITS) as runner:
        assert runner.machine().cpu
        outcomes = dict(runner.run(trials))
    assert [outcomes[t].error.partition(":")[0] for t in trials] == [
        "", "crash", "wrong", "timeout", "build", "build", "",
    ]  # fmt: skip
    for good in (trials[0], trials[-1]):
        assert outcomes[good].seconds and outcomes[good].default_seconds


@pytest.mark.slow
def test_a_killed_worker_loses_its_trial_only() -> None:
    trials = [trial(value, form=form) for value in (1, 2) for form in range(8)]
    outcomes = {}
    with fleet(2) as (address, workers), _runner(address, _LIMITS) as runner:
        for done, outcome in runner.run(trials):
            outcomes[done] = outcome
            if len(outcomes) == len(trials) // 2:
                workers[0].kill()
    assert set(outcomes) == set(trials)
    assert all(outcome.seconds for outcome in outcomes.values())


@pytest.mark.slow
def test_without_workers_what_is_left_is_lost() -> None:
    limits = Limits(session_seconds=5, patience_seconds=1)
    trials = [trial(1, form=form) for form in range(4)]
    outcomes = {}
    with fleet(1) as (address, workers), _runner(address, limits) as runner:
        for done, outcome in runner.run(trials):
            outcomes[done] = outcome
            workers[0].kill()
    assert len(outcomes) == len(trials)
    assert {outcome.error[:4] for outcome in outcomes.values()} == {"", "lost"}


def test_a_tracker_that_is_not_there_is_an_error() -> None:
    with pytest.raises(TuningError, match="no tracker on"):
        RemoteRunner(prepare, "host", "127.0.0.1:1", KEY)
