"""What every custom operator's conversion shares: its inputs and its parameters."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from rtcompile.features.conversion.config_context import Context, Inputs
from rtcompile.features.conversion.schema import CustomSchema

__all__ = ["operator_inputs", "text_parameters"]


def operator_inputs(
    schema: CustomSchema,
    context: Context,
    *,
    columns: bool = False,
    split_all: bool = False,
) -> Inputs:
    """The inputs, in order; see `Context.inputs`. `columns`: none may be another feature."""
    given = [(f"expression[{i}]", text) for i, text in enumerate(schema.texts)]
    only: Collection[str] = [key for key, _ in given] if columns else ()
    return context.inputs(schema, given, columns=only, split_all=split_all)


def text_parameters(
    schema: CustomSchema, context: Context, known: Mapping[str, str | None]
) -> dict[str, str]:
    """The operator's own keys, all texts. `known`: name -> default, None where it is required."""
    given = schema.model_extra or {}
    for key in given:
        if key not in known:
            allowed = ", ".join(known) or "none"
            context.problem(key, f"{schema.operator_name} has no such key; its own are: {allowed}")
    found = {}
    for key, default in known.items():
        value = given.get(key, default)
        if not isinstance(value, str):
            what = "required, but missing" if value is None else f"{value!r} is no text"
            context.problem(key, what)
            value = ""
        found[key] = value
    return found
