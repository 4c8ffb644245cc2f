"""New nodes and constants for a graph that is rewritten, under names that it does not have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from rtcompile.frontends.onnx.rewrite.shape_facts import reads_of

__all__ = ["GraphEdit", "names_of", "needed_nodes", "node_name", "with_nodes"]


class GraphEdit:
    """Collects nodes and constants. Equal nodes are one: `node` gives the name of the first."""

    def __init__(self, prefix: str, opset: int, taken: Iterable[str] = ()) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.opset = opset
        self._prefix, self._made, self._taken = prefix, 0, set(taken)
        self._known: dict[Any, str] = {}

    def name(self) -> str:
        """One that no value of the graph has."""
        while True:
            name = f"{self._prefix}_{self._made}"
            self._made += 1
            if name not in self._taken:
                return name

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """The output of an operator."""
        key = (operator, inputs, repr(sorted(attributes.items())))
        if key not in self._known:
            output = self.name()
            made = helper.make_node(operator, list(inputs), [output], output, domain=domain)
            made.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
            self.nodes.append(made)
            self._known[key] = output
        return self._known[key]

    def constant(self, value: npt.ArrayLike, dtype: Any = np.int64) -> str:
        """A constant; by default of int64."""
        array = np.asarray(value, dtype)
        key = ("", str(array.dtype), array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self.name()
            self.constants.append(numpy_helper.from_array(array, self._known[key]))
        return self._known[key]

    def unsqueeze(self, value: str, axis: int) -> str:
        """`value` with an axis of one at `axis`."""
        return self._with_axes("Unsqueeze", 13, value, [axis])

    def squeeze(self, value: str, axis: int) -> str:
        """`value` without `axis`."""
        return self._with_axes("Squeeze", 13, value, [axis])

    def reduce(self, operator: str, value: str, axes: list[int], keepdims: bool) -> str:
        """A reduction, its axes where the opset has them."""
        since = 13 if operator == "ReduceSum" else 18
        return self._with_axes(operator, since, value, axes, keepdims=int(keepdims))

    def _with_axes(
        self, operator: str, since: int, value: str, axes: list[int], **attributes: Any
    ) -> str:
        if self.opset >= since:
            return self.node(operator, value, self.constant(axes), **attributes)
        return self.node(operator, value, axes=axes, **attributes)


def names_of(model: Any) -> set[str]:
    """Every name of a value of a model's graph, and of the bodies in it."""
    found = {value.name for value in (*model.graph.input, *model.graph.initializer)}
    for node in model.graph.node:
        found.update(node.output)
        found |= reads_of(node)
    return found


def node_name(node: Any) -> str:
    """What a node is called: by its name, or as what it computes."""
    return str(node.name or next((name for name in node.output if name), ""))


def needed_nodes(nodes: Iterable[Any], names: Iterable[str]) -> list[Any]:
    """Those of `nodes` that one of `names` depends on, in their order."""
    wanted, kept = set(names), []
    for node in reversed(list(nodes)):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted |= reads_of(node)
    return kept[::-1]


def with_nodes(model: Any, nodes: Iterable[Any], constants: Iterable[Any] = ()) -> Any:
    """A copy of `model` that has these nodes instead of its own, as far as its outputs need them,
    and more constants."""
    outputs = [output.name for output in model.graph.output]
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    del rewritten.graph.node[:]
    rewritten.graph.node.extend(needed_nodes(nodes, outputs))
    rewritten.graph.initializer.extend(constants)
    return rewritten
