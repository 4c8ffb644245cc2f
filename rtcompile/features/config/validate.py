"""One feature of a config against its schema: every problem, those behind the first ones too."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pydantic import ValidationError

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import NUMBER_BUCKETIZERS, TEXT_BUCKETIZERS
from rtcompile.features.conversion.schema import FeatureSchema, problems_of
from rtcompile.features.plan import Feature

__all__ = ["converted"]

Convert = Callable[[FeatureSchema, Context], Feature]

_BUCKETIZERS = {*TEXT_BUCKETIZERS, *NUMBER_BUCKETIZERS, "bucketize_boundaries"}
# What a default value is read by.
_SHAPES = {"value_dim", "value_dimension", "separator"}


def converted(
    item: Mapping[str, Any], schema_type: type[FeatureSchema], context: Context, convert: Convert
) -> Feature | None:
    """The feature, or None where a key that it cannot be without is missing or wrong.

    Keys with problems are left out, and the rest is looked at for more.
    """
    given, wrong = dict(item), set[str]()
    try:
        schema = schema_type.model_validate(given)
    except ValidationError as error:
        context.problems.extend(problems_of(error, context.path, schema_type))
        wrong = {str(detail["loc"][0]) for detail in error.errors()}
        try:
            schema = schema_type.model_validate({k: given[k] for k in given if k not in wrong})
        except ValidationError:
            context.broken.add(str(item.get("feature_name")))
            return None
    first = len(context.problems)
    feature = convert(schema, context)
    found = context.problems[first:]
    context.problems[first:] = [p for p in found if not _follows(p, wrong, context.path)]
    return feature


def _follows(problem: str, wrong: set[str], path: str) -> bool:
    """Whether a problem is there only because `wrong` keys were left out."""
    if wrong & _BUCKETIZERS and problem.startswith(f"{path}: none is given"):
        return True
    keys = wrong | {"default_value"} if wrong & _SHAPES else wrong
    return any(problem.startswith(f"{path}.{key}:") for key in keys)
