"""A quantized model whose byte products are exact in ONNX Runtime on every processor.

    MatMulInteger(a uint8, b int8, za, zb)   ->   MatMulInteger(a, b + 128 as uint8, za, zb + 128)

and so do the other operators that multiply bytes. Both sides of the rewrite have the same value.
Where a processor has no instruction that adds products of bytes in 32 bits (x86-64 without VNNI),
ONNX Runtime multiplies uint8 by int8 in pairs that it adds in 16 bits, which saturate: two products
of 255 and 127 already are too many. It multiplies bytes of one sign in 32 bits everywhere.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["with_exact_products"]

# Of operators that multiply bytes: where the second factor stands, and its zero point. The first
# factor is the first input.
_SECOND_FACTOR = {
    "MatMulInteger": (1, 3),
    "ConvInteger": (1, 3),
    "QLinearMatMul": (3, 5),
    "QLinearConv": (3, 5),
    "QGemm": (3, 5),
    "MatMulIntegerToFloat": (1, 5),
    "DynamicQuantizeMatMul": (1, 3),
}
_HALF = 128


def with_exact_products(model: Any) -> Any:
    """An onnx.ModelProto of the same values, without a product of uint8 and int8 in integers.

    `model` itself where it has none.
    """
    if not any(node.op_type in _SECOND_FACTOR for node in model.graph.node):
        return model
    return _Rewriter(model).run()


class _Rewriter:
    def __init__(self, model: Any) -> None:
        self._model = onnx.ModelProto()
        self._model.CopyFrom(model)
        self._graph = self._model.graph
        self._dtypes = _dtypes(model)
        self._constants = {tensor.name: tensor for tensor in self._graph.initializer}
        self._unsigned: dict[str, str] = {}  # name of an int8 value -> name of that plus 128
        self._nodes: list[Any] = []

    def run(self) -> Any:
        for node in self._graph.node:
            if node.op_type in _SECOND_FACTOR:
                self._rewrite(node)
            self._nodes.append(node)
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)
        return self._model

    def _rewrite(self, node: Any) -> None:
        factor, zero = _SECOND_FACTOR[node.op_type]
        first, second = (self._dtypes.get(node.input[at]) for at in (0, factor))
        if second != TensorProto.INT8 or first == TensorProto.INT8:
            return
        node.input.extend([""] * (zero + 1 - len(node.input)))
        node.input[factor] = self._plus_half(node.input[factor])
        node.input[zero] = self._plus_half(node.input[zero])

    def _plus_half(self, name: str) -> str:
        """The name of the uint8 value that is 128 more; a zero point that is not given is 0."""
        if name in self._unsigned:
            return self._unsigned[name]
        moved = self._unsigned[name] = f"{name}/plus_128"
        if name and name not in self._constants:
            self._move_at_run_time(name, moved)
            return moved
        given = numpy_helper.to_array(self._constants[name]) if name else np.int8(0)
        values = np.asarray(given.astype(np.int16) + _HALF).astype(np.uint8)
        self._graph.initializer.append(numpy_helper.from_array(values, moved))
        return moved

    def _move_at_run_time(self, name: str, moved: str) -> None:
        half = f"{moved}/half"
        self._graph.initializer.append(numpy_helper.from_array(np.int32(_HALF), half))
        self._nodes += [
            helper.make_node("Cast", [name], [f"{moved}/wide"], to=TensorProto.INT32),
            helper.make_node("Add", [f"{moved}/wide", half], [f"{moved}/sum"]),
            helper.make_node("Cast", [f"{moved}/sum"], [moved], to=TensorProto.UINT8),
        ]


def _dtypes(model: Any) -> dict[str, int]:
    """Element types of the graph's values, as far as ONNX's own operators and constants tell."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    found = {tensor.name: tensor.data_type for tensor in graph.initializer}
    for value in (*graph.input, *graph.output, *graph.value_info):
        found[value.name] = value.type.tensor_type.elem_type
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].HasField("t"):
            found[node.output[0]] = node.attribute[0].t.data_type
    return found
