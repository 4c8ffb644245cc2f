"""Bags of a table's rows, which rewritings of the graph put in."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tvm import relax

from rtcompile.frontends.onnx.operators.node import Node
from rtcompile.frontends.onnx.rewrite.bag_function import BAGS, NO_PADDING
from rtcompile.relay_passes.dialect.embedding_bags import BagForm

__all__ = ["BAG_CONVERTERS"]


def _bag(mode: str, node: Node) -> Any:
    table = node.constant(0, "table")
    padding = node.integer("padding", NO_PADDING)
    form = BagForm(mode, None if padding == NO_PADDING else padding, node.number("empty", 0.0))
    rows = relax.TensorType([node.shape(2)[0], table.shape[1]], "float32")
    return relax.op.call_dps_packed(form.name, relax.Tuple(node.tensors()), out_ty=rows)


BAG_CONVERTERS: dict[str, Callable[[Node], Any]] = {
    operator: partial(_bag, mode) for operator, mode in BAGS.items()
}
