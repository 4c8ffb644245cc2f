"""The rows of a tile, as a task: measured by requests to the whole model, not by a kernel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rtcompile.codegen.program.tile_rows import STAGE_TILE_KERNEL, TILE_SIZES
from rtcompile.codegen.program.trials import Config, Task
from rtcompile.errors import TuningError
from rtcompile.targets import Registers
from rtcompile.tuning.tuned.kernels.base import Case

__all__ = ["StageTile"]

_MANY = 1e12  # operations: a request is one run


class StageTile:
    """Rows of a tile of the stage that runs for each row of a request (`tuning/tiles.py`)."""

    name, version = STAGE_TILE_KERNEL
    parameters: ClassVar[dict[str, type]] = {"stage": str, "default": int}

    def configs(self, task: Task, registers: Registers) -> Sequence[Config]:
        """Sizes."""
        default = int(task.values["default"])
        return [{"rows": rows} for rows in dict.fromkeys((default, *TILE_SIZES))]

    def product(self, task: Task) -> tuple[int | str, ...]:
        """The stage."""
        return (task.values["stage"],)

    def operations(self, task: Task) -> float:
        """So many that a timed call is one run."""
        return _MANY

    def case(self, task: Task, config: Config, registers: Registers) -> Case:
        """Raises TuningError: there is no kernel to run by itself."""
        raise TuningError("the rows of a tile are measured with the whole model")
