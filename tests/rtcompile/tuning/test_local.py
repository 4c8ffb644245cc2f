"""Candidates that crash, hang, miscompile or do not build cost themselves only."""

from __future__ import annotations

import pytest

from rtcompile.codegen.program.trials import Task, Trial
from rtcompile.targets import resolve_target
from rtcompile.tuning.local_runner import LocalRunner
from rtcompile.tuning.tuned.kernels import KERNELS
from tests.rtcompile.tuning.candidates import prepare, trial

_KINDS = ["good", "crash", "wrong", "loop", "unbuildable", "compiler-crash", "good"]


@pytest.mark.slow
def test_bad_candidates_cost_themselves_only() -> None:
    trials = [trial(1, kind, form) for form, kind in enumerate(_KINDS)]
    with LocalRunner("host", prepare, seconds=5) as runner:
        outcomes = dict(runner.run(trials))
    errors = [outcomes[one].error.split(":")[0] for one in trials]
    assert errors == ["", "crash", "wrong", "timeout", "build", "build", ""]
    assert all((outcomes[one].seconds or 0) > 0 for one in (trials[0], trials[-1]))


@pytest.mark.slow
def test_candidates_take_turns_with_the_default() -> None:
    values = {"depth": 16, "columns": 1, "epilogue": "", "least": 1, "most": 64}
    task = Task.of("narrow_dense", KERNELS["narrow_dense"].version, values)
    configs = KERNELS[task.kernel].configs(task, resolve_target("host").registers)
    with LocalRunner("host") as runner:
        outcomes = [outcome for _, outcome in runner.run([Trial.of(task, c) for c in configs[:3]])]
        assert runner.machine().tvm
    assert not any(outcome.error for outcome in outcomes)
    assert outcomes[0].seconds == outcomes[0].default_seconds
    assert all(outcome.seconds and outcome.default_seconds for outcome in outcomes)
