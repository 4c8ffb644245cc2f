"""A graph without `If`, `Loop` and `Scan`, whose count of rows stays free.

Exporters write a branch where an operator's form depends on an extent, such as "squeeze this axis
if it is one": its condition is a constant, and the branch that it picks takes the node's place. A
loop of a fixed count of turns is written out (`unroll_loops`), one that runs once a row becomes
operators over all rows (`vectorize_loops`). What depends on data is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx

from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx.rewrite.graph_edit import GraphEdit, names_of, with_nodes
from rtcompile.frontends.onnx.rewrite.loop_turns import attributes_of
from rtcompile.frontends.onnx.rewrite.loop_values import Sequence
from rtcompile.frontends.onnx.rewrite.shape_facts import ShapeFacts
from rtcompile.frontends.onnx.rewrite.unroll_loops import inlined, unroll_loop, unroll_scan
from rtcompile.frontends.onnx.rewrite.vectorize_loops import turns_at_batches, vectorize_loop

__all__ = ["resolve_branches"]

_RESOLVED = ("If", "Loop", "Scan")


def resolve_branches(model: Any, opset: int) -> Any:
    """A model without these; the same object where it has none. Raises UnsupportedError."""
    while any(node.op_type in _RESOLVED for node in model.graph.node):
        model = _Round(model, opset).resolved()
    return model


class _Round:
    """One pass over the graph: what of it depends on shapes that are known now."""

    def __init__(self, model: Any, opset: int) -> None:
        self._model, self._facts = model, ShapeFacts(model)
        self._edit = GraphEdit("resolved", opset, names_of(model))
        self._sequences: dict[str, Sequence] = {}
        self._resolved = 0
        self._reasons: list[UnsupportedError] = []

    def resolved(self) -> Any:
        """The model with fewer of them. Raises what kept the first one where it has as many."""
        rules: dict[str, Callable[[Any], None]] = {
            "If": self._if,
            "Loop": self._loop,
            "Scan": self._scan,
            "ConcatFromSequence": self._concat,
        }
        for node in self._model.graph.node:
            rule = rules.get(node.op_type, self._edit.nodes.append)
            before = len(self._edit.nodes)
            try:
                rule(node)
            except UnsupportedError as reason:
                # Shapes behind what was resolved may tell more in the next round.
                del self._edit.nodes[before:]
                self._edit.nodes.append(node)
                self._reasons.append(reason)
        if not self._resolved:
            raise self._reasons[0]
        return with_nodes(self._model, self._edit.nodes, self._edit.constants)

    def _if(self, node: Any) -> None:
        condition = self._facts.constant(node.input[0])
        if condition is None:
            raise UnsupportedError(f"node {node.name or node.output[0]} (If): {self._why(node)}")
        attributes = attributes_of(node)
        branch = attributes["then_branch" if condition.all() else "else_branch"]
        results = inlined(branch, [], self._edit)
        for inner, outer in zip(results, node.output, strict=True):
            self._edit.nodes.append(onnx.helper.make_node("Identity", [inner], [outer]))
        self._resolved += 1

    def _why(self, node: Any) -> str:
        if self._facts.reads_the_batch(node.input[0]):
            return "its condition depends on the batch size: a row's score would depend on it"
        return "its condition depends on data, not on shapes alone; write it with Where"

    def _loop(self, node: Any) -> None:
        turns = turns_at_batches(node, self._facts)
        if len({t.count for t in turns}) == 1:
            unroll_loop(node, turns[0].count, self._edit)
        else:
            found = vectorize_loop(node, self._facts, self._edit, turns)
            for name, value in found.items():
                if isinstance(value, Sequence):
                    self._sequences[name] = value
                elif name:
                    self._edit.nodes.append(onnx.helper.make_node("Identity", [value], [name]))
        self._resolved += 1

    def _scan(self, node: Any) -> None:
        unroll_scan(node, self._facts, self._edit)
        self._resolved += 1

    def _concat(self, node: Any) -> None:
        """ConcatFromSequence of what a loop over the rows inserted: a value a row already."""
        sequence = self._sequences.get(node.input[0])
        if sequence is None or sequence.inserted is None:
            self._edit.nodes.append(node)
            return
        attributes, value = attributes_of(node), sequence.inserted
        if int(attributes["axis"]) != 0:
            raise UnsupportedError(
                f"node {node.name or node.output[0]} (ConcatFromSequence) joins rows along axis "
                f"{attributes['axis']}: they must stay the first one"
            )
        # Rows are one behind the other then: [n, 1, d] as [n, d].
        name = value.name if attributes.get("new_axis") else self._edit.squeeze(value.name, 1)
        self._edit.nodes.append(onnx.helper.make_node("Identity", [name], list(node.output)))
