"""expr_feature in TIR: straight arithmetic over the numbers of several columns.

without vector functions    for j in range(longest): put(f(a[j], b[j], ...)), a[0] where it is the
                            only one, `fill` behind the last of several
with them                   put(f(a[0], ..., dot(a, b), ...))
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.features.normalize import compile_expression
from rtcompile.codegen.features.vectors import Vector
from rtcompile.features.expression import has_vectors
from rtcompile.features.operators import Expr

__all__ = ["emit_expression"]


def emit_expression(
    inputs: list[Vector],
    operator: Expr,
    wanted: Callable[[], Any],
    put: Callable[[Any, Any], None],
) -> None:
    """Emit `put` for every result. An input without a number makes none."""
    vectors = {str(index): vector for index, vector in enumerate(inputs)}
    fewest, most = i64(1), i64(1)
    for vector in vectors.values():
        fewest = T.Bind(tirx.min(fewest, vector.count))
        most = T.Bind(tirx.max(most, vector.count))
    results = i64(1) if has_vectors(operator.expression) else most
    count = T.Bind(tirx.Select(fewest > 0, results, i64(0)))
    fill = math.nan if operator.fill is None else operator.fill
    at = Cell("int64", i64(0))
    with T.While(tirx.And(at.get() < count, wanted())):
        place = T.Bind(at.get())
        values = {name: vector.spread(place, fill) for name, vector in vectors.items()}
        at.add(1)
        put(compile_expression(operator.expression, values, vectors), tirx.const(True, "bool"))
