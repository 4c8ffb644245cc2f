"""The operators in plain Python: from the raw cells of one row, or element, to values.

Text values are tokens with their weights, numbers are floats or None where a token is no number;
defaults, buckets and normalizers come after.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from rtcompile.features.numbers import parse_float, parse_int
from rtcompile.features.operators import (
    BoolMask,
    CallLibrary,
    Combine,
    Combo,
    EditDistance,
    Expr,
    KvDotProduct,
    Lookup,
    Match,
    Operator,
    Overlap,
    Values,
)
from rtcompile.features.plan import Constant, Feature, Input, NumBuckets
from rtcompile.features.reference.reference_buckets import bucketize
from rtcompile.features.reference.reference_cells import Cells, element_cells
from rtcompile.features.reference.reference_numbers import finish
from rtcompile.features.types.bool_mask_feature import masked
from rtcompile.features.types.combine_feature import combine_values
from rtcompile.features.types.combo_feature import combine_tokens
from rtcompile.features.types.edit_distance import distance
from rtcompile.features.types.expr_feature import evaluate_all
from rtcompile.features.types.kv_dot_product import weighted_product
from rtcompile.features.types.library_operator import call_numbers, call_text
from rtcompile.features.types.lookup_feature import lookup_numbers, lookup_tokens
from rtcompile.features.types.match_feature import match_numbers, match_tokens
from rtcompile.features.types.overlap_feature import overlap
from rtcompile.features.values import (
    Raw,
    as_float,
    is_list,
    joined,
    key_values,
    map_entries,
    split,
    to_bytes,
    tokens,
    weighted_tokens,
)
from rtcompile.runtime.encoding.column_spec import processing
from rtcompile.runtime.encoding.raw_values import cut

__all__ = [
    "finished_numbers",
    "input_numbers",
    "input_tokens",
    "input_value",
    "map_text",
    "number_values",
    "output_values",
    "raw_value",
    "text_values",
    "weighted_ids",
]

_MAP_SEPARATOR = b"\x1d"
_EXACT = 1 << 53


def weighted_ids(feature: Feature, cells: Cells) -> list[tuple[int, float]]:
    """The ids of an entry with their weights."""
    if feature.numeric:
        return [(bucketize(feature, x), 1.0) for x in finished_numbers(feature, cells)]
    pairs = text_values(feature, cells)
    if isinstance(feature.bucketizer, NumBuckets):
        pairs = [(token, weight) for token, weight in pairs if parse_int(token) is not None]
    pairs = pairs or [(token, 1.0) for token in feature.default]
    pairs = pairs[: feature.value_dim or None]
    return [(bucketize(feature, token), weight) for token, weight in pairs]


def finished_numbers(feature: Feature, cells: Cells) -> list[float]:
    """The numbers of an entry, with defaults in place of missing ones, normalized."""
    return finish(feature, number_values(feature, cells))


def text_values(feature: Feature, cells: Cells) -> list[tuple[bytes, float]]:
    """The tokens of a text feature with their prefix, before default and buckets."""
    operator = feature.operator
    if isinstance(operator, Values) and feature.weighted:
        raw = raw_value(_column(feature, 0), cells)
        pairs = weighted_tokens(raw, feature.separator, feature.kv_separator)
    else:
        pairs = [(token, 1.0) for token in _text(feature, operator, cells)]
    return [(feature.prefix + token, weight) for token, weight in pairs]


def _text(feature: Feature, operator: Operator, cells: Cells) -> list[bytes]:
    if isinstance(operator, Values):
        return input_tokens(feature, 0, cells)
    if isinstance(operator, Combo):
        return combine_tokens([input_tokens(feature, i, cells) for i in range(len(feature.inputs))])
    if isinstance(operator, Lookup):
        return lookup_tokens(operator, _table(feature, 0, cells), input_tokens(feature, 1, cells))
    if isinstance(operator, Match):
        return match_tokens(operator, *_match_cells(feature, cells))
    if isinstance(operator, CallLibrary):
        texts = [_text_of(feature, i, cells) for i in range(len(feature.inputs))]
        found = split(call_text(operator, texts), feature.separator)
        return [token for token in found if token]
    assert isinstance(operator, BoolMask)
    return masked(
        input_tokens(feature, 0, cells, keep=True), input_tokens(feature, 1, cells, keep=True)
    )


def number_values(feature: Feature, cells: Cells) -> list[float | None]:
    """The numbers of a numeric feature, before default and normalizer."""
    operator = feature.operator
    if isinstance(operator, Values):
        return input_numbers(feature, 0, cells)
    return list(_computed(feature, operator, cells))


def _computed(feature: Feature, operator: Operator, cells: Cells) -> list[float]:
    if isinstance(operator, Lookup):
        return lookup_numbers(operator, _table(feature, 0, cells), input_tokens(feature, 1, cells))
    if isinstance(operator, Match):
        return match_numbers(operator, *_match_cells(feature, cells))
    if isinstance(operator, Combine):
        return combine_values(operator, input_tokens(feature, 0, cells))
    if isinstance(operator, Overlap):
        query, title = input_tokens(feature, 0, cells), input_tokens(feature, 1, cells)
        return [overlap(operator.method, query, title)]
    if isinstance(operator, CallLibrary):
        texts = [_text_of(feature, i, cells) for i in range(len(feature.inputs))]
        return call_numbers(operator, texts, feature.value_dim or 1)
    if isinstance(operator, EditDistance):
        return distance(operator, _text_of(feature, 0, cells), _text_of(feature, 1, cells))
    if isinstance(operator, KvDotProduct):
        return weighted_product(_weights(feature, 0, cells), _weights(feature, 1, cells))
    assert isinstance(operator, Expr)
    variables = {}
    for index in range(len(feature.inputs)):
        numbers = input_numbers(feature, index, cells)
        variables[str(index)] = [n for n in numbers if n is not None and not math.isnan(n)]
    return evaluate_all(operator, variables)


# -- inputs ---------------------------------------------------------------------------------


def raw_value(read: Input | Constant, cells: Cells) -> Raw:
    """The raw value of an input."""
    if isinstance(read, Constant):
        return read.value
    done = not read.steps or read.tokens_as_elements
    raw = cells.values[read]
    raw = cut(raw, weighted=True) if read.cut else raw
    return raw if done else processing(read.steps)(raw)


def output_values(read: Feature, cells: Cells) -> list[bytes | int | float]:
    """What another feature gives: ids, or without a bucketizer, texts or numbers.

    A plain feature that reads a sequence reads all its elements.
    """
    if read.sequence is not None and not cells.element:
        return [value for one in element_cells(read, cells) for value in output_values(read, one)]
    if read.sparse:
        return [code for code, _ in weighted_ids(read, cells)]
    if read.numeric:
        return list(finished_numbers(read, cells))
    found = [token for token, _ in text_values(read, cells)]
    return list(found[: read.value_dim or None] or read.default)


def _output_tokens(feature: Feature, read: Feature, cells: Cells) -> list[bytes]:
    """The same as text: texts are split by the reader, numbers are their digits."""
    found: list[bytes] = []
    for value in output_values(read, cells):
        if isinstance(value, bytes):
            found += [token for token in split(value, feature.separator) if token]
        elif not math.isnan(value):
            found.append(_digits(value))
    return found


def _digits(value: int | float) -> bytes:
    """A number as text: the fewest digits, 15 to 17, that read back as it."""
    if isinstance(value, int) or (value.is_integer() and abs(value) < _EXACT):
        return b"%d" % int(value)
    texts = (f"{value:.{precision}g}" for precision in (15, 16, 17))
    return next(text for text in texts if float(text) == value).encode()


def _column(feature: Feature, index: int) -> Input | Constant:
    """An input that is no feature; the config made sure of it."""
    read = feature.inputs[index]
    assert not isinstance(read, Feature)
    return read


def input_tokens(feature: Feature, index: int, cells: Cells, keep: bool = False) -> list[bytes]:
    """The tokens of an input. `keep`: empty ones too, since their places count."""
    read = feature.inputs[index]
    if isinstance(read, Feature):
        return _output_tokens(feature, read, cells)
    raw = raw_value(read, cells)
    if not keep:
        return tokens(raw, feature.separator)
    if is_list(raw):
        return [to_bytes(part) for part in raw]
    text = to_bytes(raw)
    return split(text, feature.separator) if text else []


def _text_of(feature: Feature, index: int, cells: Cells) -> bytes:
    """An input as one text."""
    return joined(raw_value(_column(feature, index), cells))


def input_value(feature: Feature, index: int, cells: Cells) -> Raw:
    """The raw value of an input that is no feature."""
    return raw_value(_column(feature, index), cells)


def input_numbers(feature: Feature, index: int, cells: Cells) -> list[float | None]:
    """The numbers of an input; None in place of a token that is none."""
    read = feature.inputs[index]
    if isinstance(read, Feature):
        return [n for value in output_values(read, cells) for n in _as_numbers(feature, value)]
    raw = raw_value(read, cells)
    if isinstance(raw, bool | int | float):
        return [as_float(raw)]
    if is_list(raw):
        return [parse_float(to_bytes(part)) for part in raw]
    return [parse_float(token) for token in tokens(raw, feature.separator)]


def _as_numbers(feature: Feature, value: bytes | int | float) -> list[float | None]:
    if isinstance(value, bytes):
        return [parse_float(token) for token in split(value, feature.separator) if token]
    return [float(value)]


def _table(feature: Feature, index: int, cells: Cells) -> Mapping[bytes, bytes]:
    return key_values(raw_value(_column(feature, index), cells), _MAP_SEPARATOR, b":")


def _weights(feature: Feature, index: int, cells: Cells) -> dict[bytes, float]:
    operator = feature.operator
    assert isinstance(operator, KvDotProduct)
    raw = raw_value(_column(feature, index), cells)
    found: dict[bytes, float] = {}
    for key, weight in weighted_tokens(raw, feature.separator, operator.kv_delimiter):
        found.setdefault(key, weight)
    return found


def map_text(feature: Feature, cells: Cells) -> bytes:
    """The map of maps of a match as text; a map of the first level's keys has it of the second."""
    raw = input_value(feature, 0, cells)
    entries = map_entries(raw)
    if entries is not None:
        return b"|".join(to_bytes(k) + b"^" + to_bytes(v) for k, v in entries if to_bytes(k))
    return joined(raw, b"|")


def _match_cells(feature: Feature, cells: Cells) -> tuple[bytes, list[bytes], list[bytes]]:
    tokens_of = [input_tokens(feature, index, cells) for index in (1, 2)]
    return map_text(feature, cells), tokens_of[0], tokens_of[1]
