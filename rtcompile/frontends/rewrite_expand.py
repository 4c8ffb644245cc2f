"""Rewrite `Expand` by a constant shape to a product with ones.

    Expand(x, [1, 50, 1])   ->   Mul(x, ones([1, 50, 1]))

The importer broadcasts to a constant shape only where every extent of x is a number; the batch is
none. A product broadcasts by itself. (x * 1 is x for every float and integer, NaN included.) An
Expand to a computed shape is left to the importer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

__all__ = ["rewrite_expand"]

_MULTIPLIED = ("float32", "float64", "float16", "int32", "int64")


def rewrite_expand(model: Any) -> Any:
    """A copy of `model` without such nodes; the same object where it has none."""
    shapes = {
        node.output[0]: shape
        for node in model.graph.node
        if node.op_type == "Expand" and (shape := _constant(model, node.input[1])) is not None
    }
    if not shapes:
        return model
    dtypes = _dtypes(model)
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    for node in rewritten.graph.node:
        dtype = dtypes.get(node.input[0]) if node.output and node.output[0] in shapes else None
        if dtype not in _MULTIPLIED:
            continue
        ones = f"{node.output[0]}_ones"
        array = np.ones([int(extent) for extent in shapes[node.output[0]]], dtype)
        rewritten.graph.initializer.append(numpy_helper.from_array(array, ones))
        product = helper.make_node("Mul", [node.input[0], ones], list(node.output), node.name)
        node.CopyFrom(product)
    return rewritten


def _constant(model: Any, name: str) -> Any:
    """The value of what depends on constants alone, else None."""
    wanted, nodes = {name}, []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            nodes.append(node)
            wanted.update(node.input)
    if wanted.intersection(value.name for value in model.graph.input):
        return None
    result = helper.make_tensor_value_info(name, onnx.TensorProto.INT64, None)
    needed = [t for t in model.graph.initializer if t.name in wanted]
    graph = helper.make_graph(nodes[::-1], "shape", [], [result], initializer=needed)
    small = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    return ReferenceEvaluator(small).run(None, {})[0]


def _dtypes(model: Any) -> dict[str, str]:
    """Element types of what the graph computes, as far as ONNX infers them."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    values = [*graph.input, *graph.value_info, *graph.output]
    types = {v.name: v.type.tensor_type.elem_type for v in values}
    return {
        name: str(np.dtype(helper.tensor_dtype_to_np_dtype(kind)))
        for name, kind in types.items()
        if kind
    }
