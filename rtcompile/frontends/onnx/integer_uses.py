"""Which inputs of an ONNX graph become indices, extents or divisors: not every number suits there.

Unlike `id_inputs.py`, whatever lies between counts: an index that is computed of an input is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import onnx
from onnx import TensorProto

from rtcompile.frontends.onnx.rewrite.bag_function import BAGS

__all__ = ["IntegerUses", "integer_divisors", "integer_uses"]

# Operator -> the inputs that are indices; those that are extents, or the like.
_CHOICES = {
    "Gather": (1,),
    "GatherElements": (1,),
    "GatherND": (1,),
    "ScatterElements": (1,),
    "ScatterND": (1,),
    "Scatter": (1,),
    "OneHot": (0,),
}
_EXTENTS = {
    "OneHot": (1,),
    "Slice": (1, 2, 3, 4),
    "Reshape": (1,),
    "Expand": (1,),
    "Tile": (1,),
    "Pad": (1,),
    "Range": (0, 1, 2),
    "ConstantOfShape": (0,),
    "TopK": (1,),
    "Resize": (1, 2, 3),
    "Trilu": (1,),
    "CumSum": (1,),
    "Split": (1,),
    "Loop": (0,),
    **dict.fromkeys(BAGS, (1, 2)),
}
_DIVIDES = ("Div", "Mod")
# What these give does not grow with what they read.
_BOUNDED = {
    *("ArgMax", "ArgMin", "TopK", "NonZero", "Shape", "Size", "IsNaN", "IsInf", "Sign"),
    *("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "Not", "And", "Or", "Xor"),
}
_FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16)


@dataclass(frozen=True)
class IntegerUses:
    """Names of graph inputs that reach indices or extents, of those that reach divisors, and of
    those that reach extents."""

    indices: frozenset[str]
    divisors: frozenset[str]
    extents: frozenset[str]


def integer_uses(model: Any) -> IntegerUses:
    """Walk from every index, extent and divisor back to the inputs of an onnx.ModelProto."""
    graph = model.graph
    producers = {output: node for node in graph.node for output in node.output}
    inputs = {value.name for value in graph.input}
    choices, extents = (
        {
            source
            for node in graph.node
            for place in places.get(node.op_type, ())
            if place < len(node.input)
            for source in _behind(node.input[place], producers, inputs)
        }
        for places in (_CHOICES, _EXTENTS)
    )
    divisors = {s for d in integer_divisors(model) for s in _behind(d, producers, inputs)}
    return IntegerUses(frozenset(choices | extents), frozenset(divisors), frozenset(extents))


def integer_divisors(model: Any) -> list[str]:
    """The values by which an onnx.ModelProto divides, as far as they may be integers."""
    floats = _floats(model)
    dividing = [node for node in model.graph.node if node.op_type in _DIVIDES]
    return list(dict.fromkeys(n.input[1] for n in dividing if not floats.intersection(n.input)))


def _behind(name: str, producers: Any, inputs: set[str]) -> set[str]:
    found, seen, waiting = set(), {name}, [name]
    while waiting:
        one = waiting.pop()
        if one in inputs:
            found.add(one)
        node = producers.get(one)
        if node is not None and node.op_type not in _BOUNDED:
            waiting += [given for given in node.input if given not in seen]
            seen.update(node.input)
    return found


def _floats(model: Any) -> set[str]:
    """Values that are known to be floating-point."""
    try:
        graph = onnx.shape_inference.infer_shapes(model).graph
    except (onnx.shape_inference.InferenceError, ValueError):  # over two gigabytes
        graph = model.graph
    found = {tensor.name for tensor in graph.initializer if tensor.data_type in _FLOATS}
    values = (*graph.input, *graph.output, *graph.value_info)
    return found | {v.name for v in values if v.type.tensor_type.elem_type in _FLOATS}
