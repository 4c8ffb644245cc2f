"""Normalizers: `method=NAME,key=value,...`."""

from __future__ import annotations

import math

from rtcompile.features.expression import parse_expression
from rtcompile.features.plan import (
    ExpressionNormalizer,
    Log10Normalizer,
    MinMaxNormalizer,
    Normalizer,
    ZScoreNormalizer,
)

__all__ = ["parse_normalizer"]

_METHODS = ("log10", "zscore", "minmax", "expression")


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
