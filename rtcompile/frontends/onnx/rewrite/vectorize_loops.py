"""Rewrite a Loop that runs once a row to operators over all rows.

    y = Loop(n):                                     rows = Reshape(flat, [-1, k])
      start, end = offsets[turn], offsets[turn+1]
      bag = Gather(table, flat[start:end])     ->    y = ReduceSum(Gather(table, rows), axis=1)
      y.append(ReduceSum(bag, axis=0))

Both of torch's exporters write nn.EmbeddingBag so: with a scan output, or with a sequence that the
loop inserts into. The counters and bounds of every turn are computed (`loop_turns`); a slice that
takes the turn's equal share of a tensor is a reshape of it, and an operator on a value a turn is
the same operator one axis further back (`lift_operators`). What reads another turn's values is
refused, and so are bags whose bounds are data (those of an EmbeddingBag are no loop any more:
`ragged_bags`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx.rewrite.graph_edit import GraphEdit
from rtcompile.frontends.onnx.rewrite.lift_operators import (
    BodyValues,
    lifted,
    reduced,
    where,
)
from rtcompile.frontends.onnx.rewrite.loop_turns import (
    TooManyTurnsError,
    Turns,
    attributes_of,
    constant_of,
    run_turns,
)
from rtcompile.frontends.onnx.rewrite.loop_values import (
    Each,
    Filtered,
    Fixed,
    Numbers,
    Outer,
    Picked,
    RefusedError,
    Sequence,
)
from rtcompile.frontends.onnx.rewrite.shape_facts import BATCHES, ShapeFacts
from rtcompile.frontends.onnx.rewrite.skipped_padding import picked_positions

__all__ = ["turns_at_batches", "vectorize_loop"]

_OFFSETS = (
    "if it is an EmbeddingBag with offsets, export it with a bag of one size for each row, [rows, "
    "size], filled up by padding_idx"
)

# At each size of the batch: the turns in which a part of the body runs.
Active = list[set[int]]


def turns_at_batches(node: Any, facts: ShapeFacts) -> list[Turns]:
    """The turns of a Loop at each of `BATCHES`. Raises UnsupportedError where data tells them."""
    what = f"node {node.name or node.output[0]} (Loop)"
    try:
        turns = [
            run_turns(node, values.get, shapes.get)
            for values, shapes in zip(facts.values, facts.shapes, strict=True)
        ]
    except TooManyTurnsError:
        raise UnsupportedError(f"{what} takes too many turns to be written without one") from None
    known = [t for t in turns if t is not None]
    if len(known) < len(BATCHES):
        raise UnsupportedError(
            f"{what}: how many turns it takes is told by data: only loops of a fixed count of "
            "turns, or of one a row, are supported"
        )
    return known


def vectorize_loop(
    node: Any, facts: ShapeFacts, edit: GraphEdit, turns: list[Turns]
) -> dict[str, str | Sequence]:
    """What stands for each output of a Loop that runs once a row, by nodes added to `edit`.

    An output that is a sequence is a `Sequence`. Raises UnsupportedError that names the loop and
    why it cannot be written without one.
    """
    what = f"node {node.name or node.output[0]} (Loop)"
    if [t.count for t in turns] != list(BATCHES):
        raise UnsupportedError(f"{what} takes neither a fixed count of turns nor one a row")
    try:
        return _Body(node, facts, edit, turns).outputs()
    except RefusedError as reason:
        raise UnsupportedError(f"{what} does not treat each row alike: {reason}") from None


class _Body:
    """The body of one loop, its values over all turns."""

    def __init__(self, node: Any, facts: ShapeFacts, edit: GraphEdit, turns: list[Turns]) -> None:
        self._node, self._facts, self._edit, self._turns = node, facts, edit, turns
        self._graph = attributes_of(node)["body"]
        self._values: dict[str, Any] = {}
        self._of = BodyValues(facts, edit)

    def outputs(self) -> dict[str, str | Sequence]:
        """What stands for the loop's outputs."""
        body, node = self._graph, self._node
        every: Active = [set(range(t.count)) for t in self._turns]
        carried = list(zip(body.input[2:], node.input[2:], strict=True))
        for inner, outer in carried:
            if not self._is_known(inner.name, every):
                self._values[inner.name] = self._carried_in(outer)
        self._run(body, every)
        found: dict[str, str | Sequence] = {}
        for at, (inner, name) in enumerate(zip(body.output[1:], node.output, strict=True)):
            value = self._value(inner.name, every)
            if at >= len(carried):
                found[name] = self._of.each(value).name
            elif isinstance(value, Sequence):
                found[name] = value
            elif not isinstance(value, Numbers):
                raise RefusedError(f"{inner.name} carries data from one row to the next")
        return found

    def _carried_in(self, name: str) -> Sequence:
        if self._facts.operator_of(name) == "SequenceEmpty":
            return Sequence()
        raise RefusedError(f"{name} is carried from one row to the next")

    def _is_known(self, name: str, active: Active) -> bool:
        each = zip(self._turns, active, strict=True)
        return all(name in t.values and turns <= t.values[name].keys() for t, turns in each)

    def _value(self, name: str, active: Active) -> Any:
        if name in self._values:
            return self._values[name]
        if self._is_known(name, active):
            return Numbers(tuple(t.values[name] for t in self._turns))
        return Outer(name)

    def _run(self, graph: Any, active: Active) -> None:
        for tensor in graph.initializer:
            self._values[tensor.name] = Fixed(constant_of(tensor))
        for node in graph.node:
            if not all(self._is_known(name, active) for name in node.output):
                self._apply(node, active)

    def _apply(self, node: Any, active: Active) -> None:
        operator, attributes = node.op_type, attributes_of(node)
        inputs = [self._value(name, active) if name else None for name in node.input]
        if operator == "If":
            results = self._branches(inputs[0], attributes, active)
            self._values.update(zip(node.output, results, strict=True))
        elif operator == "Loop":
            lookups = [self._lookup(at) for at in range(len(BATCHES))]
            self._values.update(picked_positions(node, self._facts, self._edit, lookups))
        else:
            self._values[node.output[0]] = self._result(node, inputs, attributes, active)

    def _lookup(self, at: int) -> Any:
        """What is known at a size of the batch, as (turns, function of (turn, name))."""
        turns, values = self._turns[at], self._facts.values[at]

        def known(turn: int, name: str) -> Any:
            inner = turns.values.get(name, {}).get(turn)
            return values.get(name) if inner is None else inner

        return turns.count, known

    def _result(
        self, node: Any, inputs: list[Any], attributes: Mapping[str, Any], active: Active
    ) -> Any:
        operator = node.op_type
        if operator == "Constant":
            return Fixed(np.asarray(constant_of(node)))
        if operator == "Slice" and isinstance(inputs[0], Outer):
            return self._share(inputs, active)
        if operator == "Gather" and not isinstance(inputs[1], Each):
            return self._gathered(node, inputs, attributes, active)
        if operator == "SequenceInsert":
            return self._inserted(inputs)
        if operator == "Size" and isinstance(inputs[0], Picked):
            counted = self._edit.node("Cast", inputs[0].mask, to=7)
            return Each(self._edit.reduce("ReduceSum", counted, [1], keepdims=False), 0, 7)
        if isinstance(inputs[0], Filtered):
            return reduced(self._of, node, inputs, attributes)
        return lifted(self._of, node, inputs, attributes)

    # -- what a turn reads of its own ------------------------------------------------------------

    def _share(self, inputs: list[Any], active: Active) -> Each:
        """flat[start:end] of a turn's bounds, where the turns share `flat` equally and in order."""
        flat = inputs[0].name
        starts, ends, axes = [*inputs[1:4], None][:3]
        axis = np.array(0) if axes is None else self._of.constant(axes)
        extents, rank = self._facts.shape(flat), self._facts.rank(flat)
        if not isinstance(starts, Numbers):
            raise RefusedError(f"where its values lie in {flat} is told by data: {_OFFSETS}")
        if axis is None or np.any(axis != 0) or not extents or rank is None:
            raise RefusedError(f"{flat} is cut in a way that cannot be followed")
        share = extents[0][0]
        for at, batch in enumerate(BATCHES):
            for turn in active[at]:
                start = self._at(starts, at, turn)
                end = min(int(self._at(ends, at, turn)), share * batch)
                if start != share * turn or end != share * (turn + 1):
                    raise RefusedError(
                        f"a row takes other values of {flat} than those of its own: {_OFFSETS}"
                    )
        return Each(self._of.in_rows(flat, share), rank, self._facts.types.get(flat, 0), share)

    def _at(self, value: Any, at: int, turn: int) -> Any:
        if isinstance(value, Numbers) and turn in value.turns[at]:
            return value.turns[at][turn].reshape(-1)[0]
        found = self._facts.values[at].get(value.name) if isinstance(value, Outer) else None
        if found is None:
            raise RefusedError("where a row's values end is told by data")
        return found.reshape(-1)[0]

    def _gathered(
        self, node: Any, inputs: list[Any], attributes: Mapping[str, Any], active: Active
    ) -> Any:
        data, index = inputs
        axis = int(attributes.get("axis", 0))
        rank = self._facts.rank(data.name) if isinstance(data, Outer) else None
        if rank is None or axis != 0 or not isinstance(index, Picked | Numbers):
            return lifted(self._of, node, inputs, attributes)
        kind = self._facts.types.get(data.name, 0)
        if isinstance(index, Picked):
            return Filtered(self._of.in_rows(data.name, index.share), index.mask, rank, kind)
        each = zip(index.turns, active, strict=True)
        if not all(a[t].size == 1 and a[t] == t for a, turns in each for t in turns):
            raise RefusedError(
                f"{data.name} is read at another row than the turn's own: {_OFFSETS}"
            )
        extents = self._facts.shape(data.name)
        if not extents or extents[0] != (1, 0):
            raise RefusedError(f"{data.name} has not one value for each row: {_OFFSETS}")
        if any(array.ndim for array in index.turns[0].values()):
            return Each(self._edit.unsqueeze(data.name, 1), rank, kind)
        return Each(data.name, rank - 1, kind)

    def _inserted(self, inputs: list[Any]) -> Sequence:
        sequence = inputs[0]
        if len(inputs) > 2 or not isinstance(sequence, Sequence) or sequence.inserted is not None:
            raise RefusedError("a sequence is built in another way than one value a row")
        return Sequence(self._of.each(inputs[1]))

    # -- branches ---------------------------------------------------------------------------------

    def _branches(self, condition: Any, attributes: Mapping[str, Any], active: Active) -> list[Any]:
        branches = [attributes[name] for name in ("then_branch", "else_branch")]
        if not isinstance(condition, Numbers):
            mask = self._of.each(condition)
            both = [self._results(branch, active) for branch in branches]
            return [where(self._of, mask, *pair) for pair in zip(*both, strict=True)]
        results = []
        for branch, wanted in zip(branches, (True, False), strict=True):
            taken = [
                {t for t in turns if bool(condition.turns[at][t].all()) == wanted}
                for at, turns in enumerate(active)
            ]
            if any(taken):
                results.append(self._results(branch, taken))
        if any(other != results[0] for other in results[1:]):
            raise RefusedError("some rows take another branch of an If than others")
        return results[0]

    def _results(self, branch: Any, active: Active) -> list[Any]:
        self._run(branch, active)
        return [self._value(output.name, active) for output in branch.output]
