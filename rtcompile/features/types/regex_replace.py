"""RegexReplace, a custom operator: every match of a regular expression becomes other text.

`regex_pattern` (also spelled `regex_patten`) in RE2's syntax, `replacement` with \\1 to \\9 for
its groups. It runs on the host (extra `text`). What comes of it is text for hashes, vocabularies
and, as a stub, for another feature; else it is read as numbers.
"""

from __future__ import annotations

from dataclasses import replace

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import TEXT_BUCKETIZERS, make_feature
from rtcompile.features.conversion.custom_operator import operator_inputs, text_parameters
from rtcompile.features.conversion.schema import CustomSchema
from rtcompile.features.operators import Values
from rtcompile.features.plan import Feature, Input
from rtcompile.runtime.encoding.text_steps import ReplaceRegex, prepare

__all__ = ["regex_replace"]

_SPELLINGS = ("regex_pattern", "regex_patten")


def regex_replace(schema: CustomSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    given = schema.model_extra or {}
    key = next((k for k in _SPELLINGS if k in given), _SPELLINGS[0])
    parameters = text_parameters(schema, context, {key: None, "replacement": ""})
    step = ReplaceRegex(parameters[key], parameters["replacement"])
    context.attempt(key, lambda: prepare((step,)))
    inputs = operator_inputs(schema, context, columns=True)
    if len(inputs) != 1:
        context.problem("expression", f"{len(inputs)} inputs; RegexReplace takes one")
    found = [replace(r, steps=(*r.steps, step)) for r in inputs if isinstance(r, Input)]
    if len(found) != len(inputs):
        context.problem("expression", "RegexReplace reads a column")
    bucketized = any(getattr(schema, key) is not None for key in TEXT_BUCKETIZERS)
    numeric = not bucketized and not schema.stub_type
    return make_feature(
        schema,
        name,
        context,
        Values(),
        tuple(found),
        numeric=numeric,
        value_dim=schema.value_dim or 0,
    )
