"""Running sums and products along an axis.

y[.., i, ..] = sum of x[.., j, ..] for j <= i         exclusive: j < i; reverse: j >= i, j > i
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import te, tirx

from rtcompile.frontends.onnx.operators.node import Node

__all__ = ["CUMULATIVE"]

_WIDE = {"float16": "float32", "bfloat16": "float32"}


def _running(product: bool) -> Callable[[Node], Any]:
    def convert(node: Node) -> Any:
        extents = node.shape(0)
        given = int(node.constant(1, "axis").reshape(-1)[0])
        axis = node.counted(given, len(extents))
        if not isinstance(extents[axis], int):
            node.refuse("it runs over the rows of a request")
        exclusive, reverse = (bool(node.integer(name, 0)) for name in ("exclusive", "reverse"))
        dtype = node.dtype(0)
        x = node.cast(node.tensor(0), _WIDE.get(dtype, dtype))
        arguments = (axis, product, exclusive, reverse)
        name = "running_product" if product else "running_sum"
        found = node.block.emit_te(_compute, x, *arguments, primfunc_name_hint=name)
        return node.cast(found, dtype)

    return convert


def _compute(x: Any, axis: int, product: bool, exclusive: bool, reverse: bool) -> Any:
    step = te.reduce_axis((0, x.shape[axis]), "j")
    neutral = tirx.const(1 if product else 0, x.dtype)
    one: Any = (
        te.comm_reducer(lambda a, b: a * b, lambda t: tirx.const(1, t)) if product else te.sum
    )

    def running(*place: Any) -> Any:
        source = (*place[:axis], step, *place[axis + 1 :])
        own = place[axis]
        if reverse:
            inside = step > own if exclusive else step >= own
        else:
            inside = step < own if exclusive else step <= own
        return one(tirx.if_then_else(inside, x[source], neutral), axis=step)

    return te.compute(x.shape, running, name="running")


CUMULATIVE: dict[str, Callable[[Node], Any]] = {
    "CumProd": _running(product=True),
    "CumSum": _running(product=False),
}
