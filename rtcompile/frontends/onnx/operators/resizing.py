"""Resize and Upsample: along each axis, places of the result are sums of a few of the operand's.

    y[.., i, ..] = sum over taps k of x[.., at[i, k], ..] * weight[i, k]

Places and weights come of onnx's own evaluator, asked for the rows of a unit matrix, so that every
mode and every way to count coordinates is the specification's. A place that it reads with a weight
of 0 is a tap too: an infinity or NaN there is NaN in the result, as in ONNX Runtime. Mode "nearest"
copies: its taps are one a place, and what lies beside it is not read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import helper
from onnx.reference import ReferenceEvaluator
from tvm import relax

from rtcompile.frontends.onnx.operators.node import Node
from rtcompile.frontends.onnx.operators.values import Known

__all__ = ["RESIZING"]

_KEPT = (
    *("mode", "coordinate_transformation_mode", "cubic_coeff_a", "exclude_outside", "nearest_mode"),
    "antialias",
)


def _resize(node: Node) -> Any:
    old = node.opset < 11
    extents = node.shape(0)
    if node.text("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        node.refuse("regions of interest are not supported: crop the tensor with Slice")
    if node.text("keep_aspect_ratio_policy", "stretch") != "stretch":
        node.refuse("keep_aspect_ratio_policy is not supported: export the model with scales")
    axes = node.integers("axes") or list(range(len(extents)))
    axes = [node.counted(axis, len(extents)) for axis in axes]
    by_size = not old and node.has(3)
    given: Any = node.attributes.get("scales")
    if given is None:
        place = 3 if by_size else 1 if old else 2
        given = node.constant(place, "sizes" if by_size else "scales").ravel()
    found = node.tensor(0)
    for axis, value in zip(axes, given, strict=True):
        extent = extents[axis]
        if not isinstance(extent, int):
            if not by_size and value == 1:
                continue
            node.refuse("it resizes the batch; give scales, and 1 for the first axis")
        if value != (extent if by_size else 1):
            found = _along(node, found, axis, *_matrix(node, extent, value, by_size, old))
    return found


def _matrix(
    node: Node, extent: int, value: Any, by_size: bool, old: bool
) -> tuple[np.ndarray, np.ndarray]:
    """[places, extent]: the result of a unit matrix, and whether a weight of 0 is among those that
    a place reads another with."""
    attributes = {n: v for n, v in node.attributes.items() if n in _KEPT}
    if old:
        attributes["coordinate_transformation_mode"] = "asymmetric"
        attributes["nearest_mode"] = "floor"
        attributes["mode"] = node.text("mode", "nearest").replace("bilinear", "linear")
    name = "sizes" if by_size else "scales"
    inputs = ["x", "", "", name] if by_size else ["x", "", name]
    model = helper.make_model(
        helper.make_graph(
            [helper.make_node("Resize", inputs, ["y"], **attributes)],
            "axis",
            [
                helper.make_tensor_value_info("x", 1, [extent]),
                helper.make_tensor_value_info(name, 7 if by_size else 1, [1]),
            ],
            [helper.make_tensor_value_info("y", 1, None)],
        ),
        opset_imports=[helper.make_opsetid("", 19)],
    )
    wanted = np.array([value], np.int64 if by_size else np.float32)
    evaluator = ReferenceEvaluator(model)

    def resized(x: np.ndarray) -> np.ndarray:
        return np.asarray(evaluator.run(None, {"x": x, name: wanted})[0])

    units = np.eye(extent, dtype=np.float32)
    matrix = np.stack([resized(unit) for unit in units], axis=1)
    if node.text("mode", "nearest") == "nearest":
        return matrix, np.zeros(matrix.shape, bool)
    with np.errstate(invalid="ignore"):
        zeros = [np.isnan(resized(np.where(unit, np.float32(np.inf), unit))) for unit in units]
    return matrix, np.stack(zeros, axis=1)


def _taps(matrix: np.ndarray, zeros: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """[places, taps]: what each reads, and by which weight.

    A place with fewer taps than others reads its heaviest in several shares: by a weight of 0 that
    would be NaN of an infinity.
    """
    found = []
    for weights, by_zero in zip(matrix, zeros, strict=True):
        taps = [(int(at), float(weights[at])) for at in np.flatnonzero(weights)]
        found.append(taps + [(int(at), 0.0) for at in np.flatnonzero(by_zero)] or [(0, 0.0)])
    count = max(map(len, found))
    shared = [_shared(taps, count) for taps in found]
    order = np.array([[at for at, _ in taps] for taps in shared], np.int64)
    return order, np.array([[weight for _, weight in taps] for taps in shared], np.float32)


def _shared(taps: list[tuple[int, float]], count: int) -> list[tuple[int, float]]:
    """As many taps as `count`, the heaviest of `taps` in equal shares."""
    at, weight = max(taps, key=lambda tap: abs(tap[1]))
    others = [tap for tap in taps if tap[0] != at or tap[1] != weight]
    shares = count - len(others)
    return [(at, weight / shares)] * shares + others


def _along(node: Node, x: Any, axis: int, matrix: np.ndarray, zeros: np.ndarray) -> Any:
    """The sum of taps along an axis."""
    dtype, rank = str(x.ty.dtype), len(node.extents_of(x))
    order, weights = _taps(matrix, zeros)
    total = None
    for tap in range(order.shape[1]):
        places = Known(np.ascontiguousarray(order[:, tap])).constant
        part = node.emit(relax.op.take(x, places, axis))
        if not (weights[:, tap] == 1).all():
            column = [-1 if at == axis else 1 for at in range(rank)]
            factor = node.scalar(weights[:, tap].reshape(column), dtype)
            part = node.emit(relax.op.multiply(part, factor))
        total = part if total is None else node.emit(relax.op.add(total, part))
    return total


RESIZING: dict[str, Callable[[Node], Any]] = {"Resize": _resize, "Upsample": _resize}
