"""Memory of one running request: what the stages before write, and the cross stage's inputs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.stage import PortEntry, PortTable
from rtcompile.runtime.items.item_index import ItemPlaces, item_key
from rtcompile.runtime.items.item_table import ItemState
from rtcompile.runtime.request.serve import Served, Server
from rtcompile.runtime.stages.feature_stage import FeatureStage
from rtcompile.runtime.stages.network import Network
from rtcompile.runtime.stages.stage import FEWEST_ROWS, Results, Stage

__all__ = ["CrossInputs", "RequestMemory"]

_NONE = np.empty(0, np.int64)


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
        server: Server | None,
    ) -> None:
        self._network, self._inputs = network, inputs
        self._context_features = context
        self._context = Results([], [], [], rows=-1)
        self.features = features.allocate(1) if features else Results([], [], [])
        self.results = network.stage.allocate(1) if network else Results([], [], [])
        self._table = network.table(self.features) if network else None
        self.places = ItemPlaces()
        self._cross = cross.input_table()
        # The places of the items are the last input.
        self._places_field = PortTable.PORTS.of(PortEntry.ADDRESS, len(cross.inputs) - 1)
        self.items = _NONE  # addresses that the cross stage's inputs have
        self.served: Served | None = None
        self.served = self._served(server) if server else None
        inputs.put("user", self.features.addresses, self._cross.addresses)
        inputs.put("user_network", self.results.addresses, self._cross.addresses)

    def context(self, rows: int) -> Results:
        """For the features of `rows` rows. It grows, so that its pages are there the next time."""
        if self._context_features and rows > self._context.rows:
            self._context = self._context_features.allocate(max(FEWEST_ROWS, rows + rows // 4))
            self._inputs.put("context", self._context.addresses, self._cross.addresses)
            if self.served:
                self.served.set_context(self._context)
        return self._context

    def grow_ids(self, items: Sequence[object]) -> bool:
        """Make room for ids, and say whether there was too little."""
        before = self.places.address
        try:
            self.places.write(list(map(item_key, items)))
        except TypeError:  # no ids
            return False
        self._set_places()
        return self.places.address != before

    def _set_places(self) -> None:
        self._cross.words[self._places_field] = self.places.address
        if self.served:
            self.served.set_places(self.places)

    def run_network(self) -> None:
        """The user's share of the network, once the features are there."""
        if self._network and self._table:
            self._network.stage.call_one([self._table.tensor, *self.results.arguments])

    def set_items(self, state: ItemState) -> None:
        """Enter where the items of the request lie, and their places."""
        self._inputs.put("kept", state.addresses, self._cross.addresses)
        self._set_places()
        if self.served:
            self.served.set_items(state)
        self.items = state.addresses

    def forget_items(self) -> None:
        """Have them entered again: the places may move."""
        self.items = _NONE
        if self.served:
            self.served.forget_items()

    @property
    def words(self) -> npt.NDArray[np.int64]:
        """Of a Request, where requests are answered in one call."""
        return self.served.words if self.served else _NONE

    @property
    def cross_inputs(self) -> object:
        """The table of the cross stage's inputs."""
        return self._cross.tensor

    def _served(self, server: Server) -> Served:
        """In the order of its stages."""
        parts: dict[str, tuple[list[int], Results]] = {}
        if server.has_user:
            parts["user"] = [], self.features
        if self._table:
            parts["user_network"] = [self._table.pointer], self.results
        if "context" in server.names:
            parts["context"] = [], self.context(FEWEST_ROWS)
        inputs = [given for given, _ in parts.values()]
        if server.answers:
            inputs.append([self._cross.pointer])
        results = [made for _, made in parts.values()]
        return Served(server, inputs, results, self.context, self.grow_ids)
