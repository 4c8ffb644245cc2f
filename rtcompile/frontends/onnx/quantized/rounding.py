"""Which bytes a product takes, and what rounds those that are read as floats.

    DequantizeLinear(QuantizeLinear(x))   ->   Round(Clip(x) / scale) * scale

where anything but products of quantized weights reads the floats, perhaps moved about. A product's
layer rounds its input by itself (`rtcompile/compile/imported_layers.py`), so the Clip is all that
stands before it.
"""

from __future__ import annotations

from typing import Any

__all__ = ["ProductInputs"]

_PRODUCTS = ("MatMul", "Gemm")
_MOVES = ("Concat", "Flatten", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze")


class ProductInputs:
    """Of an onnx.ModelProto: which tensors products alone read."""

    def __init__(self, model: Any) -> None:
        self._readers: dict[str, list[Any]] = {}
        for node in model.graph.node:
            for name in node.input:
                self._readers.setdefault(name, []).append(node)
        self._outputs = {value.name for value in model.graph.output}
        producers = {name: node for node in model.graph.node for name in node.output}
        self._weights = {name for name in producers if _is_weight(name, producers)}

    def holds(self, name: str) -> bool:
        """Whether products of quantized weights are all that reads a tensor, and what moves it."""
        readers = self._readers.get(name, [])
        if name in self._outputs or not readers:
            return False
        return all(self._is_product(node, name) or self._is_move(node, name) for node in readers)

    def _is_product(self, node: Any, name: str) -> bool:
        of_input = node.op_type in _PRODUCTS and node.input[0] == name
        return of_input and node.input[1] in self._weights

    def _is_move(self, node: Any, name: str) -> bool:
        moved = node.input if node.op_type == "Concat" else node.input[:1]
        return node.op_type in _MOVES and name in moved and self.holds(node.output[0])


def _is_weight(name: str, producers: dict[str, Any]) -> bool:
    """Whether a tensor comes from a constant of integers."""
    node = producers[name]
    if node.op_type == "Transpose":
        return node.input[0] in producers and _is_weight(node.input[0], producers)
    if node.op_type != "DequantizeLinear":
        return False
    source = producers.get(node.input[0])
    return source is None or source.op_type in ("Constant", "QuantizeLinear")
