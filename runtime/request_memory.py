"""Memory of one running request: what the stages before write, and the cross stage's inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.feature_stage import FeatureStage
from runtime.items import ItemPlaces, Snapshot
from runtime.network import Network
from runtime.stage import Results, Stage

__all__ = ["CrossInputs", "RequestMemory"]

_FEWEST_ROWS = 64


class CrossInputs:
    """Which inputs of the cross stage each other stage gives: (their places, which outputs)."""

    def __init__(self, order: Sequence[tuple[str, int]]) -> None:
        self._by_stage = {
            stage: (
                np.array([i for i, (name, _) in enumerate(order) if name == stage], np.int64),
                np.array([at for name, at in order if name == stage], np.int64),
            )
            for stage in dict(order)
        }

    def put(
        self, stage: str, given: npt.NDArray[np.int64], addresses: npt.NDArray[np.int64]
    ) -> None:
        """Enter the addresses of a stage's outputs into the cross stage's."""
        if stage in self._by_stage:
            places, outputs = self._by_stage[stage]
            addresses[places] = given[outputs]


class RequestMemory:
    """Made once a request that runs at the same time, and used again."""

    def __init__(
        self,
        features: FeatureStage | None,
        context: FeatureStage | None,
        network: Network | None,
        cross: Stage,
        inputs: CrossInputs,
    ) -> None:
        self._network, self._inputs = network, inputs
        self._context_features, self._rows = context, -1
        self._context = Results([], [], [])
        self.features = features.allocate(1) if features else Results([], [], [])
        self.results = network.stage.allocate(1) if network else Results([], [], [])
        self._arguments: list[Any] = []
        if network:
            self._table = network.table(self.features)
            self._arguments = [self._table.tensor, *self.results.arguments]
        self.places = ItemPlaces()
        self._cross = cross.input_table()
        inputs.put("user", self.features.addresses, self._cross.addresses)
        inputs.put("user_network", self.results.addresses, self._cross.addresses)

    def context(self, rows: int) -> Results:
        """For the features of `rows` rows. It grows, so that its pages are there the next time."""
        if self._context_features and rows > self._rows:
            self._rows = max(_FEWEST_ROWS, rows + rows // 4)
            self._context = self._context_features.allocate(self._rows)
        return self._context

    def run_network(self) -> None:
        """The user's share of the network, once the features are there."""
        if self._network:
            self._network.stage.call_one(self._arguments)

    def cross_inputs(self, items: Snapshot, context: Results) -> object:
        """The table of the cross stage's inputs; the places of the items are the last."""
        addresses = self._cross.addresses
        self._inputs.put("kept", items.addresses, addresses)
        self._inputs.put("context", context.addresses, addresses)
        addresses[-1] = items.places.address
        return self._cross.tensor
