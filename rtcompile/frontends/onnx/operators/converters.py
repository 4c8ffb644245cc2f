"""The table of converters: (domain, operator) -> a function of a node that gives its outputs.

A family of operators has a file, and a table in it; what is in none of them is left to
`tvm_converters.py`, or to the function that ONNX defines the operator by.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtcompile.frontends.onnx.einsum import EINSUM
from rtcompile.frontends.onnx.exponential_units import EXPONENTIAL_UNITS
from rtcompile.frontends.onnx.operators.bags import BAG_CONVERTERS
from rtcompile.frontends.onnx.operators.cumulative import CUMULATIVE
from rtcompile.frontends.onnx.operators.deviations import DEVIATIONS
from rtcompile.frontends.onnx.operators.elementwise import ELEMENTWISE
from rtcompile.frontends.onnx.operators.indexing import INDEXING
from rtcompile.frontends.onnx.operators.linear_models import LINEAR_MODELS
from rtcompile.frontends.onnx.operators.log_sum_exp import LOG_SUM_EXP
from rtcompile.frontends.onnx.operators.node import Node
from rtcompile.frontends.onnx.operators.normalization import NORMALIZATION
from rtcompile.frontends.onnx.operators.padding import PADDING
from rtcompile.frontends.onnx.operators.pooling import POOLING
from rtcompile.frontends.onnx.operators.recurrence import RECURRENCES
from rtcompile.frontends.onnx.operators.reductions import REDUCTIONS
from rtcompile.frontends.onnx.operators.resizing import RESIZING
from rtcompile.frontends.onnx.operators.scatter import SCATTER
from rtcompile.frontends.onnx.operators.selection import SELECTION
from rtcompile.frontends.onnx.operators.shapes import OWN, SHAPES
from rtcompile.frontends.onnx.rewrite.settle_shapes import DOMAIN

__all__ = ["CONVERTERS"]

CONVERTERS: dict[tuple[str, str], Callable[[Node], Any]] = {
    ("", operator): converter
    for family in (
        *(CUMULATIVE, DEVIATIONS, ELEMENTWISE, INDEXING, NORMALIZATION, PADDING, POOLING),
        *(RECURRENCES, LOG_SUM_EXP, REDUCTIONS, RESIZING, SCATTER, SELECTION, SHAPES),
        *(EINSUM, EXPONENTIAL_UNITS),
    )
    for operator, converter in family.items()
}
CONVERTERS |= {("ai.onnx.ml", operator): c for operator, c in LINEAR_MODELS.items()}
CONVERTERS |= {(DOMAIN, operator): c for operator, c in {**OWN, **BAG_CONVERTERS}.items()}
