"""Requests of an artifact with features: user stage, item table, context stage, cross stage."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.encode_values import ENCODE
from rtcompile.runtime.abi.item_index import ITEM_INDEX
from rtcompile.runtime.abi.value_bytes import WRITE
from rtcompile.runtime.columns import Column
from rtcompile.runtime.counters import counters_of
from rtcompile.runtime.encoding.arrow_values import table_column
from rtcompile.runtime.encoding.unparsed import UnparsedValues
from rtcompile.runtime.encoding.value_bytes import ValueWriter
from rtcompile.runtime.errors import RequestError
from rtcompile.runtime.items.item_ids import as_ids
from rtcompile.runtime.items.item_index import ItemIndex
from rtcompile.runtime.items.item_stage import ItemStage
from rtcompile.runtime.items.item_table import ItemTable, Snapshot
from rtcompile.runtime.memory.input_table import address
from rtcompile.runtime.request.rank import rank_entry
from rtcompile.runtime.request.request_memory import CrossInputs, RequestMemory
from rtcompile.runtime.request.serve import Server
from rtcompile.runtime.shorten import first_few
from rtcompile.runtime.stages.extract import ColumnStage
from rtcompile.runtime.stages.feature_stage import (
    FeatureStage,
    check_fields,
    served_plans,
    where,
)
from rtcompile.runtime.stages.network import Network
from rtcompile.runtime.stages.profile import KernelTime, Profile
from rtcompile.runtime.stages.stage import Results, Stage

__all__ = ["Ranking"]

_SIDES = ("user", "item", "context")
_OF_ITEM = ("item", "item_network")


class Ranking:
    """The stages of one artifact and the item table. Safe to call from many threads at once."""

    def __init__(
        self,
        cross: Stage,
        module: Any,
        manifest: Mapping[str, Any],
        constants: Any,
        assets: Mapping[str, bytes],
        check_tables: Callable[[], None] = lambda: None,
        strict: bool = False,
    ) -> None:
        """`check_tables` raises where the tables are no longer what was loaded."""
        self.unparsed = UnparsedValues(strict)
        # As the keys of mappings: what is compared with a request's.
        self._fields = {side: dict.fromkeys(names) for side, names in manifest["fields"].items()}
        self._cross = cross
        self._load_stages(module, manifest["stages"], constants, assets)
        stages = manifest["stages"]
        sources = [(str(stage), int(at)) for stage, at in stages["cross"]["sources"]]
        kept = [source for source in sources if source[0] in _OF_ITEM]
        stage = ItemStage(self._features.get("item"), self._networks.get("item"), kept)
        mixed = self._features["context"].item_specs if "context" in self._features else ()
        index = partial(ItemIndex, module[ITEM_INDEX])
        fields = tuple(self._fields["item"])

        def compute(columns: Mapping[str, Sequence[object]], count: int) -> list[npt.NDArray[Any]]:
            check_tables()
            return stage.compute(columns, count)

        self.items = ItemTable(fields, stage.ports, compute, index, mixed, self.unparsed)
        # Where the cross stage finds its inputs: (what the stage gave, which of it).
        places = {source: ("kept", at) for at, source in enumerate(kept)}
        self._inputs = CrossInputs([places.get(source, source) for source in sources])
        self._server = self._server_of(module, manifest["serve"], constants)
        # Whether requests are read by compiled code.
        server, self._has_context = self._server, bool(self._fields["context"])
        self.at_once = bool(server and server.answers and server.reads)
        # With the words of each. Lists append and pop atomically.
        self._idle: list[tuple[npt.NDArray[np.int64], RequestMemory]] = []
        self._outputs = [port.name for port in cross.outputs]

    def _load_stages(
        self, module: Any, stages: Mapping[str, Any], constants: Any, assets: Mapping[str, bytes]
    ) -> None:
        """All but the cross stage, by the side of what they read."""
        encode, writer = module[ENCODE], ValueWriter(module[WRITE])
        self._features = {
            side: FeatureStage(
                side, module[side], stages[side], constants, assets, encode, writer, self.unparsed
            )
            for side in _SIDES
            if side in stages
        }
        self._extract = {
            side: ColumnStage(
                module[name], stages[name], constants, assets, where(side), self.unparsed
            )
            for side in _SIDES
            if (name := f"extract_{side}") in stages
        }
        self._networks = {
            side: Network(
                Stage(module[name], stages[name], constants, takes_turns=side == "user"),
                stages[name]["sources"],
            )
            for side in ("user", "item")
            if (name := f"{side}_network") in stages
        }

    def entry(self, rank: Callable[..., Any], module: Any) -> Callable[..., Any] | None:
        """`rank`, of a ranker, as a function that is compiled; None where there is none of it.

        It leaves this what it cannot answer.
        """
        if self._server is None or not self.at_once:
            return None
        return rank_entry(rank, module, self._server, self.items, self._idle, self.rank)

    def rank(
        self, user: object, items: Any, context: object | None = None
    ) -> dict[str, npt.NDArray[Any]]:
        """See `Ranker.rank`."""
        memory = self._take_memory()
        try:
            found, kind, served = None, type(items), memory.served
            whole = (context is not None) is self._has_context
            if served and self.at_once and whole and (kind is list or kind is tuple):
                state = self.items.state  # whose arrays are to stay until the answer is there
                if state.addresses is not memory.items:
                    memory.set_items(state)
                found = served.answer(user, items, context)
            if found is None:
                found = self._by_parts(memory, user, items, context)
        except RequestError:
            self._idle.append((memory.words, memory))
            raise
        # Not after any other exception, as of an interrupt: it may point where nothing is any more.
        self._idle.append((memory.words, memory))
        return found

    def close(self) -> None:
        """Let go of the memory of requests, parts of which refer to each other."""
        while self._idle:
            self._idle.pop()[1].served = None

    def _take_memory(self) -> RequestMemory:
        try:
            return self._idle.pop()[1]
        except IndexError:
            return self._new_memory()

    def _by_parts(
        self, memory: RequestMemory, user: object, items: object, context: object | None
    ) -> dict[str, npt.NDArray[Any]]:
        """A request that compiled code does not read, or not alone: in one call of it once it is
        read, or stage by stage."""
        ids, fields = as_ids(items), check_fields("user", user, self._fields["user"])
        memory.forget_items()
        snapshot = self.items.snapshot(ids, memory.places)
        memory.set_items(snapshot.state)
        found = self._results(memory, fields, snapshot, context)
        return dict(zip(self._outputs, found, strict=True))

    def _results(
        self,
        memory: RequestMemory,
        fields: Mapping[str, Any],
        snapshot: Snapshot,
        context: object | None,
    ) -> list[npt.NDArray[Any]]:
        rows = memory.places.count
        columns: Mapping[str, Any] = {}
        if context is not None or self._has_context:
            columns, _ = self._context_columns({} if context is None else context, rows)
        served, server = memory.served, self._server
        whole = server is not None and server.answers and not server.needs_ids
        if served is not None and served.run(fields, rows if whole else None):
            if whole:
                return served.answers(rows)
        else:
            self._fill_user(fields, memory)
        stage = self._features.get("context")
        if stage is not None:
            self._fill_context(stage, columns, rows, fields, snapshot, memory.context(rows))
        return self._cross.answer_from(rows, memory.cross_inputs)

    def extract(
        self, user: object | None, items: object | None, context: object | None
    ) -> dict[str, Column]:
        """See `Ranker.extract`."""
        found: dict[str, Column] = {}
        fields: Mapping[str, Any] = {}
        if user is not None:
            fields = check_fields("user", user, self._fields["user"])
            found.update(self._columns("user", {n: [v] for n, v in fields.items()}, 1))
        ids = None if items is None else as_ids(items)
        if ids is not None:
            found.update(self._columns("item", self.items.raw(ids), len(ids)))
        stage = self._extract.get("context")
        needed = {spec.side for spec in stage.specs} if stage else set()
        given = {"user": user, "item": ids, "context": context}
        if stage is None or (context is None and not self._fields["context"]):
            given["context"] = {}
        if stage is None or any(given[side] is None for side in needed | {"context"}):
            return found
        count = None if ids is None else len(ids)
        rows_given, rows = self._context_columns(given["context"], count)
        columns = dict(rows_given)
        if "user" in needed:
            columns.update({name: [value] for name, value in fields.items()})
        if ids is not None:
            columns.update(self.items.raw(ids))
        found.update(self._columns("context", columns, rows))
        return found

    def extract_rows(self, columns: Mapping[str, Sequence[object]], rows: int) -> dict[str, Column]:
        """See `Ranker.extract_rows`."""
        found: dict[str, Column] = {}
        for side, stage in self._extract.items():
            names = dict.fromkeys(spec.name for spec in stage.specs if spec.name)
            missing = [name for name in names if name not in columns]
            if missing:
                raise RequestError(
                    f"{side} fields {first_few(missing, len(missing))} are missing among "
                    f"{first_few(columns, len(columns), 20)}"
                )
            read = {n: _values(f"{side} field {n!r}", columns[n]) for n in names}
            found.update(self._columns(side, read, rows))
        return found

    def counters(self) -> dict[str, dict[str, int]]:
        """See `Ranker.counters`."""
        stages = [one.stage for one in self._features.values()]
        stages += [one.stage for one in self._extract.values()]
        return counters_of(stages, self.unparsed)

    def calibration_words(self) -> dict[str, npt.NDArray[np.int64]]:
        """See `Ranker.calibration_words`."""
        stages = {side: network.stage for side, network in self._networks.items()}
        stages["cross"] = self._cross
        return {name: stage.calibration_words() for name, stage in stages.items()}

    def profile(self, tick: float) -> Profile:
        """See `Ranker.profile`."""
        kernels: list[KernelTime] = []
        for side, features in self._features.items():
            kernels += features.profile(side, tick)
        for side, network in self._networks.items():
            kernels += network.stage.profile(f"{side}_network", tick)
        kernels += self._cross.profile("cross", tick)
        encoding = {side: f.encoding_taken() for side, f in self._features.items()}
        return Profile(tuple(kernels), encoding)

    def _server_of(self, module: Any, names: Sequence[str], constants: Any) -> Server | None:
        """What runs the stages `names` in one call."""
        networks = {f"{side}_network": one.stage for side, one in self._networks.items()}
        features = {side: one.stage for side, one in self._features.items()}
        stages = {"cross": self._cross, **networks, **features}
        reading = {name: self._features[name] for name in names if name in self._features}
        fields = {side: tuple(self._fields[side]) for side in ("user", "context")}
        plans = served_plans(reading, fields)
        if not plans:
            return None
        at = address(np.from_dlpack(constants))
        return Server(module, {name: stages[name] for name in names}, plans, at)

    def _new_memory(self) -> RequestMemory:
        user, context = self._features.get("user"), self._features.get("context")
        network = self._networks.get("user")
        return RequestMemory(user, context, network, self._cross, self._inputs, self._server)

    def _fill_user(self, fields: Mapping[str, object], memory: RequestMemory) -> None:
        stage = self._features.get("user")
        if stage:
            stage.fill_one(fields, memory.features)
        memory.run_network()

    def _fill_context(
        self,
        stage: FeatureStage,
        columns: Mapping[str, Sequence[object]],
        rows: int,
        user: Mapping[str, object],
        items: Snapshot,
        results: Results,
    ) -> None:
        if stage.is_mixed:
            stage.fill_mixed(user, columns, items.stored, items.places.address, rows, results)
        else:
            stage.fill(columns, rows, results)

    def _context_columns(
        self, context: object, rows: int | None
    ) -> tuple[Mapping[str, Sequence[object]], int]:
        # A copy: what is checked is what is encoded, whoever changes the mapping meanwhile.
        given = dict(context) if isinstance(context, Mapping) else context
        columns = check_fields("context", given, self._fields["context"])
        found: dict[str, Sequence[Any]] = {}
        for name, values in columns.items():
            found[name] = _values(f"context field {name!r}: a list with a value an item", values)
            count = len(found[name])
            rows = count if rows is None else rows
            if count != rows:
                raise RequestError(f"context field {name!r}: {count} values for {rows} items")
        return found, rows or 0

    def _columns(
        self, side: str, columns: Mapping[str, Sequence[object]], rows: int
    ) -> dict[str, Column]:
        stage = self._extract.get(side)
        if stage is None:
            return {}
        return stage.run(stage.encoder.rows(columns, rows))


# What Python says of wrong arguments: compiled code hands them over as it got them.
Ranking.rank.__qualname__ = "Ranker.rank"


def _values(where: str, values: object) -> Sequence[Any]:
    """A column that is a value a row. Raises RequestError."""
    try:
        return table_column(values)
    except Exception as error:  # whatever the code of a foreign object raises
        raise RequestError(f"{where}: {error}") from error
