"""custom_feature: operators by name. Built in so far: SeqExpr.

SeqExpr computes a formula for each element of a sequence. Its inputs are sequences, of which those
with one element count for all, or plain columns. The formula is an expression over their names, or
spherical_distance, which takes two longitudes and latitudes in the order of the inputs.
"""

from __future__ import annotations

from rtcompile.features.base import Context, make_feature
from rtcompile.features.expression import Call, Expression, Number, Variable, parse_expression
from rtcompile.features.operators import Expr
from rtcompile.features.plan import Feature
from rtcompile.features.schema import CustomSchema

__all__ = ["OPERATORS", "custom_feature"]

OPERATORS = ("SeqExpr",)


def custom_feature(schema: CustomSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    listed = [schema.expression] if isinstance(schema.expression, str) else schema.expression
    inputs = context.inputs(schema, [(f"expression[{i}]", text) for i, text in enumerate(listed)])
    if schema.operator_name not in OPERATORS:
        context.problem(
            "operator_name",
            f"{schema.operator_name!r} is not supported yet; supported are {', '.join(OPERATORS)}",
        )
    if context.sequence is None:
        context.problem("operator_name", "SeqExpr needs a sequence: is_sequence, or a group")
    names = [text.rpartition(":")[2] for text in listed]
    expression = context.attempt("formula", lambda: _formula(schema, names))
    return make_feature(
        schema,
        name,
        context,
        Expr(expression or Number(0.0), spread=True),
        inputs,
        numeric=True,
        value_dim=schema.value_dim or 0,
    )


def _formula(schema: CustomSchema, names: list[str]) -> Expression:
    extra = schema.model_extra or {}
    formula = extra.get("formula")
    unknown = [key for key in extra if key != "formula"]
    if not isinstance(formula, str) or unknown:
        raise ValueError("SeqExpr takes a formula, and no other key of its own")
    if formula != "spherical_distance":
        return parse_expression(formula, names)
    if len(names) != 4:
        raise ValueError("spherical_distance takes four inputs: lng1, lat1, lng2, lat2")
    return Call("sphere_dist", tuple(map(Variable, names)))
