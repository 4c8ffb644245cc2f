"""Resize and Upsample: along each axis, places of the result are sums of a few of the operand's.

    y[.., i, ..] = sum over taps k of x[.., at[i, k], ..] * weight[i, k]

Places and weights come of onnx's own evaluator, asked for the rows of a unit matrix, so that every
mode and every way to count coordinates is the specification's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from onnx import helper
from onnx.reference import ReferenceEvaluator
from tvm import relax

from rtcompile.frontends.onnx.node import Node
from rtcompile.frontends.onnx.values import Known

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
            found = _along(node, found, axis, _matrix(node, extent, value, by_size, old))
    return found


def _matrix(node: Node, extent: int, value: Any, by_size: bool, old: bool) -> np.ndarray:
    """The result of a unit matrix, [places, extent]."""
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
                helper.make_tensor_value_info("x", 1, [extent, extent]),
                helper.make_tensor_value_info(name, 7 if by_size else 1, [2]),
            ],
            [helper.make_tensor_value_info("y", 1, None)],
        ),
        opset_imports=[helper.make_opsetid("", 19)],
    )
    wanted = np.array([extent, value], np.int64) if by_size else np.array([1, value], np.float32)
    feeds = {"x": np.eye(extent, dtype=np.float32), name: wanted}
    matrix: np.ndarray = np.asarray(ReferenceEvaluator(model).run(None, feeds)[0]).T
    return matrix


def _along(node: Node, x: Any, axis: int, matrix: np.ndarray) -> Any:
    """The sum of taps along an axis."""
    dtype, rank = str(x.ty.dtype), len(node.extents_of(x))
    taps = max(int((matrix != 0).sum(axis=1).max()), 1)
    order = np.argsort(matrix == 0, axis=1, kind="stable")[:, :taps]
    weights = np.take_along_axis(matrix, order, axis=1)
    total = None
    for tap in range(taps):
        places = Known(np.ascontiguousarray(order[:, tap]).astype(np.int64)).constant
        part = node.emit(relax.op.take(x, places, axis))
        if not (weights[:, tap] == 1).all():
            column = [-1 if at == axis else 1 for at in range(rank)]
            factor = node.scalar(weights[:, tap].reshape(column), dtype)
            part = node.emit(relax.op.multiply(part, factor))
        total = part if total is None else node.emit(relax.op.add(total, part))
    return total


RESIZING: dict[str, Callable[[Node], Any]] = {"Resize": _resize, "Upsample": _resize}
