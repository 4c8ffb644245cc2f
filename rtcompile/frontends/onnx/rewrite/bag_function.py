"""Bags of a table's rows by values that lie behind one another, as functions of ONNX's operators.

    BagSum(table, ids, bounds)                  y[n] = sum(table[ids[bounds[n, 0] : bounds[n, 1]]])
    BagMean, BagMax(table, ids, bounds)         the same with a mean, a maximum
    BagWeightedSum(table, ids, bounds, weights) each row of the table times the weight beside its id

`padding`: an id that counts as not there, counted from the front; NO_PADDING for none. `empty`:
what a bag without ids is. Inputs float [rows, d], int [m], int64 [n, 2], float [m]; y is [n, d].
Whoever runs a model that calls them runs their bodies; the importer has a kernel for them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper

from rtcompile.frontends.onnx.rewrite.graph_edit import GraphEdit
from rtcompile.frontends.onnx.rewrite.settle_shapes import DOMAIN

__all__ = ["BAGS", "NO_PADDING", "WEIGHTED", "bag_function"]

WEIGHTED = "BagWeightedSum"
# Operator -> what becomes of a bag's rows.
BAGS = {"BagSum": "sum", "BagMean": "mean", "BagMax": "max", WEIGHTED: "weighted"}
NO_PADDING = -(1 << 63)

_INPUTS = ["table", "ids", "bounds", "weights"]


def bag_function(operator: str, opset: int) -> Any:
    """The onnx.FunctionProto of one of `BAGS`, by operators of an opset."""
    inputs = _INPUTS[: 4 if operator == WEIGHTED else 3]
    edit = GraphEdit("bag", opset, [*inputs, "padding", "empty", "y"])
    _body(operator, edit)
    constants = [helper.make_node("Constant", [], [t.name], value=t) for t in edit.constants]
    given = [_attribute("padding", "value_int", 2), _attribute("empty", "value_float", 1)]
    return helper.make_function(
        DOMAIN,
        operator,
        inputs,
        ["y"],
        [*given, *constants, *edit.nodes],
        [helper.make_opsetid("", opset)],
        ["padding", "empty"],
    )


def _attribute(name: str, kind: str, number: int) -> Any:
    """A constant that is an attribute of the function."""
    node = helper.make_node("Constant", [], [name])
    node.attribute.append(onnx.AttributeProto(name=kind, ref_attr_name=name, type=number))
    return node


def _body(operator: str, edit: GraphEdit) -> None:
    """Rows of the table padded to the longest bag, [n, longest, d], and a mask over them."""
    node, zero, one = edit.node, edit.constant(0), edit.constant(1)
    start, end = (node("Gather", "bounds", edit.constant([side]), axis=1) for side in (0, 1))
    longest = edit.reduce("ReduceMax", node("Sub", end, start), [0, 1], keepdims=False)
    longest = node("Where", node("Greater", longest, one), longest, one)
    places = node("Add", start, node("Range", zero, longest, one))
    inside = node("Less", places, end)
    safe = node("Where", inside, places, zero)
    ids = node("Cast", node("Gather", "ids", safe), to=TensorProto.INT64)
    rows = node("Gather", node("Shape", "table"), zero)
    counted = node("Where", node("Less", ids, zero), node("Add", ids, rows), ids)
    kept = node("And", inside, node("Not", node("Equal", counted, "padding")))
    vectors, mask = node("Gather", "table", ids), edit.unsqueeze(kept, 2)
    if operator == WEIGHTED:
        vectors = node("Mul", vectors, edit.unsqueeze(node("Gather", "weights", safe), 2))
    start_value = edit.constant(-np.inf if operator == "BagMax" else 0.0, np.float32)
    reduction = "ReduceMax" if operator == "BagMax" else "ReduceSum"
    found = edit.reduce(reduction, node("Where", mask, vectors, start_value), [1], keepdims=False)
    count = edit.reduce("ReduceSum", node("Cast", kept, to=TensorProto.INT64), [1], keepdims=True)
    if operator == "BagMean":
        found = node("Div", found, node("Cast", count, to=TensorProto.FLOAT))
    is_empty = node("Equal", count, zero)
    edit.nodes.append(helper.make_node("Where", [is_empty, "empty", found], ["y"]))
