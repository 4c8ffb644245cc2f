"""expr_feature in TIR: straight arithmetic over the numbers of several columns.

without vector functions    for j in range(longest): put(f(a[j or 0], b[j or 0], ...))
with them                   put(f(a[0], ..., dot(a, b), ...))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.features.normalize import compile_expression
from rtcompile.codegen.features.tir import Cell, i64
from rtcompile.codegen.features.vectors import Vector
from rtcompile.features.expression import Expression, has_vectors

__all__ = ["emit_expression"]


def emit_expression(
    inputs: list[Vector],
    expression: Expression,
    wanted: Callable[[], Any],
    put: Callable[[Any, Any], None],
) -> None:
    """Emit `put` for every result. An input without a number makes none."""
    vectors = {str(index): vector for index, vector in enumerate(inputs)}
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
