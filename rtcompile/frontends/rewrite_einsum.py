"""Rewrite an `Einsum` of two operands that is a matrix product to `MatMul`.

    Einsum("...k,kn->...n", x, W)        ->   MatMul(x, W)
    Einsum("...k,nk->...n", x, W)        ->   MatMul(x, Transpose(W))
    Einsum("b..ik,b..kj->b..ij", a, b)   ->   MatMul(a, b)
    Einsum("b..ik,b..jk->b..ij", a, b)   ->   MatMul(a, Transpose(b))

The importer turns an Einsum into loops at once; a MatMul is what the passes know. Any other Einsum
is left to the importer.
"""

from __future__ import annotations

from typing import Any

import onnx
from onnx import helper

__all__ = ["product_form", "rewrite_einsum"]


def product_form(equation: str) -> tuple[int, bool] | None:
    """(rank of the right operand, whether it is transposed) of a product; None for any other."""
    sources, arrow, result = equation.replace(" ", "").partition("->")
    left, comma, right = sources.partition(",")
    terms = (left, right, result)
    if not arrow or not comma or "," in right or min(map(len, terms)) < 2:
        return None
    if any(not term.isalpha() or len(set(term)) != len(term) for term in terms):
        return None
    contracted = left[-1]
    batch = right[:-2]
    if contracted not in right[-2:] or contracted in result or left[: len(batch)] != batch:
        return None
    if batch and len(left) != len(right):
        return None  # MatMul would broadcast other axes
    free = right[-2:].replace(contracted, "")
    if free in left or result != left[:-1] + free:
        return None
    return len(right), right[-1] == contracted


def rewrite_einsum(model: Any) -> Any:
    """A copy of `model` without such nodes; the same object where it has none."""
    forms = {
        node.output[0]: form
        for node in model.graph.node
        if node.op_type == "Einsum"
        and len(node.input) == 2
        and (form := product_form(node.attribute[0].s.decode())) is not None
    }
    if not forms:
        return model
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    nodes = []
    for node in rewritten.graph.node:
        form = forms.get(node.output[0]) if node.output else None
        nodes += [node] if form is None else _product(node, *form)
    del rewritten.graph.node[:]
    rewritten.graph.node.extend(nodes)
    return rewritten


def _product(node: Any, rank: int, transposed: bool) -> list[Any]:
    left, right = node.input
    if not transposed:
        return [helper.make_node("MatMul", [left, right], list(node.output), node.name)]
    turned = f"{node.output[0]}_transposed"
    axes = [*range(rank - 2), rank - 1, rank - 2]
    return [
        helper.make_node("Transpose", [right], [turned], f"{node.name}_transpose", perm=axes),
        helper.make_node("MatMul", [left, turned], list(node.output), node.name),
    ]
