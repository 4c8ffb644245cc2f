"""SeqExpr, a custom operator: a formula for each element of a sequence.

Its inputs are sequences, of which those with one element count for all. The formula is an
expression over their names, or spherical_distance, which takes two longitudes and latitudes in the
order of the inputs.
"""

from __future__ import annotations

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import make_feature
from rtcompile.features.conversion.custom_operator import operator_inputs, text_parameters
from rtcompile.features.conversion.schema import CustomSchema
from rtcompile.features.expression import (
    Call,
    Expression,
    Number,
    Variable,
    by_position,
    parse_expression,
    renamed,
)
from rtcompile.features.operators import Expr
from rtcompile.features.plan import Feature

__all__ = ["seq_expr"]


def seq_expr(schema: CustomSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    inputs = operator_inputs(schema, context, split_all=True)
    if context.sequence is None:
        context.problem("operator_name", "SeqExpr needs a sequence: is_sequence, or a group")
    names = [text.rpartition(":")[2] for text in schema.texts]
    formula = text_parameters(schema, context, {"formula": None})["formula"]
    expression = context.attempt("formula", lambda: _parsed(formula, names)) if formula else None
    return make_feature(
        schema,
        name,
        context,
        Expr(expression or Number(0.0), spread=True),
        inputs,
        numeric=True,
        value_dim=schema.value_dim or 0,
    )


def _parsed(formula: str, names: list[str]) -> Expression:
    if formula != "spherical_distance":
        return renamed(parse_expression(formula, names), by_position(names))
    if len(names) != 4:
        raise ValueError("spherical_distance takes four inputs: lng1, lat1, lng2, lat2")
    return Call("sphere_dist", tuple(Variable(str(i)) for i in range(4)))
