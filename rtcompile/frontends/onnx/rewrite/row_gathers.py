"""Say of a Gather that counts the rows of the batch that each row reads its own.

    GatherND(x, Concat(arange(n), last))                      x[arange(n), last] of x [n, L, d]
    Gather(Reshape(x, [n * L, d]), arange(n) * L + last)  ->  GatherND(x, last, batch_dims=1)
    Gather(x, arange(n))                                  ->  x

Both of torch's exporters write the last item of a sequence so. Their indices lead from the start of
the batch to a row; these lead from the start of the row, so that one of -1 is the row's last item,
as in torch, where the second form would read another row's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import helper

from rtcompile.frontends.onnx.rewrite.graph_edit import GraphEdit, names_of, with_nodes
from rtcompile.frontends.onnx.rewrite.loop_turns import attributes_of
from rtcompile.frontends.onnx.rewrite.shape_facts import BATCHES, ShapeFacts

__all__ = ["row_gathers"]


def row_gathers(model: Any, opset: int) -> Any:
    """A copy of `model` that says so; the same object where nothing counts the rows."""
    kinds = {node.op_type for node in model.graph.node}
    if opset < 12 or "Range" not in kinds or not kinds & {"Gather", "GatherND"}:
        return model
    return _Gathers(model, opset).rewritten()


class _Gathers:
    def __init__(self, model: Any, opset: int) -> None:
        self._model, self._facts = model, ShapeFacts(model)
        self._edit = GraphEdit("row_gathers", opset, names_of(model))
        self._producers = {name: node for node in model.graph.node for name in node.output}

    def rewritten(self) -> Any:
        rules = {"GatherND": self._by_pairs, "Gather": self._by_sums}
        found_any = False
        for node in self._model.graph.node:
            rule = rules.get(node.op_type)
            found = rule(node) if rule else None
            if found is None:
                self._edit.nodes.append(node)
                continue
            found_any = True
            self._edit.nodes.append(helper.make_node("Identity", [found], node.output, node.name))
        if not found_any:
            return self._model
        return with_nodes(self._model, self._edit.nodes, self._edit.constants)

    def _by_pairs(self, node: Any) -> str | None:
        """GatherND by indices whose first column is the row's number."""
        data, indices = node.input
        pairs = self._producers.get(indices)
        rank = self._facts.rank(indices)
        extents = self._facts.shape(data)
        if pairs is None or pairs.op_type != "Concat" or rank is None or not extents:
            return None
        attributes = attributes_of(pairs)
        if attributes_of(node).get("batch_dims") or attributes["axis"] % rank != rank - 1:
            return None
        if extents[0] != (1, 0) or len(pairs.input) < 2 or not self._steps(pairs.input[0], 1):
            return None
        rest = list(pairs.input[1:])
        within = rest[0] if len(rest) == 1 else self._edit.node("Concat", *rest, axis=rank - 1)
        return self._edit.node("GatherND", data, within, batch_dims=1)

    def _by_sums(self, node: Any) -> str | None:
        """Gather from a tensor of which each row has some, by the row's start and a place in it."""
        data, indices = node.input
        extents = self._facts.shape(data)
        if not extents or attributes_of(node).get("axis", 0) or extents[0][1] or not extents[0][0]:
            return None
        if any(slope for slope, _ in extents[1:]):
            return None
        share = extents[0][0]
        if share == 1 and self._steps(indices, 1) and self._facts.rank(indices) == 1:
            return data
        terms = self._terms(indices)
        starts = [term for term in terms if self._steps(term, share)]
        places = [term for term in terms if term not in starts]
        if len(starts) != 1 or not places or any(map(self._facts.reads_the_batch, places)):
            return None
        place = places[0]
        for term in places[1:]:
            place = self._edit.node("Add", place, term)
        rank = self._facts.rank(indices)
        if rank is None or self._facts.rank(places[0]) != rank or len(places) > 1:
            return None
        shape = [-1, share, *(extent for _, extent in extents[1:])]
        rows = self._edit.node("Reshape", data, self._edit.constant(shape))
        within = self._edit.unsqueeze(place, rank)
        return self._edit.node("GatherND", rows, within, batch_dims=1)

    def _terms(self, name: str) -> list[str]:
        """What is added up to `name`."""
        node = self._producers.get(name)
        while node is not None and node.op_type in ("Identity", "Cast"):
            name = node.input[0]
            node = self._producers.get(name)
        if node is None or node.op_type != "Add":
            return [name]
        return [term for part in node.input for term in self._terms(part)]

    def _steps(self, name: str, step: int) -> bool:
        """Whether row i of `name` is i * step at every batch, all over."""
        found = self._facts.at_each(name)
        if found is None or any(array.ndim == 0 for array in found):
            return False
        for array, batch in zip(found, BATCHES, strict=True):
            rows = np.arange(batch).reshape(-1, *[1] * (array.ndim - 1)) * step
            if len(array) != batch or not (array == rows).all():
                return False
        return True
