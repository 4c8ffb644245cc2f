"""Operators that move values and compute none: other extents, other axes, repeats, parts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np
from tvm import relax, tirx

from rtcompile.frontends.onnx.operators.node import Node, element_type
from rtcompile.frontends.onnx.operators.values import Known, simplified
from rtcompile.frontends.onnx.rewrite.settle_shapes import ROWS

__all__ = ["OWN", "SHAPES", "flattened_at"]


def _product(extents: Sequence[Any]) -> Any:
    return reduce(lambda a, b: a * b, extents, 1)


def _reshape(node: Node) -> Any:
    extents = node.shape(0)
    wanted = node.integers("shape") or node.extents(1, "shape")
    if not node.integer("allowzero", 0):
        wanted = [extents[at] if e == 0 else e for at, e in enumerate(wanted)]
    if -1 in [e for e in wanted if isinstance(e, int)]:
        at = wanted.index(-1)
        rest = _product([e for place, e in enumerate(wanted) if place != at])
        total = _product(extents)
        if isinstance(rest, int) and rest == 0:
            node.refuse("a shape with -1 beside an extent of 0")
        wanted[at] = simplified(tirx.floordiv(_expression(total), _expression(rest)))
    if simplified(_expression(_product(wanted)) - _expression(_product(extents))) != 0:
        node.refuse(
            f"{_text(extents)} does not fit into {_text(wanted)} for every count of rows; the "
            "first axis must stay the batch: export the model with a dynamic batch"
        )
    return relax.op.reshape(node.tensor(0), relax.ShapeExpr(list(wanted)))


def _expression(extent: Any) -> Any:
    return tirx.IntImm("int64", extent) if isinstance(extent, int) else extent


def _text(extents: Sequence[Any]) -> str:
    return f"({', '.join(map(str, extents))})"


def _flatten(node: Node) -> Any:
    axis = node.integer("axis", 1)
    return flattened_at(node, axis + len(node.shape(0)) if axis < 0 else axis)


def flattened_at(node: Node, axis: int) -> Any:
    """The first input as a matrix: the axes in front of `axis`, and the others."""
    extents = node.shape(0)
    both = [_product(extents[:axis]), _product(extents[axis:])]
    return node.reshape(node.tensor(0), [simplified(e) for e in both])


def _squeeze(node: Node) -> Any:
    extents, axes = node.shape(0), node.parameter("axes", 1)
    if axes is None:
        axes = [at for at, extent in enumerate(extents) if extent == 1]
    axes = [node.counted(axis, len(extents)) for axis in axes]
    wrong = [axis for axis in axes if extents[axis] != 1]
    if wrong:
        node.refuse(f"axis {wrong[0]} of {_text(extents)} is not known to be one")
    return relax.op.squeeze(node.tensor(0), axes)


def _unsqueeze(node: Node) -> Any:
    axes = node.parameter("axes", 1) or []
    rank = len(node.shape(0)) + len(axes)
    found = node.tensor(0)
    for axis in sorted(node.counted(axis, rank) for axis in axes):
        found = node.emit(relax.op.expand_dims(found, [axis]))
    return found


def _transpose(node: Node) -> Any:
    rank = len(node.shape(0))
    axes = node.integers("perm") or list(reversed(range(rank)))
    if len(axes) != rank:
        node.refuse(f"perm has {len(axes)} axes for a tensor of rank {rank}")
    return relax.op.permute_dims(node.tensor(0), axes) if rank > 1 else node.inputs[0]


def _expand(node: Node) -> Any:
    extents, wanted = list(node.shape(0)), node.extents(1, "shape")
    rank = max(len(extents), len(wanted))
    extents = [1] * (rank - len(extents)) + extents
    wanted = [1] * (rank - len(wanted)) + wanted
    target = [e if w == 1 else w for e, w in zip(extents, wanted, strict=True)]
    return broadcast(node, node.tensor(0), target)


def broadcast(node: Node, tensor: Any, target: Sequence[Any]) -> Any:
    """A tensor repeated along its axes of one, and new ones, to the extents `target`.

    By a constant shape it is a product with ones, which the passes read over; x * 1 is x for every
    number, NaN included.
    """
    ones = [1 if not isinstance(extent, int) else extent for extent in target]
    extents = list(node.shape(0))
    own = [1] * (len(target) - len(extents)) + extents
    plain = all(t == o or isinstance(t, int) for t, o in zip(target, own, strict=True))
    dtype = str(tensor.ty.dtype)
    if plain and dtype in ("float32", "float64", "float16", "int32", "int64"):
        if all(t is o or t == o for t, o in zip(target, own, strict=True)) and len(own) == len(
            extents
        ):
            return tensor
        factor = [1 if t is o or t == o else n for t, o, n in zip(target, own, ones, strict=True)]
        return relax.op.multiply(tensor, Known(np.ones(factor, dtype)).constant)
    return relax.op.broadcast_to(tensor, relax.ShapeExpr(list(target)))


def _constant_of_shape(node: Node) -> Any:
    given = node.attributes.get("value")
    value = np.zeros(1, np.float32) if given is None else _array(given)
    target = node.extents(0, "shape")
    scalar = Known(value.reshape(())).constant
    return relax.op.broadcast_to(scalar, relax.ShapeExpr(target))


def _array(tensor: Any) -> Any:
    from onnx import numpy_helper

    return numpy_helper.to_array(tensor)


def _tile(node: Node) -> Any:
    repeats = node.extents(1, "repeats")
    if any(not isinstance(count, int) for count in repeats):
        node.refuse("it repeats by the count of rows of a request")
    extents = node.shape(0)
    found = node.tensor(0)
    for axis, count in enumerate(repeats):
        if count == 1:
            continue
        if not isinstance(extents[axis], int):
            node.refuse("it repeats the rows of a request")
        if count == 0:
            node.refuse("it repeats nothing")
        found = node.emit(relax.op.concat([found] * count, axis))
    return found


def _split(node: Node) -> Any:
    axis = node.axis("axis", 0)
    extent = node.shape(0)[axis]
    if not isinstance(extent, int):
        node.refuse("it cuts the rows of a request into parts")
    sizes = node.parameter("split", 1)
    if sizes is None:
        count = node.integer("num_outputs", len(node.outputs))
        size = -(-extent // count)
        sizes = [min(size, extent - size * place) for place in range(count)]
    if sum(sizes) != extent or min(sizes) < 0:
        node.refuse(f"parts of {sizes} of an axis of {extent}")
    ends = np.cumsum([0, *sizes]).tolist()
    if len(sizes) == 1:
        return node.inputs[0]
    whole = node.emit(relax.op.split(node.tensor(0), ends[1:-1], axis))
    return [node.emit(relax.TupleGetItem(whole, place)) for place in range(len(sizes))]


def _slice(node: Node) -> Any:
    parts = [node.parameter(n, p) for p, n in enumerate(("starts", "ends", "axes", "steps"), 1)]
    starts, ends, axes, steps = parts
    if starts is None or ends is None:
        node.refuse("it has no starts and ends")
    extents = node.shape(0)
    axes = list(range(len(starts))) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    found = node.tensor(0)
    chosen: list[tuple[int, int, int]] = []
    kept = []
    for start, end, step, given in zip(starts, ends, steps, axes, strict=True):
        axis = node.counted(given, len(extents))
        extent = extents[axis]
        if not isinstance(extent, int):
            if (start, step) == (0, 1) and end >= 2**31 - 1:
                continue
            node.refuse("it takes some of the rows of a request")
        rows = range(extent)[slice(start, None if step < 0 and end <= -extent - 1 else end, step)]
        if step == 1 and len(rows):
            chosen.append((rows.start, rows.stop, axis))
        elif len(rows) != extent or step != 1:
            kept.append((axis, rows))
    if chosen:
        begins, stops, at = (list(column) for column in zip(*chosen, strict=True))
        found = node.emit(relax.op.strided_slice(found, at, begins, stops))
    for axis, rows in kept:
        if not len(rows):
            node.refuse("its result is empty")
        found = node.emit(relax.op.take(found, Known(np.array(rows, np.int64)).constant, axis))
    return found


def _concat(node: Node) -> Any:
    axis = node.axis("axis", 1 if node.opset < 4 else 0)
    tensors = [
        node.tensor(place) for place in range(len(node.inputs)) if node.shape(place)[axis] != 0
    ]
    return tensors[0] if len(tensors) == 1 else relax.op.concat(tensors, axis)


def _identity(node: Node) -> Any:
    return node.inputs[0]


def _dropout(node: Node) -> Any:
    training, ratio = node.known(2), node.known(1)
    if node.has(2) and training is None:
        node.refuse("its training_mode must be a constant")
    if training is not None and training.any() and (ratio is None or ratio.any()):
        node.refuse("it drops at random, as in training: export the model for inference")
    if len(node.outputs) < 2 or not node.outputs[1]:
        return node.inputs[0]
    ones = Known(np.ones((), bool)).constant
    return [node.inputs[0], relax.op.broadcast_to(ones, relax.ShapeExpr(list(node.shape(0))))]


def _range(node: Node) -> Any:
    node.refuse("its limits depend on data or on the count of rows, and so does its length")


def _depth_to_space(node: Node) -> Any:
    rows, channels, height, width = node.shape(0)
    size = node.integer("blocksize", 1)
    depth = channels // size**2
    if node.text("mode", "DCR") == "DCR":
        split, axes = [rows, size, size, depth, height, width], [0, 3, 4, 1, 5, 2]
    else:
        split, axes = [rows, depth, size, size, height, width], [0, 1, 4, 2, 5, 3]
    parts = node.emit(relax.op.permute_dims(node.reshape(node.tensor(0), split), axes))
    return node.reshape(parts, [rows, depth, height * size, width * size])


def _space_to_depth(node: Node) -> Any:
    rows, channels, height, width = node.shape(0)
    size = node.integer("blocksize", 1)
    split = [rows, channels, height // size, size, width // size, size]
    parts = node.reshape(node.tensor(0), split)
    axes = [0, 3, 5, 1, 2, 4] if node.text("mode", "DCR") == "DCR" else [0, 1, 3, 5, 2, 4]
    parts = node.emit(relax.op.permute_dims(parts, axes))
    return node.reshape(parts, [rows, channels * size**2, height // size, width // size])


def _reverse_sequence(node: Node) -> Any:
    """y[.., t, ..] = x[.., length - 1 - t, ..] in front of a row's length, x behind."""
    batch, time = node.integer("batch_axis", 1), node.integer("time_axis", 0)
    extents = node.shape(0)
    steps = extents[time]
    if not isinstance(steps, int):
        node.refuse("its time axis is the batch: export it with the batch first")
    wide = [1] * len(extents)
    wide[batch] = extents[batch]
    lengths = node.reshape(node.cast(node.tensor(1), "int64"), wide)
    column = [1] * len(extents)
    column[time] = steps
    steps_at = Known(np.arange(steps, dtype=np.int64).reshape(column)).constant
    back = node.emit(relax.op.subtract(lengths, node.scalar(1, "int64")))
    back = node.emit(relax.op.subtract(back, steps_at))
    inside = node.emit(relax.op.less(steps_at, lengths))
    at = node.emit(relax.op.where(inside, back, steps_at))
    wide_at = node.emit(relax.op.broadcast_to(at, relax.ShapeExpr(list(extents))))
    return relax.op.gather_elements(node.tensor(0), wide_at, time)


def _eye_like(node: Node) -> Any:
    extents = node.shape(0)
    if not all(isinstance(extent, int) for extent in extents):
        node.refuse("a row of its result depends on the row's number")
    dtype = element_type(node.attributes["dtype"]) if "dtype" in node.attributes else node.dtype(0)
    return Known(np.eye(extents[0], extents[1], node.integer("k", 0)).astype(dtype))


def _rows(node: Node) -> Any:
    """A value of extent one on `axis`, for each row of the batch."""
    extents = list(node.shape(0))
    extents[node.integer("axis", 0)] = node.batch
    return relax.op.broadcast_to(node.tensor(0), relax.ShapeExpr(extents))


# Operators of our own, which rewritings of the graph put in.
OWN: dict[str, Callable[[Node], Any]] = {ROWS: _rows}

SHAPES: dict[str, Callable[[Node], Any]] = {
    "Concat": _concat,
    "ConstantOfShape": _constant_of_shape,
    "DepthToSpace": _depth_to_space,
    "Dropout": _dropout,
    "Expand": _expand,
    "EyeLike": _eye_like,
    "Flatten": _flatten,
    "Identity": _identity,
    "Range": _range,
    "Reshape": _reshape,
    "ReverseSequence": _reverse_sequence,
    "Slice": _slice,
    "SpaceToDepth": _space_to_depth,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
