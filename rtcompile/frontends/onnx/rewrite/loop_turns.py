"""What a Loop's body computes of its counters alone, turn by turn.

A loop over the rows of a batch counts them, and reads where a row's values lie:

    for turn in range(n):  start = offsets[turn]; end = offsets[turn + 1]

Counters, bounds and conditions are known for a batch of a given size: they are run here, and what
reads data is not. `run_turns` gives each such value as turn -> array.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import helper, numpy_helper

__all__ = [
    "Known",
    "TooManyTurnsError",
    "Turns",
    "attributes_of",
    "constant_of",
    "run_graph",
    "run_turns",
]

Array = npt.NDArray[Any]
# name -> array, chained: what a name of the body, or of a graph around it, is known to be.
Known = Callable[[str], "Array | None"]
# name -> extents, None where they are not known.
Extents = Callable[[str], "Sequence[Any] | None"]

_MOST_TURNS = 4096


class TooManyTurnsError(Exception):
    """The loop does not end after a number of turns that a row or a sequence could have."""


@dataclass
class Turns:
    """How often a body runs, and of each name that is known its value in each turn that has one.
    `left`: the values that the loop carries out, as far as they are known."""

    count: int
    values: dict[str, dict[int, Array]]
    left: list[Array | None]


def run_turns(node: Any, outer: Known, extents: Extents) -> Turns | None:
    """The turns of a Loop `node`; None where how many there are depends on data.

    `outer`, `extents`: what is known of a name around it.

    Raises TooManyTurnsError.
    """
    body = attributes_of(node)["body"]
    unknown: set[str] = set()
    while True:
        turns = _run(node, body, outer, extents, unknown)
        if turns is None:
            return None
        # What is known in the first turn only is data from the second on.
        lost = {
            value.name
            for value in body.input[2:]
            if 0 < len(turns.values.get(value.name, ())) < turns.count
        }
        if not lost:
            return turns
        unknown |= lost


def _run(node: Any, body: Any, outer: Known, extents: Extents, unknown: set[str]) -> Turns | None:
    limit = _scalar(outer, node.input[0])
    going = True if len(node.input) < 2 or not node.input[1] else _scalar(outer, node.input[1])
    if going is None or (node.input[0] and limit is None):
        return None
    carried: list[Array | None] = [outer(name) if name else None for name in node.input[2:]]
    names = [value.name for value in body.input]
    values: dict[str, dict[int, Array]] = {}
    turn = 0
    while going and (limit is None or turn < limit):
        if turn >= _MOST_TURNS:
            raise TooManyTurnsError
        known: dict[str, Array] = {names[0]: np.array(turn, np.int64), names[1]: np.array(True)}
        known.update(
            (n, v)
            for n, v in zip(names[2:], carried, strict=False)
            if v is not None and n not in unknown
        )
        run_graph(body, known, outer, extents)
        for name, value in known.items():
            values.setdefault(name, {})[turn] = value
        ends = [known[o.name] if o.name in known else outer(o.name) for o in body.output]
        if ends[0] is None:
            return None
        going, carried = bool(ends[0].all()), ends[1 : len(carried) + 1]
        turn += 1
    return Turns(turn, values, carried)


def run_graph(graph: Any, known: dict[str, Array], outer: Known, extents: Extents) -> None:
    """Add to `known` what `graph` computes of it and of what is known around it."""
    for tensor in graph.initializer:
        known[tensor.name] = numpy_helper.to_array(tensor)

    def lookup(name: str) -> Array | None:
        return known[name] if name in known else outer(name)

    for node in graph.node:
        if node.op_type == "If":
            _run_branch(node, known, lookup, extents)
        elif node.op_type == "Shape" and lookup(node.input[0]) is None:
            shape = extents(node.input[0])
            if shape is not None and None not in shape:
                known[node.output[0]] = _part(attributes_of(node), shape)
        elif node.op_type in _NUMPY:
            inputs = [lookup(name) if name else None for name in node.input]
            if all(a is not None or not n for a, n in zip(inputs, node.input, strict=True)):
                known[node.output[0]] = np.asarray(
                    _NUMPY[node.op_type](attributes_of(node), *inputs)
                )


def _run_branch(node: Any, known: dict[str, Array], lookup: Known, extents: Extents) -> None:
    condition = lookup(node.input[0])
    if condition is None:
        return
    branch = attributes_of(node)["then_branch" if condition.all() else "else_branch"]
    run_graph(branch, known, lookup, extents)  # names are unique in a graph and all within it
    for inner, outer in zip(branch.output, node.output, strict=True):
        value = lookup(inner.name)
        if value is not None:
            known[outer] = value


def attributes_of(node: Any) -> dict[str, Any]:
    """A node's attributes by name."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def constant_of(node: Any) -> Array:
    """The array of a Constant node, or of an initializer."""
    if not hasattr(node, "attribute"):
        return numpy_helper.to_array(node)
    return np.asarray(_constant(attributes_of(node)))


def _scalar(outer: Known, name: str) -> Any:
    value = outer(name) if name else None
    return None if value is None else value.reshape(-1)[0]


def _constant(attributes: Mapping[str, Any]) -> Array:
    for name in ("value", "value_int", "value_ints", "value_float", "value_floats"):
        if name in attributes:
            value = attributes[name]
            return numpy_helper.to_array(value) if name == "value" else np.array(value)
    return np.array(0)


def _cast(attributes: Mapping[str, Any], value: Array) -> Array:
    return value.astype(helper.tensor_dtype_to_np_dtype(attributes["to"]))


def _part(attributes: Mapping[str, Any], shape: Sequence[Any]) -> Array:
    return np.array(shape[attributes.get("start", 0) : attributes.get("end")], np.int64)


def _slice(_: Any, data: Array, starts: Array, ends: Array, *rest: Array | None) -> Array:
    axes = rest[0] if rest and rest[0] is not None else np.arange(len(starts))
    steps = rest[1] if len(rest) > 1 and rest[1] is not None else np.ones(len(starts), np.int64)
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        index = [slice(None)] * data.ndim
        index[axis] = slice(
            int(start), None if step < 0 and end < -data.shape[axis] else int(end), int(step)
        )
        data = data[tuple(index)]
    return data


def _squeeze(attributes: Mapping[str, Any], data: Array, axes: Array | None = None) -> Array:
    given = attributes.get("axes") if axes is None else axes
    return data.squeeze() if given is None else data.squeeze(tuple(int(a) for a in given))


def _unsqueeze(attributes: Mapping[str, Any], data: Array, axes: Array | None = None) -> Array:
    given = attributes["axes"] if axes is None else axes
    return np.expand_dims(data, tuple(int(a) for a in given))


_NUMPY: dict[str, Callable[..., Any]] = {
    "Constant": _constant,
    "Identity": lambda _, x: x,
    "Add": lambda _, a, b: a + b,
    "Sub": lambda _, a, b: a - b,
    "Mul": lambda _, a, b: a * b,
    "Less": lambda _, a, b: a < b,
    "LessOrEqual": lambda _, a, b: a <= b,
    "Greater": lambda _, a, b: a > b,
    "GreaterOrEqual": lambda _, a, b: a >= b,
    "Equal": lambda _, a, b: a == b,
    "Not": lambda _, a: ~a,
    "And": lambda _, a, b: a & b,
    "Or": lambda _, a, b: a | b,
    "Min": lambda _, *a: np.minimum.reduce(a),
    "Max": lambda _, *a: np.maximum.reduce(a),
    "Cast": _cast,
    "CastLike": lambda _, x, like: x.astype(like.dtype),
    "Gather": lambda a, x, i: np.take(x, i, axis=a.get("axis", 0)),
    "Slice": _slice,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Concat": lambda a, *x: np.concatenate(x, axis=a["axis"]),
    "Reshape": lambda _, x, shape: x.reshape([int(e) for e in shape]),
    "Size": lambda _, x: np.array(x.size, np.int64),
    "Shape": lambda a, x: _part(a, x.shape),
}
