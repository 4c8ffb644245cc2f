"""Rewrite an `Einsum` of two operands that is a matrix product to `MatMul`, an outer one to `Mul`.

    Einsum("...k,kn->...n", x, W)        ->   MatMul(x, W)
    Einsum("...k,nk->...n", x, W)        ->   MatMul(x, Transpose(W))
    Einsum("b..ik,b..kj->b..ij", a, b)   ->   MatMul(a, b)
    Einsum("b..ik,b..jk->b..ij", a, b)   ->   MatMul(a, Transpose(b))
    Einsum("bhd,bmd->bhmd", a, b)        ->   Mul(Unsqueeze(a, 2), Unsqueeze(b, 1))

These become nodes that other rewritings know. Any other Einsum is left to the importer
(`onnx/einsum.py`).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

__all__ = ["outer_form", "product_form", "rewrite_einsum"]


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


def outer_form(equation: str) -> tuple[list[int], list[int]] | None:
    """The axes that each operand lacks of a product without a sum; None for any other."""
    sources, arrow, result = equation.replace(" ", "").partition("->")
    left, comma, right = sources.partition(",")
    terms = (left, right, result)
    if not arrow or not comma or "," in right or any(len(set(t)) != len(t) for t in terms):
        return None
    if not all(term.isalpha() for term in terms) or set(left + right) != set(result):
        return None
    lacking = [[at for at, letter in enumerate(result) if letter not in t] for t in terms[:2]]
    in_order = all("".join(c for c in result if c in t) == t for t in terms[:2])
    return (lacking[0], lacking[1]) if in_order else None


def rewrite_einsum(model: Any) -> Any:
    """A copy of `model` without such nodes; the same object where it has none."""
    forms = {
        node.output[0]: form
        for node in model.graph.node
        if node.op_type == "Einsum" and len(node.input) == 2 and (form := _nodes(node)) is not None
    }
    if not forms:
        return model
    rewritten = onnx.ModelProto()
    rewritten.CopyFrom(model)
    nodes = []
    for node in rewritten.graph.node:
        nodes += forms.get(node.output[0] if node.output else "", [node])
    del rewritten.graph.node[:]
    rewritten.graph.node.extend(nodes)
    return rewritten


def _nodes(node: Any) -> list[Any] | None:
    """What takes the place of an Einsum; None where it stays."""
    equation = node.attribute[0].s.decode()
    product, outer = product_form(equation), outer_form(equation)
    if product is not None:
        return _product(node, *product)
    return None if outer is None else _outer(node, outer)


def _outer(node: Any, lacking: tuple[list[int], list[int]]) -> list[Any]:
    nodes, operands = [], []
    for index, (source, axes) in enumerate(zip(node.input, lacking, strict=True)):
        if not axes:
            operands.append(source)
            continue
        wide, at = f"{node.output[0]}_wide_{index}", f"{node.output[0]}_axes_{index}"
        value = numpy_helper.from_array(np.array(axes, np.int64))
        nodes.append(
            helper.make_node("Constant", [], [at], f"{node.name}_axes_{index}", value=value)
        )
        nodes.append(
            helper.make_node("Unsqueeze", [source, at], [wide], f"{node.name}_wide_{index}")
        )
        operands.append(wide)
    return [*nodes, helper.make_node("Mul", operands, list(node.output), node.name)]


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
