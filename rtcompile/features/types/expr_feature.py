"""expr_feature: arithmetic over the numbers of several columns.

Where every variable has one number, so has the result. A variable with several makes as many
results, those with one counting for all; one with fewer than another is filled up with
`fill_missing`, by default NaN, and a result that is NaN is none. A vector function takes all
numbers of its variables at once, and makes the result one number. A variable without a number gives
nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import make_feature
from rtcompile.features.conversion.schema import ExprSchema
from rtcompile.features.evaluate import evaluate
from rtcompile.features.expression import (
    Number,
    by_position,
    has_vectors,
    parse_expression,
    renamed,
)
from rtcompile.features.operators import Expr
from rtcompile.features.plan import Feature

__all__ = ["evaluate_all", "expr_feature"]


def expr_feature(schema: ExprSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    given = [(f"variables[{i}]", text) for i, text in enumerate(schema.variables)]
    inputs = context.inputs(schema, given)
    names = [text.rpartition(":")[2] for text in schema.variables]
    expression = context.attempt(
        "expression",
        lambda: renamed(parse_expression(schema.expression, names), by_position(names)),
    )
    return make_feature(
        schema,
        name,
        context,
        Expr(expression or Number(0.0), fill=schema.fill_missing),
        inputs,
        numeric=True,
        value_dim=schema.value_dim or 0,
    )


def evaluate_all(operator: Expr, variables: Mapping[str, Sequence[float]]) -> list[float]:
    """The results; variable, the place of its input, -> its numbers."""
    counts = {len(numbers) for numbers in variables.values()}
    if 0 in counts:
        return []
    if has_vectors(operator.expression):
        firsts = {name: numbers[0] for name, numbers in variables.items()}
        return [evaluate(operator.expression, firsts, variables)]
    fill = math.nan if operator.fill is None else operator.fill
    return [
        evaluate(operator.expression, {n: _at(v, i, fill) for n, v in variables.items()})
        for i in range(max(counts))
    ]


def _at(numbers: Sequence[float], place: int, fill: float) -> float:
    if len(numbers) == 1:
        return numbers[0]
    return numbers[place] if place < len(numbers) else fill
