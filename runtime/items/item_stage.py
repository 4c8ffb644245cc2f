"""What is computed of an item when it is inserted, and kept for the rows that rank it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt

from rtcompile.runtime.stages.feature_stage import FeatureStage
from rtcompile.runtime.stages.network import Network
from rtcompile.runtime.stages.stage import Port

__all__ = ["ItemStage"]


class ItemStage:
    """The item's features and its share of the network; only what rows read is kept.

    `kept`: (stage, which of its outputs) of each value that is.
    """

    def __init__(
        self,
        features: FeatureStage | None,
        network: Network | None,
        kept: Sequence[tuple[str, int]],
    ) -> None:
        self._features, self._network, self._kept = features, network, tuple(kept)
        known = {
            "item": features.ports if features else (),
            "item_network": network.stage.outputs if network else (),
        }
        self.ports: tuple[Port, ...] = tuple(known[stage][at] for stage, at in self._kept)

    def compute(
        self, columns: Mapping[str, Sequence[object]], count: int
    ) -> list[npt.NDArray[Any]]:
        """One array [count, ...] a port. Raises RequestError, UnknownIdError."""
        found: dict[str, list[npt.NDArray[Any]]] = {}
        if self._features:
            found["item"] = self._features.run(columns, count)
        if self._network:
            found["item_network"] = self._network.run(count, found)
        return [found[stage][at] for stage, at in self._kept]
