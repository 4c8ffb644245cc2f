"""Write the body of a Loop or a Scan of a fixed count of turns out, turn by turn.

    h = Loop(3, h0): h = tanh(h @ W)      ->      h1 = tanh(h0 @ W); h2 = tanh(h1 @ W); ...

What each turn gives as a scan output is stacked behind the last one. A Scan's inputs are cut into
their elements.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx

from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx.rewrite.graph_edit import GraphEdit
from rtcompile.frontends.onnx.rewrite.loop_turns import attributes_of
from rtcompile.frontends.onnx.rewrite.shape_facts import ShapeFacts

__all__ = ["inlined", "unroll_loop", "unroll_scan"]

# More copies of a body would take minutes to compile.
_MOST_TURNS = 512


def unroll_loop(node: Any, turns: int, edit: GraphEdit) -> None:
    """Add the nodes of a Loop that takes `turns` turns. Raises UnsupportedError for too many."""
    body = attributes_of(node)["body"]
    _check(node, turns)
    carried = list(node.input[2:])
    scanned: list[list[str]] = [[] for _ in node.output[len(carried) :]]
    for turn in range(turns):
        going = edit.constant(np.array(True), np.bool_)
        inputs = [edit.constant(np.array(turn)), going, *carried]
        results = inlined(body, inputs, edit)[1:]
        carried = results[: len(carried)]
        for found, value in zip(scanned, results[len(carried) :], strict=True):
            found.append(value)
    _bind(node.output[: len(carried)], carried, edit)
    for name, values in zip(node.output[len(carried) :], scanned, strict=True):
        if not values:
            raise UnsupportedError(f"{_what(node)} takes no turn: {name} would be empty")
        _stack(name, values, 0, False, edit)


def unroll_scan(node: Any, facts: ShapeFacts, edit: GraphEdit) -> None:
    """Add the nodes of a Scan along axes of fixed extents. Raises UnsupportedError."""
    attributes = attributes_of(node)
    count = int(attributes["num_scan_inputs"])
    states = list(node.input[: len(node.input) - count])
    inputs = list(node.input[len(states) :])
    axes = list(attributes.get("scan_input_axes", [0] * count))
    backward = list(attributes.get("scan_input_directions", [0] * count))
    turns = _scan_turns(node, inputs, axes, facts)
    outputs = list(node.output[len(states) :])
    scanned: list[list[str]] = [[] for _ in outputs]
    for turn in range(turns):
        elements = [
            edit.node("Gather", name, edit.constant(turns - 1 - turn if back else turn), axis=axis)
            for name, axis, back in zip(inputs, axes, backward, strict=True)
        ]
        results = inlined(attributes["body"], [*states, *elements], edit)
        states = results[: len(states)]
        for found, value in zip(scanned, results[len(states) :], strict=True):
            found.append(value)
    _bind(node.output[: len(states)], states, edit)
    out_axes = attributes.get("scan_output_axes", [0] * len(outputs))
    reverse = attributes.get("scan_output_directions", [0] * len(outputs))
    for name, values, axis, back in zip(outputs, scanned, out_axes, reverse, strict=True):
        _stack(name, values, axis, bool(back), edit)


def inlined(graph: Any, inputs: list[str], edit: GraphEdit) -> list[str]:
    """Add the nodes of a body under new names; the names of its results.

    A body may read what is around it, so names that it does not define stay.
    """
    names = dict(zip((value.name for value in graph.input), inputs, strict=True))
    for tensor in graph.initializer:
        names[tensor.name] = edit.name()
        copy = onnx.TensorProto()
        copy.CopyFrom(tensor)
        copy.name = names[tensor.name]
        edit.constants.append(copy)
    for node in graph.node:
        edit.nodes.append(_renamed(node, names, edit.name))
    return [names.get(output.name, output.name) for output in graph.output]


def _renamed(node: Any, names: dict[str, str], new: Callable[[], str]) -> Any:
    """A copy of a node. `names`: what is called otherwise now; the node's outputs are added."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    _rename(copy.input, names)
    for at, name in enumerate(node.output):
        if name:
            names[name] = copy.output[at] = new()
    for attribute in copy.attribute:
        if attribute.HasField("g"):
            _rename_graph(attribute.g, dict(names), new)
    return copy


def _rename_graph(graph: Any, names: dict[str, str], new: Callable[[], str]) -> None:
    for value in (*graph.input, *graph.initializer):
        names[value.name] = value.name = new()
    nodes = [_renamed(node, names, new) for node in graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    for output in graph.output:
        output.name = names.get(output.name, output.name)


def _rename(reads: Any, names: dict[str, str]) -> None:
    for at, name in enumerate(reads):
        reads[at] = names.get(name, name)


def _scan_turns(node: Any, inputs: list[str], axes: list[int], facts: ShapeFacts) -> int:
    extents = set()
    for name, axis in zip(inputs, axes, strict=True):
        shape = facts.shape(name)
        extents.add((1, 0) if shape is None else shape[axis])
    slope, turns = extents.pop() if len(extents) == 1 else (1, 0)
    if slope:
        raise UnsupportedError(
            f"{_what(node)} goes along an axis that is the batch, or of no known extent: each turn "
            "would read another row's result; scan along a sequence of fixed length"
        )
    _check(node, turns)
    return turns


def _check(node: Any, turns: int) -> None:
    if turns > _MOST_TURNS:
        raise UnsupportedError(
            f"{_what(node)} takes {turns} turns; up to {_MOST_TURNS} are written out"
        )


def _what(node: Any) -> str:
    return f"node {node.name or node.output[0]} ({node.op_type})"


def _bind(names: Any, values: list[str], edit: GraphEdit) -> None:
    for name, value in zip(names, values, strict=True):
        if name:
            edit.nodes.append(onnx.helper.make_node("Identity", [value], [name]))


def _stack(name: str, values: list[str], axis: int, reverse: bool, edit: GraphEdit) -> None:
    """`name` as `values` along a new axis."""
    if not name:
        return
    parts = [edit.unsqueeze(value, axis) for value in values]
    node = onnx.helper.make_node("Concat", parts[::-1] if reverse else parts, [name], axis=axis)
    edit.nodes.append(node)
