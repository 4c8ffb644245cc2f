"""Bind features to graph inputs, by name.

    graph input             takes the feature of the same name
    int   [n], [n, w]       its ids: one, or w of them padded with zeros
    int   [n, length]       a sequence's ids, padded with zeros
    float [n], [n, d]       the numbers of a raw feature, or the pooled embedding of ids
    float [n, length, d]    the same for each element of a sequence, zeros behind the last
    SEQUENCE__len           the sequence's length, [n] or [n, 1]

Every graph input needs a feature, and every feature an input: one of the graph as it was given,
also where no output that is kept needs it.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from rtcompile.codegen.program.program import Port
from rtcompile.compile.embeddings import EmbeddingTables
from rtcompile.errors import BindingError, EmbeddingsError
from rtcompile.features.plan import (
    Boundaries,
    Feature,
    FeaturePlan,
    HashBucket,
    NumBuckets,
    Side,
)

__all__ = ["BoundInput", "Form", "bind", "id_count"]

_LENGTH = "__len"


class Form(Enum):
    """What of a feature an input takes."""

    IDS = "ids"
    NUMBERS = "numbers"
    POOLED = "pooled"
    LENGTHS = "lengths"


@dataclass(frozen=True)
class BoundInput:
    """A graph input and what feeds it. `table` is that of a pooled feature."""

    port: Port
    feature: Feature
    form: Form
    table: npt.NDArray[np.float32] | None = None

    @property
    def side(self) -> Side:
        """Which stage computes it."""
        return self.feature.side


def id_count(feature: Feature) -> int:
    """One more than the largest id that a feature is meant to give."""
    by = feature.bucketizer
    if isinstance(by, HashBucket | NumBuckets):
        return by.buckets
    if isinstance(by, Boundaries):
        return len(by.values) + 1
    return 0 if by is None else by.size


def bind(
    plan: FeaturePlan,
    inputs: Iterable[Port],
    tables: Iterable[EmbeddingTables],
    graph_rows: Mapping[str, int],
    unread: Collection[str] = (),
) -> tuple[BoundInput, ...]:
    """What feeds each of `inputs`, in their order.

    `tables` are searched in order. `graph_rows`: rows of the tables inside the graph, by the name
    of the input that looks them up. `unread`: inputs that the graph had, which nothing that is
    kept of it reads: features of their names may be left unbound. Raises BindingError or
    EmbeddingsError with every problem.
    """
    binder = _Binder(plan, tuple(inputs), tuple(tables), graph_rows)
    bound = tuple(found for found in map(binder.bind, binder.inputs) if found)
    fed = {(b.feature.name, b.form is Form.LENGTHS) for b in bound}
    for feature in plan.features:
        if (feature.name, False) not in fed and feature.name not in binder.named.union(unread):
            binder.problems.append(binder.unwanted(feature))
    if binder.problems:
        raise BindingError(binder.problems, plan.source)
    if binder.table_problems:
        raise EmbeddingsError("\n  ".join(binder.table_problems))
    return bound


class _Binder:
    def __init__(
        self,
        plan: FeaturePlan,
        inputs: tuple[Port, ...],
        tables: tuple[EmbeddingTables, ...],
        graph_rows: Mapping[str, int],
    ) -> None:
        self._plan, self.inputs, self._tables, self._graph_rows = plan, inputs, tables, graph_rows
        self._features = {feature.name: feature for feature in plan.features}
        self.named = {port.name for port in inputs}
        self.problems: list[str] = []
        self.table_problems: list[str] = []

    def bind(self, port: Port) -> BoundInput | None:
        """The binding of one input; None, and a problem, where there is none."""
        if port.per_request:
            return self._refuse(port, "has no batch axis")
        feature = self._features.get(port.name)
        if feature is None:
            return self._length(port)
        extents = list(port.shape)
        if feature.sequence is not None:
            if not extents or extents[0] != feature.sequence.length:
                wanted = feature.sequence.length
                return self._refuse(port, f"but {feature.path} gives [n, {wanted}, ...]")
            extents = extents[1:]
        if np.issubdtype(port.dtype, np.floating):
            return self._floats(port, feature, extents)
        return self._ids(port, feature, extents)

    def unwanted(self, feature: Feature) -> str:
        """The message for a feature that feeds nothing."""
        free = [port.name for port in self.inputs if port.name not in self._features]
        near = difflib.get_close_matches(feature.name, free, n=1)
        hint = f"; did you mean the input {near[0]!r}?" if near else ""
        return f"{feature.path}: no graph input is called {feature.name!r}{hint}"

    def _refuse(self, port: Port, why: str) -> BoundInput | None:
        shape = ", ".join(["n", *map(str, port.shape)])
        self.problems.append(f"graph input {port.name!r}, {port.dtype} [{shape}]: {why}")
        return None

    def _length(self, port: Port) -> BoundInput | None:
        group = port.name.removesuffix(_LENGTH)
        if group != port.name:
            for feature in self._plan.features:
                if feature.sequence is not None and feature.sequence.group == group:
                    if port.row_elements == 1:
                        return BoundInput(port, feature, Form.LENGTHS)
                    return self._refuse(port, "a length is one number a row")
        free = [name for name in self._features if name not in self.named]
        near = difflib.get_close_matches(port.name, free, n=1)
        return self._refuse(
            port, "no feature feeds it" + (f"; did you mean feature {near[0]!r}?" if near else "")
        )

    def _floats(self, port: Port, feature: Feature, extents: list[int]) -> BoundInput | None:
        if not feature.sparse:
            if extents == [feature.value_dim] or (not extents and feature.value_dim == 1):
                return BoundInput(port, feature, Form.NUMBERS)
            return self._refuse(port, f"but {feature.path} has value_dim {feature.value_dim}")
        if len(extents) != 1:
            return self._refuse(port, f"but {feature.path} is pooled to one vector")
        if port.dtype != "float32":
            return self._refuse(port, "a pooled embedding is float32")
        return self._pooled(port, feature, extents[0])

    def _pooled(self, port: Port, feature: Feature, dimension: int) -> BoundInput | None:
        assert feature.embedding is not None
        name = feature.embedding.table
        found = next((t for s in self._tables if (t := s.find(name)) is not None), None)
        if found is None:
            known = [f"{s.source}: {', '.join(s.tables) or 'none'}" for s in self._tables]
            self.table_problems.append(
                f"graph input {port.name!r} takes the pooled embedding of {feature.path}, whose "
                f"table {name!r} is missing; give it with --embeddings. Known are, in "
                f"{'; in '.join(known)}"
            )
            return None
        said = feature.embedding.dimension
        if said is not None and said != dimension:
            self.table_problems.append(
                f"{feature.path} has embedding_dim {said}, but graph input {port.name!r} takes "
                f"{dimension}"
            )
        if found.shape[1] != dimension:
            turned = found.shape[0] == dimension and found.shape[1] >= id_count(feature)
            self.table_problems.append(
                f"table {name!r} has dimension {found.shape[1]}, but graph input {port.name!r} "
                f"takes {dimension}{'; is the table transposed?' if turned else ''}"
            )
        if found.shape[0] < id_count(feature):
            self.table_problems.append(
                f"table {name!r} has {found.shape[0]} rows, but {feature.path} has "
                f"{id_count(feature)} ids"
            )
        return BoundInput(port, feature, Form.POOLED, found)

    def _ids(self, port: Port, feature: Feature, extents: list[int]) -> BoundInput | None:
        if not feature.sparse:
            return self._refuse(port, f"but {feature.path} gives numbers, not ids")
        if len(extents) > 1 or (feature.sequence is not None and extents):
            return self._refuse(port, f"but {feature.path} gives ids without a further axis")
        if port.dtype not in ("int32", "int64"):
            return self._refuse(port, "ids are int32 or int64")
        width = 1 if feature.sequence is not None else port.row_elements
        if feature.value_dim > width:
            return self._refuse(
                port,
                f"{feature.path} has value_dim {feature.value_dim}, and {width} of the ids would "
                "be kept: give the input as many places, or the feature a smaller value_dim",
            )
        rows = self._graph_rows.get(port.name)
        if rows is not None and rows < id_count(feature):
            return self._refuse(
                port, f"its table has {rows} rows, but {feature.path} has {id_count(feature)} ids"
            )
        return BoundInput(port, feature, Form.IDS)
