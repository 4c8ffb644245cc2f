"""What a kernel must give to be tuned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rtcompile.codegen.program.trials import Config, Task
from rtcompile.targets import Registers

__all__ = ["Case", "TunedKernel", "counts_of", "runs_of"]

_RATE = 5e10  # operations a second, about
_WORK = 5e-5  # seconds of a call, at least
_MOST_RUNS = 1000


@dataclass(frozen=True)
class Case:
    """A kernel with a config, data to run it on, and what it must give.

    `function`: a private PrimFunc (a pointer for each of `arrays`, rows, scalars*). `counts`: the
    rows of the calls that one run is, the last one of all rows. `result`: which of the arrays the
    kernel writes; `expected` holds what is there then, within `tolerance` of its largest value.
    `llvm`: text of functions that the kernel calls. `steps`: by array, elements by which a run
    begins later than the run before.
    """

    function: Any
    arrays: tuple[npt.NDArray[Any], ...]
    counts: tuple[int, ...]
    result: int
    expected: npt.NDArray[Any]
    scalars: tuple[int, ...] = ()
    tolerance: float = 1e-4
    llvm: str = ""
    steps: Mapping[int, int] = field(default_factory=dict)


class TunedKernel(Protocol):
    """A template in the registry (`kernels/__init__.py`)."""

    @property
    def name(self) -> str:
        """Of its tasks."""
        ...

    @property
    def version(self) -> int:
        """Of its tasks: another one when the code that it emits, or its configs, change."""
        ...

    @property
    def parameters(self) -> Mapping[str, type]:
        """The names that its tasks' parameters have, and the types of their values."""
        ...

    def configs(self, task: Task, registers: Registers) -> Sequence[Config]:
        """What there is to try, the default first. Records of other configs are not used."""
        ...

    def product(self, task: Task) -> tuple[int | str, ...]:
        """What tasks have in common between which a config is worth being reused."""
        ...

    def operations(self, task: Task) -> float:
        """Multiplications of a run, about."""
        ...

    def case(self, task: Task, config: Config, registers: Registers) -> Case:
        """The kernel with a config, and its data."""
        ...


def runs_of(kernel: TunedKernel, task: Task) -> int:
    """Runs of a timed call: enough that the call itself does not count. A trial's seconds are of
    all of them.
    """
    return int(np.clip(_WORK * _RATE / max(kernel.operations(task), 1), 1, _MOST_RUNS))


def counts_of(task: Task) -> tuple[int, ...]:
    """The rows of a run's calls: those of one row of a request, and those of a full tile."""
    least, most = int(task.values["least"]), int(task.values["most"])
    return (most,) if least == most else (least, most)
