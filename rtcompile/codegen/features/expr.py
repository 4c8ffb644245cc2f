"""expr_feature in TIR: straight arithmetic over the numbers of several columns.

without vector functions    for j in range(longest): put(f(a[j or 0], b[j or 0], ...))
with them                   put(f(a[0], ..., dot(a, b), ...))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.features.inputs import InputView, Views
from rtcompile.codegen.features.normalize import compile_expression
from rtcompile.codegen.features.tir import Cell, i64
from rtcompile.codegen.features.vectors import Vector
from rtcompile.features.expression import Expression, has_vectors
from rtcompile.features.plan import Feature

__all__ = ["emit_expression"]


def emit_expression(
    views: Views,
    expression: Expression,
    wanted: Callable[[], Any],
    put: Callable[[Any, Any], None],
) -> None:
    """The columns come without missing numbers; one that has none makes no result."""
    vectors = {name: Vector(view) for name, view in _named(views)}
    fewest, most = i64(1), i64(1)
    fits: Any = tirx.const(True, "bool")
    for vector in vectors.values():
        fewest = T.Bind(tirx.min(fewest, vector.count))
        most = T.Bind(tirx.max(most, vector.count))
    whole = has_vectors(expression)
    if whole:
        count = T.Bind(tirx.Select(fewest > 0, i64(1), i64(0)))
    else:
        for vector in vectors.values():
            fits = tirx.And(fits, tirx.Or(vector.count == 1, vector.count == most))
        count = T.Bind(tirx.Select(tirx.And(fewest > 0, fits), most, i64(0)))
    at = Cell("int64", i64(0))
    with T.While(tirx.And(at.get() < count, wanted())):
        place = T.Bind(at.get())
        values = {name: vector.spread(place) for name, vector in vectors.items()}
        at.add(1)
        put(compile_expression(expression, values, vectors), tirx.const(True, "bool"))


def _named(views: Views) -> list[tuple[str, InputView]]:
    found = []
    for read, view in zip(views.feature.inputs, views.inputs, strict=True):
        assert isinstance(view, InputView)
        assert not isinstance(read, Feature)
        found.append((read.variable, view))
    return found
