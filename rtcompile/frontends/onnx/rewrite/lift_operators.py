"""An operator on a value a turn, as the same operator over all turns: one axis further back.

    ReduceSum(bag, axes=[0])   ->   ReduceSum(bags, axes=[1])      bags is [turns, *bag]
    Gather(table, ids)         ->   Gather(table, ids of all)
    Where(empty, zeros, mean)  ->   Where(Unsqueeze(empties), zeros, means)

Operands that are the same in each turn broadcast to all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from rtcompile.frontends.onnx.rewrite.graph_edit import GraphEdit
from rtcompile.frontends.onnx.rewrite.loop_values import (
    Each,
    Filtered,
    Fixed,
    Numbers,
    Outer,
    RefusedError,
)
from rtcompile.frontends.onnx.rewrite.shape_facts import ShapeFacts

__all__ = ["BodyValues", "lifted", "reduced", "where"]

_COMPARISONS = frozenset(
    {"And", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "Or", "Xor"}
)

_ELEMENTWISE = _COMPARISONS | {
    *("Abs", "Add", "Cast", "Clip", "Div", "Erf", "Exp", "Identity", "Log", "Max", "Min", "Mul"),
    *("Neg", "Pow", "Reciprocal", "Relu", "Sigmoid", "Sqrt", "Sub", "Tanh", "Where"),
}

_REDUCTIONS = frozenset(
    {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL2"}
)


class BodyValues:
    """Questions about values of a loop's body, and nodes for them."""

    def __init__(self, facts: ShapeFacts, edit: GraphEdit) -> None:
        self.facts, self.edit = facts, edit
        # The result of a sum over a value's first axis: that value, and whether the axis is kept.
        self.sums: dict[str, tuple[Each, bool]] = {}

    def each(self, value: Any) -> Each:
        """A value a turn. Raises RefusedError for another."""
        if isinstance(value, Each):
            return value
        raise RefusedError("a result is the same for every row, or has no fixed extents")

    def constant(self, value: Any) -> Any:
        """The array of a value that is the same in every turn at every batch; None for others."""
        if isinstance(value, Fixed):
            return value.array
        if isinstance(value, Outer):
            return self.facts.constant(value.name)
        if not isinstance(value, Numbers):
            return None
        arrays = [array for turns in value.turns for array in turns.values()]
        same = all(np.array_equal(array, arrays[0]) for array in arrays)
        return arrays[0] if arrays and same else None

    def rank(self, value: Any) -> int:
        """How many axes a turn's value has."""
        if isinstance(value, Each):
            return value.rank
        rank = self.facts.rank(value.name) if isinstance(value, Outer) else None
        if rank is not None:
            return rank
        constant = self.constant(value)
        if constant is None:
            raise RefusedError("the extents of an operand are not known")
        return int(constant.ndim)

    def aligned(self, value: Any, rank: int) -> str:
        """An operand that broadcasts behind the turns' axis to `rank` axes."""
        if not isinstance(value, Each):
            return self.operand(value)
        name = value.name
        for _ in range(rank - value.rank):
            name = self.edit.unsqueeze(name, 1)
        return name

    def operand(self, value: Any) -> str:
        """The name of an operand that is the same in each turn."""
        if isinstance(value, Outer):
            return value.name
        array = self.constant(value)
        if array is None:
            raise RefusedError("a number that counts the rows is computed with")
        return self.edit.constant(array, array.dtype)

    def in_rows(self, flat: str, share: int) -> str:
        """[rows * share, ...] as [rows, share, ...]."""
        extents = self.facts.shape(flat)
        if not extents or any(slope for slope, _ in extents[1:]):
            raise RefusedError(f"the extents of {flat} are not known")
        shape = [-1, share, *(extent for _, extent in extents[1:])]
        return self.edit.node("Reshape", flat, self.edit.constant(shape))

    def kind(self, value: Any) -> int:
        """The element type of a value, as ONNX counts them; 0 where it is not known."""
        if isinstance(value, Each):
            return value.kind
        if isinstance(value, Outer):
            return self.facts.types.get(value.name, 0)
        array = self.constant(value)
        return 0 if array is None else int(helper.np_dtype_to_tensor_dtype(array.dtype))


def lifted(of: BodyValues, node: Any, inputs: list[Any], attributes: Mapping[str, Any]) -> Any:
    """The value of an operator over all turns. Raises RefusedError."""
    operator = node.op_type
    if operator == "CastLike":
        return _cast_like(of, *inputs)
    if not any(isinstance(value, Each) for value in inputs):
        if all(isinstance(value, Outer | Fixed) for value in inputs) and len(node.output) == 1:
            return Outer(of.edit.node(operator, *map(of.operand, inputs), **attributes))
        raise RefusedError(f"{operator} reads what cannot be followed")
    if operator in _ELEMENTWISE:
        return _elementwise(of, operator, inputs, attributes)
    data = inputs[0]
    if operator == "Gather" and isinstance(data, Outer) and not attributes.get("axis", 0):
        rank = of.rank(data) - 1 + inputs[1].rank
        name = of.edit.node("Gather", data.name, inputs[1].name, axis=0)
        return Each(name, rank, of.kind(data), inputs[1].elements)
    rule = _RULES.get("Reduce" if operator in _REDUCTIONS else operator)
    if rule is None or not isinstance(data, Each):
        raise RefusedError(f"{operator} over the rows is not known")
    return rule(of, operator, inputs, attributes)


def where(of: BodyValues, mask: Each, yes: Any, no: Any) -> Each:
    """Where(mask, yes, no) of a condition a turn."""
    rank = max(of.rank(yes), of.rank(no), mask.rank)
    name = of.edit.node("Where", *(of.aligned(value, rank) for value in (mask, yes, no)))
    return Each(name, rank, of.kind(yes))


def reduced(of: BodyValues, node: Any, inputs: list[Any], attributes: Mapping[str, Any]) -> Each:
    """A reduction of the values that a turn has picked, over those that the mask leaves."""
    values: Filtered = inputs[0]
    start = {"ReduceSum": 0.0, "ReduceMean": 0.0, "ReduceMax": -np.inf, "ReduceMin": np.inf}
    operator = node.op_type
    if operator not in start or _axes(of, inputs, attributes, values.rank) != [0]:
        raise RefusedError(f"{operator} of values that a mask leaves is not known")
    keep, edit = bool(attributes.get("keepdims", 1)), of.edit
    mask = values.mask
    for axis in range(2, values.rank + 1):
        mask = edit.unsqueeze(mask, axis)
    dtype = helper.tensor_dtype_to_np_dtype(values.kind or TensorProto.FLOAT)
    kept = edit.node("Where", mask, values.values, edit.constant(start[operator], dtype))
    mean = operator == "ReduceMean"
    name = edit.reduce("ReduceSum" if mean else operator, kept, [1], keep)
    if mean:
        ones = edit.node("Cast", mask, to=values.kind or TensorProto.FLOAT)
        name = edit.node("Div", name, edit.reduce("ReduceSum", ones, [1], keep))
    return Each(name, values.rank - (not keep), values.kind)


def _cast_like(of: BodyValues, value: Any, like: Any) -> Any:
    kind, array = of.kind(like), of.constant(value)
    if not kind:
        raise RefusedError("CastLike of a type that is not known")
    if array is not None:
        return Fixed(np.asarray(array).astype(helper.tensor_dtype_to_np_dtype(kind)))
    data = of.each(value)
    return Each(of.edit.node("Cast", data.name, to=kind), data.rank, kind)


def _elementwise(
    of: BodyValues, operator: str, inputs: list[Any], attributes: Mapping[str, Any]
) -> Each:
    rank = max(of.rank(value) for value in inputs if value is not None)
    operands = [of.aligned(value, rank) if value is not None else "" for value in inputs]
    kind = of.kind(inputs[1] if operator == "Where" else inputs[0])
    if operator in _COMPARISONS:
        kind = TensorProto.BOOL
    if operator == "Div":
        mean = _mean(of, *inputs)
        if mean is not None:
            return mean
    name = of.edit.node(operator, *operands, **attributes)
    widest = [v.elements for v in inputs if isinstance(v, Each) and v.rank == rank]
    return Each(name, rank, attributes.get("to", kind), widest[0] if widest else None)


def _mean(of: BodyValues, total: Any, count: Any) -> Each | None:
    """ReduceMean for a ReduceSum that is divided by how many elements it added up.

    One exporter writes the last bag's mean so, and those of the others as a mean.
    """
    array = of.constant(count)
    if not isinstance(total, Each) or array is None or array.size != 1:
        return None
    made = of.sums.get(total.name)
    if made is None or made[0].elements != array.reshape(-1)[0]:
        return None
    data, keep = made
    return Each(of.edit.reduce("ReduceMean", data.name, [1], keep), total.rank, total.kind)


def _axes(
    of: BodyValues, inputs: Sequence[Any], attributes: Mapping[str, Any], rank: int
) -> list[int]:
    given = attributes.get("axes")
    if given is None and len(inputs) > 1 and inputs[1] is not None:
        given = of.constant(inputs[1])
        if given is None:
            raise RefusedError("axes that are not fixed")
    return list(range(rank)) if given is None else [int(a) % rank for a in given]


def _reduction(
    of: BodyValues, operator: str, inputs: list[Any], attributes: Mapping[str, Any]
) -> Each:
    data = inputs[0]
    axes, keep = _axes(of, inputs, attributes, data.rank), bool(attributes.get("keepdims", 1))
    name = of.edit.reduce(operator, data.name, [axis + 1 for axis in axes], keep)
    if operator == "ReduceSum" and axes == [0]:
        of.sums[name] = data, keep
    return Each(name, data.rank if keep else data.rank - len(axes), data.kind)


def _axes_of_one(
    of: BodyValues, operator: str, inputs: list[Any], attributes: Mapping[str, Any]
) -> Each:
    """Unsqueeze and Squeeze."""
    data, more = inputs[0], operator == "Unsqueeze"
    given = attributes.get("axes")
    if given is None and len(inputs) > 1:
        given = of.constant(inputs[1])
    if given is None:
        raise RefusedError(f"{operator} of axes that are not fixed")
    rank = data.rank + (len(given) if more else -len(given))
    axes = sorted(int(a) % (rank if more else data.rank) + 1 for a in given)
    name = data.name
    for axis in axes if more else reversed(axes):
        name = (of.edit.unsqueeze if more else of.edit.squeeze)(name, axis)
    return Each(name, rank, data.kind)


def _reshape(
    of: BodyValues, operator: str, inputs: list[Any], attributes: Mapping[str, Any]
) -> Each:
    shape = of.constant(inputs[1])
    if shape is None or attributes.get("allowzero"):
        raise RefusedError("Reshape to a shape that is not fixed")
    # A zero takes the extent that the data has on the same axis: here that of the rows.
    target = of.edit.constant([0, *shape.tolist()])
    return Each(of.edit.node(operator, inputs[0].name, target), len(shape), inputs[0].kind)


def _softmax(
    of: BodyValues, operator: str, inputs: list[Any], attributes: Mapping[str, Any]
) -> Each:
    data = inputs[0]
    axis = int(attributes.get("axis", -1)) % data.rank + 1
    return Each(of.edit.node(operator, data.name, axis=axis), data.rank, data.kind)


def _matmul(
    of: BodyValues, operator: str, inputs: list[Any], attributes: Mapping[str, Any]
) -> Each:
    data, matrix = inputs
    if data.rank < 2 or not isinstance(matrix, Outer) or of.rank(matrix) != 2:
        raise RefusedError("MatMul of two values of a turn is not known")
    return Each(of.edit.node(operator, data.name, matrix.name), data.rank, data.kind)


_RULES = {
    "Reduce": _reduction,
    "Unsqueeze": _axes_of_one,
    "Squeeze": _axes_of_one,
    "Reshape": _reshape,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "MatMul": _matmul,
}
