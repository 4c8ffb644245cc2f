"""A loop within a loop that skips padding, as the mask of the positions that it picks.

    j = start                                        mask = Reshape(wanted(flat), [-1, k])
    while j < end:                             ->
      picked = Concat(picked, j) if wanted(flat[j]) else picked

torch's exporter writes nn.EmbeddingBag with a padding_idx so. The positions of all turns of the
outer loop, one after the other, are 0, 1, 2, ...: what the inner body computes of `flat[j]` is then
the same computed of `flat`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from rtcompile.frontends.onnx.rewrite.graph_edit import GraphEdit
from rtcompile.frontends.onnx.rewrite.lift_operators import BodyValues, lifted, where
from rtcompile.frontends.onnx.rewrite.loop_turns import attributes_of, run_graph, run_turns
from rtcompile.frontends.onnx.rewrite.loop_values import (
    Each,
    Outer,
    Picked,
    RefusedError,
)
from rtcompile.frontends.onnx.rewrite.shape_facts import ShapeFacts

__all__ = ["picked_positions"]

# Turns of the outer loop at a size of the batch, and what is known of a name in one of them.
Lookup = tuple[int, Callable[[int, str], Any]]

_OTHER = "a loop within it does more than to skip padding"


def picked_positions(
    node: Any, facts: ShapeFacts, edit: GraphEdit, lookups: list[Lookup]
) -> dict[str, Picked]:
    """The output of the inner Loop `node` that collects positions. Raises RefusedError."""
    body = attributes_of(node)["body"]
    share, counters = _share(node, lookups)
    carried = list(zip(body.input[2:], body.output[1:], node.output, strict=False))
    growing = [c for c in carried if c[0].name not in counters]
    counted = [c for c in carried if c[0].name in counters]
    if len(growing) != 1 or len(counted) != 1 or len(body.output) != len(carried) + 1:
        raise RefusedError(_OTHER)
    collected, result, name = growing[0]
    at = counted[0][0].name
    choice = next((n for n in body.node if result.name in n.output), None)
    if choice is None or choice.op_type != "If":
        raise RefusedError(_OTHER)
    of = BodyValues(facts, edit)
    condition = _values(of, body, at)[choice.input[0]]
    mask = of.each(condition).name
    if not _appends(choice, collected.name, at, facts):
        mask = edit.node("Not", mask)
    return {name: Picked(edit.node("Reshape", mask, edit.constant([-1, share])), share)}


def _share(node: Any, lookups: list[Lookup]) -> tuple[int, set[str]]:
    """How many positions each turn of the outer loop goes through, and the names of counters."""
    body = attributes_of(node)["body"]
    share, counters = 0, set[str]()
    for outer_turns, known in lookups:
        for turn in range(outer_turns):
            inner = run_turns(node, partial(known, turn), _unknown)
            if inner is None or not inner.count:
                raise RefusedError("a loop within it takes as many turns as data says")
            share = share or inner.count
            counters = {v.name for v in body.input[2:] if _counts(inner.values.get(v.name))}
            for name in counters:
                seen = [int(inner.values[name][t].reshape(-1)[0]) for t in range(inner.count)]
                if seen != list(range(share * turn, share * (turn + 1))):
                    raise RefusedError(_OTHER)
    return share, counters


def _counts(values: Any) -> bool:
    """Whether these are one number in each turn; what is collected starts without any."""
    return bool(values) and all(array.size == 1 for array in values.values())


def _unknown(name: str) -> None:
    """The extents of what is around the loop: no counter depends on them."""


def _values(of: BodyValues, body: Any, at: str) -> dict[str, Any]:
    """The values of the inner body over all positions, of `flat[j]` as `flat`, as far as known."""
    values: dict[str, Any] = {}
    for node in body.node:
        inputs = [values.get(name, Outer(name)) for name in node.input]
        attributes = attributes_of(node)
        try:
            if node.op_type == "If":
                results = _both_branches(of, attributes, values)
                values[node.output[0]] = where(of, of.each(inputs[0]), *results)
            elif node.op_type == "Gather" and node.input[1] == at and not attributes.get("axis"):
                flat, rank = node.input[0], of.rank(inputs[0])
                values[node.output[0]] = Each(flat, rank - 1, of.kind(inputs[0]))
            else:
                values[node.output[0]] = lifted(of, node, inputs, attributes)
        except RefusedError:
            continue  # a counter, or what is collected
    return values


def _both_branches(of: BodyValues, attributes: Any, around: dict[str, Any]) -> list[Any]:
    results = []
    for name in ("then_branch", "else_branch"):
        branch, values = attributes[name], dict(around)
        for node in branch.node:
            inputs = [values.get(read, Outer(read)) for read in node.input]
            values[node.output[0]] = lifted(of, node, inputs, attributes_of(node))
        result = branch.output[0].name
        results.append(values.get(result, Outer(result)))
    return results


def _appends(choice: Any, collected: str, at: str, facts: ShapeFacts) -> bool:
    """Whether the If appends the position where its condition holds (True) or where it does not."""
    attributes, results = attributes_of(choice), []
    for name in ("then_branch", "else_branch"):
        known = {collected: np.array([7], np.int64), at: np.array(5, np.int64)}
        run_graph(attributes[name], known, facts.constant, _unknown)
        result = known.get(attributes[name].output[0].name)
        results.append(None if result is None else result.tolist())
    if results not in ([[7, 5], [7]], [[7], [7, 5]]):
        raise RefusedError(_OTHER)
    return bool(results[0] == [7, 5])
