"""Which configs to measure next: XGBoost learns from all trials of a kernel what a config gains.

Features are the numbers of task and config, their logarithms, and which steps an epilogue has.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rtcompile.codegen.program.trials import Task, Trial
from rtcompile.errors import TuningError

__all__ = ["CostModel"]

_FEWEST = 6  # trials to learn from
_RANDOM = 0.25  # of a batch
_FAILED = -2.0  # the logarithm of the gain of a config that failed
_PARAMETERS = {"max_depth": 5, "learning_rate": 0.2, "nthread": 1, "seed": 0}
_STEPS = ("add", "multiply", "sigmoid", "tanh", "exp", "where")


class CostModel:
    """Raises TuningError where xgboost is not installed."""

    def __init__(self) -> None:
        try:
            import xgboost
        except ImportError as error:
            raise TuningError(
                "tuning needs xgboost: pip install 'rtcompile[tune]' (the package xgboost-cpu)"
            ) from error
        self._xgboost: Any = xgboost

    def choose(
        self, known: Mapping[Trial, float | None], untried: Sequence[Trial], count: int
    ) -> list[Trial]:
        """`count` of the untried trials of a task: most those that promise the most.

        `known`: gains of the kernel's trials, None of failed ones. The same arguments give the same
        choice.
        """
        if len(untried) <= count:
            return list(untried)
        chance = random.Random(f"{untried[0].task.parameters} {len(untried)}")
        if len(known) < _FEWEST:
            return chance.sample(list(untried), count)
        promised = self._predict(known, untried)
        order = sorted(range(len(untried)), key=lambda at: -promised[at])
        greedy = order[: count - round(_RANDOM * count)]
        rest = chance.sample(order[len(greedy) :], count - len(greedy))
        return [untried[at] for at in [*greedy, *rest]]

    def _predict(
        self, known: Mapping[Trial, float | None], untried: Sequence[Trial]
    ) -> Sequence[float]:
        # The native interface: XGBRegressor needs scikit-learn too.
        gains = [_FAILED if gain is None else math.log(gain) for gain in known.values()]
        matrix = self._xgboost.DMatrix
        learned = matrix(_features(list(known)), label=np.array(gains, np.float32))
        model = self._xgboost.train(_PARAMETERS, learned, num_boost_round=60)
        predicted: Sequence[float] = model.predict(matrix(_features(untried))).tolist()
        return predicted


def _features(trials: Sequence[Trial]) -> np.ndarray[Any, np.dtype[np.float32]]:
    """float32 [trials, features]. All trials are of one kernel."""
    return np.array([[*_of_task(trial.task), *_of_config(trial)] for trial in trials], np.float32)


def _of_task(task: Task) -> list[float]:
    found: list[float] = []
    for _, value in sorted(task.values.items()):
        if isinstance(value, int):
            found += [value, math.log2(abs(value) + 1)]
        else:
            found += [float(value.count(step)) for step in _STEPS]
    return found


def _of_config(trial: Trial) -> list[float]:
    config, task = trial.values, trial.task.values
    columns, most = int(task.get("columns", 1)), int(task.get("most", 1))
    found: list[float] = [float(value) for _, value in sorted(config.items())]
    # What of the last panel is padding or a narrower one, and of the last block single rows.
    width, rows = config.get("width", 1), config.get("rows", 1)
    return [*found, columns % width / width, columns / width, most % rows / rows, width * rows]
