"""Einsum of any equation, as products of matrices and sums.

    "bij,bjk->bik"    matmul(a, b)
    "bfd,def->bef"    permute(matmul(permute(a), ...)): letters that both operands have and that are
                      summed are the depth of a product, the others its batch, rows and columns
    "bii->bi"         every (n + 1)th of the n * n elements
    "bij->bi"         sum

Operands are taken two at a time, from the left. The letter of the batch stays an axis of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from tvm import relax

from rtcompile.frontends.onnx.einsum_equation import parsed_equation
from rtcompile.frontends.onnx.operators.node import Node

__all__ = ["EINSUM"]


@dataclass(frozen=True)
class _Operand:
    """A tensor with a letter an axis."""

    tensor: Any
    letters: str


def _einsum(node: Node) -> Any:
    ranks = [len(node.shape(place)) for place in range(len(node.inputs))]
    try:
        terms, result = parsed_equation(node.text("equation", ""), ranks)
    except ValueError as error:
        node.refuse(str(error))
    operands = [
        _diagonal(node, _Operand(node.tensor(place), term)) for place, term in enumerate(terms)
    ]
    found = operands[0]
    for place, other in enumerate(operands[1:], 1):
        later = "".join(one.letters for one in operands[place + 1 :])
        found = _contracted(node, found, other, set(result + later))
    found = _summed(node, found, set(result))
    return _ordered(node, found, result).tensor


def _diagonal(node: Node, operand: _Operand) -> _Operand:
    """An operand that has each letter once."""
    for letter in operand.letters:
        while operand.letters.count(letter) > 1:
            operand = _one_diagonal(node, operand, letter)
    return operand


def _one_diagonal(node: Node, operand: _Operand, letter: str) -> _Operand:
    extents = node.extents_of(operand.tensor)
    axes = [at for at, other in enumerate(operand.letters) if other == letter][:2]
    extent = extents[axes[0]]
    if not isinstance(extent, int) or extents[axes[1]] != extent:
        node.refuse("it takes a diagonal of axes that are the batch, or of unequal extents")
    others = [at for at in range(len(extents)) if at not in axes]
    turned = node.emit(relax.op.permute_dims(operand.tensor, [*others, *axes]))
    flat = node.reshape(turned, [*(extents[at] for at in others), extent * extent])
    last, step = len(others), extent + 1
    picked = node.emit(relax.op.strided_slice(flat, [last], [0], [extent * extent], [step]))
    return _Operand(picked, "".join(operand.letters[at] for at in others) + letter)


def _summed(node: Node, operand: _Operand, kept: set[str]) -> _Operand:
    axes = [at for at, letter in enumerate(operand.letters) if letter not in kept]
    if not axes:
        return operand
    extents = node.extents_of(operand.tensor)
    if not all(isinstance(extents[at], int) for at in axes):
        _refuse_sum(node)
    left = "".join(letter for letter in operand.letters if letter in kept)
    return _Operand(node.emit(relax.op.sum(operand.tensor, axes)), left)


def _refuse_sum(node: Node) -> None:
    node.refuse(
        "it sums along the batch: the score of a row would depend on the other rows of the request"
    )


def _ordered(node: Node, operand: _Operand, letters: str) -> _Operand:
    if operand.letters == letters:
        return operand
    axes = [operand.letters.index(letter) for letter in letters]
    return _Operand(node.emit(relax.op.permute_dims(operand.tensor, axes)), letters)


def _contracted(node: Node, a: _Operand, b: _Operand, kept: set[str]) -> _Operand:
    """The product of two operands, summed over the letters that they share and nobody keeps."""
    a = _summed(node, a, kept | set(b.letters))
    b = _summed(node, b, kept | set(a.letters))
    depth = [letter for letter in a.letters if letter in b.letters and letter not in kept]
    sizes = _sizes(node, b) | _sizes(node, a)
    if not all(isinstance(sizes[letter], int) for letter in depth):
        _refuse_sum(node)
    uneven = any(_sizes(node, a)[i] != _sizes(node, b)[i] for i in a.letters if i in b.letters)
    if not depth or uneven:
        return _summed(node, _multiplied(node, a, b), kept)
    if any(not isinstance(sizes[i], int) for i in b.letters if i not in a.letters):
        a, b = b, a  # the batch is of the rows of the product, not of its columns
    return _matrix_product(node, a, b, depth, sizes)


def _sizes(node: Node, operand: _Operand) -> dict[str, Any]:
    return dict(zip(operand.letters, node.extents_of(operand.tensor), strict=True))


def _multiplied(node: Node, a: _Operand, b: _Operand) -> _Operand:
    """Value by value, with all letters of both."""
    letters = a.letters + "".join(letter for letter in b.letters if letter not in a.letters)
    wide = []
    for one in (a, b):
        order = "".join(letter for letter in letters if letter in one.letters)
        tensor = _ordered(node, one, order).tensor
        lacking = [at for at, letter in enumerate(letters) if letter not in one.letters]
        wide.append(node.emit(relax.op.expand_dims(tensor, lacking)) if lacking else tensor)
    return _Operand(node.emit(relax.op.multiply(*wide)), letters)


def _matrix_product(
    node: Node, a: _Operand, b: _Operand, depth: Sequence[str], sizes: dict[str, Any]
) -> _Operand:
    """[rows, shared, left, depth] @ [shared, depth, right]; the batch is of rows or shared."""
    shared = sorted(
        (i for i in a.letters if i in b.letters and i not in depth),
        key=lambda letter: isinstance(sizes[letter], int),
    )
    left = [i for i in a.letters if i not in b.letters]
    rows = [i for i in left if not isinstance(sizes[i], int)]
    left = [i for i in left if i not in rows]
    right = [i for i in b.letters if i not in a.letters]

    def laid_out(one: _Operand, lead: list[str], groups: list[Sequence[str]]) -> Any:
        order = "".join([*lead, *(i for group in groups for i in group)])
        extents = [sizes[i] for i in lead] + [prod(sizes[i] for i in g) for g in groups]
        tensor = _ordered(node, one, order).tensor
        return tensor if len(order) == len(extents) else node.reshape(tensor, extents)

    is_flat = bool(rows) and not shared and not left  # the batch itself is the product's rows
    first = laid_out(a, [*rows, *shared], [depth] if is_flat else [left, depth])
    product = node.emit(relax.op.matmul(first, laid_out(b, shared, [depth, right])))
    letters = [*rows, *shared, *left, *right]
    extents = [sizes[letter] for letter in letters]
    return _Operand(node.reshape(product, extents), "".join(letters))


EINSUM: dict[str, Callable[[Node], Any]] = {"Einsum": _einsum}
