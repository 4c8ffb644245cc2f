"""The part of a network that one side decides, fed by that side's features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from rtcompile.runtime.memory.input_table import PortAddresses
from rtcompile.runtime.stages.stage import Results, Stage

__all__ = ["Network"]


class Network:
    """A network's stage and where its inputs come from: (stage, which of its outputs)."""

    def __init__(self, stage: Stage, sources: Sequence[Sequence[Any]]) -> None:
        self.stage = stage
        self._sources = [(str(name), int(at)) for name, at in sources]

    def table(self, given: Results) -> PortAddresses:
        """A table of inputs that lie in the results of one stage, where they stay."""
        table = self.stage.input_table()
        table.addresses[:] = [given.addresses[at] for _, at in self._sources]
        return table

    def run(
        self, rows: int, given: Mapping[str, Sequence[npt.NDArray[Any]]]
    ) -> list[npt.NDArray[Any]]:
        """Run on aligned arrays; one array [rows, ...] an output. `given`: stage -> its outputs."""
        return self.stage.run(rows, [given[name][at] for name, at in self._sources])
