"""The operators in plain Python: from the raw cells of one row, or element, to values.

`Cells` holds a raw value for each raw column that a feature reads. Text values are tokens with
their weights, numbers are floats or None where a token is no number; defaults, buckets and
normalizers come after, in `reference.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from rtcompile.features.bool_mask_feature import masked
from rtcompile.features.combine_feature import combine_values
from rtcompile.features.combo_feature import combine_tokens
from rtcompile.features.expr_feature import evaluate_all
from rtcompile.features.kv_dot_product import weighted_product
from rtcompile.features.lookup_feature import lookup_numbers, lookup_tokens
from rtcompile.features.match_feature import match_numbers, match_tokens
from rtcompile.features.numbers import parse_float
from rtcompile.features.operators import (
    BoolMask,
    Combine,
    Combo,
    Expr,
    KvDotProduct,
    Lookup,
    Match,
    Operator,
    Overlap,
    Values,
)
from rtcompile.features.overlap_feature import overlap
from rtcompile.features.plan import Constant, Feature, Input
from rtcompile.features.values import (
    Raw,
    is_list,
    key_values,
    pairs_of,
    to_bytes,
    tokens,
    weighted_tokens,
)

__all__ = ["Cells", "number_values", "spreads", "text_values"]

Cells = dict[Input, Raw]

_MAP_SEPARATOR = b"\x1d"


def spreads(operator: Operator) -> bool:
    """Whether a sequence column with one element counts for all elements."""
    return isinstance(operator, Expr) and operator.spread


def text_values(feature: Feature, cells: Cells) -> list[tuple[bytes, float]]:
    """The tokens of a text feature, before prefix, default and buckets."""
    operator = feature.operator
    if isinstance(operator, Values) and feature.weighted:
        raw = _raw(feature.inputs[0], cells)
        return weighted_tokens(raw, feature.separator, feature.kv_separator)
    return [(token, 1.0) for token in _text(feature, operator, cells)]


def _text(feature: Feature, operator: Operator, cells: Cells) -> list[bytes]:
    if isinstance(operator, Values):
        return _tokens(feature, 0, cells)
    if isinstance(operator, Combo):
        return combine_tokens([_tokens(feature, i, cells) for i in range(len(feature.inputs))])
    if isinstance(operator, Lookup):
        return lookup_tokens(operator, _table(feature, 0, cells), _tokens(feature, 1, cells))
    if isinstance(operator, Match):
        return match_tokens(operator, *_match_cells(feature, cells))
    assert isinstance(operator, BoolMask)
    return masked(_tokens(feature, 0, cells, keep=True), _tokens(feature, 1, cells, keep=True))


def number_values(feature: Feature, cells: Cells) -> list[float | None]:
    """The numbers of a numeric feature, before default and normalizer."""
    operator = feature.operator
    if isinstance(operator, Values):
        return _numbers(feature, 0, cells)
    return list(_computed(feature, operator, cells))


def _computed(feature: Feature, operator: Operator, cells: Cells) -> list[float]:
    if isinstance(operator, Lookup):
        return lookup_numbers(operator, _table(feature, 0, cells), _tokens(feature, 1, cells))
    if isinstance(operator, Match):
        return match_numbers(operator, *_match_cells(feature, cells))
    if isinstance(operator, Combine):
        return combine_values(operator, _tokens(feature, 0, cells))
    if isinstance(operator, Overlap):
        query, title = _tokens(feature, 0, cells), _tokens(feature, 1, cells)
        return [overlap(operator.method, query, title)]
    if isinstance(operator, KvDotProduct):
        return weighted_product(_weights(feature, 0, cells), _weights(feature, 1, cells))
    assert isinstance(operator, Expr)
    variables = {}
    for index, read in enumerate(feature.inputs):
        numbers = _numbers(feature, index, cells)
        name = read.name if isinstance(read, Feature) else read.variable
        variables[name] = [n for n in numbers if n is not None and not math.isnan(n)]
    return evaluate_all(operator, variables)


# -- inputs ---------------------------------------------------------------------------------


def _raw(read: Input | Constant | Feature, cells: Cells) -> Raw:
    """The raw value of an input; another feature's values are a list."""
    if isinstance(read, Constant):
        return read.value
    if isinstance(read, Input):
        return cells[read]
    if read.numeric:
        return [n for n in number_values(read, cells) if n is not None]
    found = [token for token, _ in text_values(read, cells)] or list(read.default)
    # Text that is still one value is split by who reads it.
    return found[0] if len(found) == 1 else found


def _tokens(feature: Feature, index: int, cells: Cells, keep: bool = False) -> list[bytes]:
    """The tokens of an input. `keep`: empty ones too, since their places count."""
    raw = _raw(feature.inputs[index], cells)
    if not keep:
        return tokens(raw, feature.separator)
    if is_list(raw):
        return [to_bytes(part) for part in raw]  # type: ignore[attr-defined]
    text = to_bytes(raw)
    return text.split(feature.separator) if text else []


def _numbers(feature: Feature, index: int, cells: Cells) -> list[float | None]:
    raw = _raw(feature.inputs[index], cells)
    if isinstance(raw, bool | int | float):
        return [float(raw)]
    if is_list(raw):
        return [parse_float(to_bytes(part)) for part in raw]  # type: ignore[attr-defined]
    return [parse_float(token) for token in tokens(raw, feature.separator)]


def _table(feature: Feature, index: int, cells: Cells) -> Mapping[bytes, bytes]:
    return key_values(_raw(feature.inputs[index], cells), _MAP_SEPARATOR, b":")


def _weights(feature: Feature, index: int, cells: Cells) -> dict[bytes, float]:
    operator = feature.operator
    assert isinstance(operator, KvDotProduct)
    raw = _raw(feature.inputs[index], cells)
    found: dict[bytes, float] = {}
    for key, weight in weighted_tokens(raw, feature.separator, operator.kv_delimiter):
        found.setdefault(key, weight)
    return found


def _match_cells(feature: Feature, cells: Cells) -> tuple[bytes, list[bytes], list[bytes]]:
    raw = _raw(feature.inputs[0], cells)
    if isinstance(raw, Mapping) or is_list(raw):
        # A map of the first level's keys to text of the second.
        text = b"|".join(key + b"^" + inner for key, inner in pairs_of(raw, b"^"))
    else:
        text = to_bytes(raw)
    return text, _tokens(feature, 1, cells), _tokens(feature, 2, cells)
