"""raw_feature: numbers, normalized, perhaps bucketized by boundaries."""

from __future__ import annotations

import math
from itertools import pairwise

from rtcompile.features.base import Context, embedding_of, input_column, split_default
from rtcompile.features.expression import parse_expression
from rtcompile.features.plan import (
    Boundaries,
    ExpressionNormalizer,
    Feature,
    Log10Normalizer,
    MinMaxNormalizer,
    Normalizer,
    ZScoreNormalizer,
)
from rtcompile.features.schema import RawSchema

__all__ = ["parse_normalizer", "raw_feature"]

_METHODS = ("log10", "zscore", "minmax", "expression")


def raw_feature(schema: RawSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    bucketizer = None
    if schema.boundaries is not None:
        bucketizer = Boundaries(tuple(schema.boundaries))
        ordered = all(a < b for a, b in pairwise(schema.boundaries))
        if not schema.boundaries or not ordered or not all(map(math.isfinite, schema.boundaries)):
            context.problem("boundaries", "finite numbers in strictly increasing order are needed")
    normalizer = None
    text = schema.normalizer
    if text is not None:
        normalizer = context.attempt("normalizer", lambda: parse_normalizer(text))
    return Feature(
        name=name,
        kind="raw",
        input=input_column(schema, context),
        value_type=schema.value_type,
        separator=schema.separator.encode(),
        default=_default(schema, context),
        value_dim=schema.value_dim,
        weighted=False,
        kv_separator=b":",
        prefix=b"",
        bucketizer=bucketizer,
        normalizer=normalizer,
        sequence=context.sequence,
        embedding=embedding_of(schema, name, bucketizer),
        path=context.path,
    )


def _default(schema: RawSchema, context: Context) -> tuple[bytes, ...]:
    default = "0" if schema.default_value is None else schema.default_value
    values = split_default(default, schema.separator)
    for value in values:
        try:
            float(value)
        except ValueError:
            context.problem("default_value", f"{value.decode()!r} is not a number")
    if len(values) not in (0, 1, schema.value_dim):
        context.problem("default_value", f"{len(values)} values; give one, or value_dim of them")
    return values


def parse_normalizer(text: str) -> Normalizer:
    """`method=NAME,key=value,...`. Raises ValueError that says what is allowed."""
    head, marker, expression = text.partition("expr=")
    fields = dict(_pair(part) for part in head.split(",") if part.strip())
    method = fields.pop("method", "")
    if method == "expression":
        if not marker or fields:
            raise ValueError("method=expression takes expr=... and nothing else")
        return ExpressionNormalizer(parse_expression(expression, ["x"]))
    if marker or method not in _METHODS:
        raise ValueError(f"method {method!r} is not allowed; use one of {', '.join(_METHODS)}")
    numbers = {key: _number(key, value) for key, value in fields.items()}
    if method == "log10":
        _only(numbers, "threshold", "default")
        return Log10Normalizer(numbers.get("threshold", 1e-10), numbers.get("default", -10.0))
    if method == "zscore":
        _only(numbers, "mean", "standard_deviation")
        mean, deviation = numbers.get("mean", 0.0), numbers.get("standard_deviation", 1.0)
        if deviation == 0:
            raise ValueError("standard_deviation must not be 0")
        return ZScoreNormalizer(mean, deviation)
    _only(numbers, "min", "max")
    low, high = numbers.get("min", 0.0), numbers.get("max", 1.0)
    if low == high:
        raise ValueError("min and max must differ")
    return MinMaxNormalizer(low, high)


def _pair(part: str) -> tuple[str, str]:
    key, equals, value = part.partition("=")
    if not equals:
        raise ValueError(f"{part.strip()!r} is not of the form key=value")
    return key.strip(), value.strip()


def _number(key: str, text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{key}={text} is not a finite number")
    return value


def _only(numbers: dict[str, float], *allowed: str) -> None:
    for key in numbers:
        if key not in allowed:
            raise ValueError(f"unknown key {key!r}; allowed are {', '.join(allowed)}")
