"""The ranges of a quantized model's tensors, as Clips of a float graph.

    Clip(Concat(x, y))   ->   Concat(Clip(x), Clip(y))      and so through every move of data

so that a product over a concatenation still sees its parts. What is in the range anyway, a table
that is looked up or what was clipped before, is not clipped again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper

from rtcompile.frontends.onnx.quantized.weights import ByteRange

__all__ = ["Clips"]

# Of these, input 0 is moved; Concat moves all of its inputs.
_MOVES = (
    *("Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose"),
    "Unsqueeze",
)


class Clips:
    """Clips tensors of a graph whose nodes are appended to `nodes`.

    `array_of`: the values of a constant, None for what is none. `constants`: the bounds.
    """

    def __init__(
        self, nodes: list[Any], array_of: Callable[[str], npt.NDArray[Any] | None]
    ) -> None:
        self._nodes, self._array_of = nodes, array_of
        self._producers: dict[str, Any] = {}
        self._seen, self._count = 0, 0
        self._ranges: dict[str, ByteRange] = {}
        self._made: dict[tuple[str, ByteRange], str] = {}
        self.constants: dict[str, Any] = {}

    def clip(self, name: str, given: ByteRange) -> str:
        """A tensor of the values of `name` in a range."""
        known = self._ranges.get(name)
        if known == given:
            return name
        key = (name, given)
        if key not in self._made:
            self._made[key] = self._clipped(name, given)
        return self._made[key]

    def range_of(self, name: str) -> ByteRange | None:
        """The range that a tensor was clipped to last, before it was moved about."""
        if name in self._ranges:
            return self._ranges[name]
        node = self._producer(name)
        if node is None or node.op_type not in _MOVES:
            return None
        ranges = {self.range_of(source) for source in self._moved(node)}
        return ranges.pop() if len(ranges) == 1 else None

    def _clipped(self, name: str, given: ByteRange) -> str:
        array = self._array_of(name)
        if array is not None and _holds(given, array):
            return name
        node, output = self._producer(name), f"{name}/in_{self._count}"
        self._count += 1
        if node is not None and self._moves(node, given):
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.output[0], copy.name = output, output
            for index, source in enumerate(self._moved(node)):
                copy.input[index] = self.clip(source, given)
            self._nodes.append(copy)
        elif self._is_inside(name, given):
            self._nodes.append(helper.make_node("Identity", [name], [output]))
        else:
            bounds = [self._bound(given.low), self._bound(given.high)]
            self._nodes.append(helper.make_node("Clip", [name, *bounds], [output], output))
        self._ranges[output] = given
        return output

    def _moves(self, node: Any, given: ByteRange) -> bool:
        """Whether a node moves data that can be clipped instead: not a table beyond the range."""
        arrays = [self._array_of(name) for name in self._moved(node)]
        return node.op_type in _MOVES and all(a is None or _holds(given, a) for a in arrays)

    def _is_inside(self, name: str, given: ByteRange) -> bool:
        known = self._ranges.get(name)
        return known is not None and bool(given.low <= known.low and known.high <= given.high)

    def _moved(self, node: Any) -> list[str]:
        return list(node.input) if node.op_type == "Concat" else [node.input[0]]

    def _producer(self, name: str) -> Any:
        for node in self._nodes[self._seen :]:
            self._producers.update(dict.fromkeys(node.output, node))
        self._seen = len(self._nodes)
        return self._producers.get(name)

    def _bound(self, value: np.float32) -> str:
        name = f"bound/{value!r}"
        self.constants.setdefault(name, numpy_helper.from_array(np.asarray(value, np.float32)))
        return name


def _holds(given: ByteRange, array: npt.NDArray[Any]) -> bool:
    return bool(given.low <= array.min(initial=0) and array.max(initial=0) <= given.high)
