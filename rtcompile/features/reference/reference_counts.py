"""What became of values, in plain Python: the counts that kernels and the encoder are held to.

    defaulted    rows or elements without a value of their own; where a feature has exactly
                 `value_dim` numbers, the places that took the default's
    unparsed     values that are there and cannot be read: tokens that are no number where one is
                 needed, look-ups that find nothing in a map of which something cannot be read, a
                 sequence or a mask that has fewer elements than what it belongs to

A token behind the last value that counts is not looked at.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from rtcompile.features.column_specs import column_readers
from rtcompile.features.numbers import parse_float, parse_int
from rtcompile.features.operators import (
    BoolMask,
    Combine,
    Expr,
    KvDotProduct,
    Lookup,
    Match,
    Values,
)
from rtcompile.features.plan import Feature, FeaturePlan, Input, NumBuckets
from rtcompile.features.reference.reference_cells import Cells, element_cells, spreads
from rtcompile.features.reference.reference_numbers import normalized
from rtcompile.features.reference.reference_operators import (
    input_numbers,
    input_tokens,
    input_value,
    map_text,
    number_values,
    output_values,
    raw_value,
    text_values,
)
from rtcompile.features.types.match_feature import look_up_pair
from rtcompile.features.values import (
    Raw,
    elements,
    joined,
    key_values,
    split,
    token_texts,
    unread_entries,
    weighted_tokens,
)
from rtcompile.runtime.encoding.plain_values import plain
from rtcompile.runtime.encoding.raw_values import listed

__all__ = ["count_feature", "counts"]

_MAP_SEPARATOR = b"\x1d"


def counts(plan: FeaturePlan, columns: Mapping[str, Sequence[Raw]]) -> dict[str, dict[str, int]]:
    """Of every feature of a plan. All columns have a value a row."""
    read = {name: [plain(raw) for raw in listed(columns[name])] for name in columns}
    rows = max(map(len, read.values()), default=0)
    found = {feature.name: count_feature(feature, read, rows) for feature in plan.features}
    groups = dict.fromkeys(f.sequence.group for f in plan.features if f.sequence and f.is_grouped)
    for group in groups:
        members = [f for f in plan.features if f.sequence and f.sequence.group == group]
        for row in range(rows):
            for name, count in _unequal_members(members, read, row).items():
                found[name]["unparsed"] += count
    return found


def count_feature(
    feature: Feature, columns: Mapping[str, Sequence[Raw]], rows: int
) -> dict[str, int]:
    """Of one feature over `rows` rows."""
    defaulted = unparsed = 0
    for row in range(rows):
        cells = Cells({c: columns[c.name][row] for c in feature.columns})
        entries = [cells] if feature.sequence is None else element_cells(feature, cells)
        if feature.sequence is not None and not feature.is_grouped:
            unparsed += _unequal(feature, cells)
        for place, entry in enumerate(entries):
            defaulted += _missing(feature, entry)
            unparsed += len(_unread(feature, entry, place == 0))
    return {"defaulted": defaulted, "unparsed": unparsed}


def _missing(feature: Feature, cells: Cells) -> int:
    """Places of an entry that take the default."""
    if not feature.numeric:
        pairs = text_values(feature, cells)
        if isinstance(feature.bucketizer, NumBuckets):
            pairs = [pair for pair in pairs if parse_int(pair[0]) is not None]
        return int(not pairs)
    numbers = list(number_values(feature, cells))
    if feature.exact:
        numbers = (numbers + [None] * feature.value_dim)[: feature.value_dim]
        return sum(normalized(feature, n) is None for n in numbers)
    return int(all(normalized(feature, n) is None for n in numbers))


def _unequal_members(
    members: Sequence[Feature], columns: Mapping[str, Sequence[Raw]], row: int
) -> dict[str, int]:
    """By feature of a group: its columns with fewer elements than the group's longest."""
    lengths: dict[str, dict[str, tuple[int, bool]]] = {}
    for feature in members:
        cells = Cells({c: columns[c.name][row] for c in feature.columns})
        lengths[feature.name] = _lengths(feature, cells)
    longest = max(n for one in lengths.values() for n, _ in one.values())
    return {
        name: sum(n != longest and not empty for n, empty in one.values())
        for name, one in lengths.items()
    }


def _unequal(feature: Feature, row: Cells) -> int:
    """Sequences of a row that have fewer elements than its longest."""
    lengths = _lengths(feature, row).values()
    longest = max((n for n, _ in lengths), default=1)
    wide = spreads(feature.operator)
    return sum(n != longest and not empty and not (wide and n == 1) for n, empty in lengths)


def _lengths(feature: Feature, row: Cells) -> dict[str, tuple[int, bool]]:
    """By sequence column: elements of a row, and whether they are one that is empty."""
    found = {}
    for owner, column in column_readers(feature):
        spec = owner.sequence or feature.sequence
        if column.sequence and spec is not None:
            parts = elements(row.values[column], spec.delimiter, spec.length)
            found[column.name] = len(parts), len(parts) == 1 and _is_empty(parts[0])
    return found


def _is_empty(value: Raw) -> bool:
    return not joined(value)


# -- values that cannot be read -------------------------------------------------------------------


def _unread(feature: Feature, cells: Cells, first: bool) -> list[Raw]:
    """Those of an entry, of the features that it reads too.

    `first`: whether it is the first of its row. Numbers and weights are read while their column is
    encoded, those of a plain column once a row.
    """
    found: list[Raw] = []
    for read in feature.inputs:
        if isinstance(read, Feature):
            found += _unread_output(read, cells, first)
    operator = feature.operator
    if isinstance(operator, Lookup | Match):
        found += _unread_look_ups(feature, cells)
    elif isinstance(operator, Combine):
        table = None if operator.value_map is None else dict(operator.value_map)
        given = input_tokens(feature, 0, cells)
        found += [t for t in given if (parse_float(t) is None if table is None else t not in table)]
    elif isinstance(operator, Expr):
        found += _unread_variables(feature, cells, first)
    elif isinstance(operator, BoolMask):
        found += _unread_mask(feature, cells)
    elif isinstance(operator, KvDotProduct):
        for index in _encoded_now(feature, first):
            raw = input_value(feature, index, cells)
            weighted_tokens(raw, feature.separator, operator.kv_delimiter, found.append)
    elif isinstance(operator, Values) and feature.numeric:
        found += _no_numbers(feature, 0, cells, first)
    elif isinstance(operator, Values) and feature.weighted and _encoded_now(feature, first):
        raw = input_value(feature, 0, cells)
        weighted_tokens(raw, feature.separator, feature.kv_separator, found.append)
    if not feature.numeric and isinstance(feature.bucketizer, NumBuckets):
        found += _no_integers(feature, (token for token, _ in text_values(feature, cells)))
    elif isinstance(feature.bucketizer, NumBuckets):
        found += _no_ids(feature, number_values(feature, cells))
    return found


def _encoded_now(feature: Feature, first: bool) -> list[int]:
    """Inputs that are columns whose values are counted at an entry."""
    return [
        index
        for index, read in enumerate(feature.inputs)
        if isinstance(read, Input) and (first or read.sequence)
    ]


def _unread_output(read: Feature, cells: Cells, first: bool) -> list[Raw]:
    if read.sequence is not None and not cells.element:
        entries = enumerate(element_cells(read, cells))
        return [one for place, entry in entries for one in _unread(read, entry, place == 0)]
    return _unread(read, cells, first)


def _no_integers(feature: Feature, tokens: Iterable[bytes]) -> list[Raw]:
    kept, found = 0, list[Raw]()
    for token in tokens:
        if feature.value_dim and kept >= feature.value_dim:
            break
        if parse_int(token) is None:
            found.append(token)
        else:
            kept += 1
    return found


def _no_ids(feature: Feature, numbers: Iterable[float | None]) -> list[Raw]:
    kept, found = 0, list[Raw]()
    for number in numbers:
        if feature.value_dim and kept >= feature.value_dim:
            break
        is_id = normalized(feature, number) is not None
        if not is_id and number is not None and not math.isnan(number):
            found.append(number)
        kept += feature.exact or is_id
    return found


def _no_numbers(feature: Feature, index: int, cells: Cells, first: bool) -> list[Raw]:
    """Tokens of an input that are no numbers."""
    read = feature.inputs[index]
    if isinstance(read, Input) and index not in _encoded_now(feature, first):
        return []
    if isinstance(read, Feature):
        texts = [value for value in output_values(read, cells) if isinstance(value, bytes)]
        parts = [token for text in texts for token in split(text, feature.separator)]
    else:
        raw = raw_value(read, cells)
        if isinstance(raw, bool | int | float):
            return []
        parts = token_texts(raw, feature.separator)
    return [part for part in parts if part and parse_float(part) is None]


def _unread_variables(feature: Feature, cells: Cells, first: bool) -> list[Raw]:
    found: list[Raw] = []
    sizes = []
    for index in range(len(feature.inputs)):
        found += _no_numbers(feature, index, cells, first)
        numbers = input_numbers(feature, index, cells)
        sizes.append(sum(n is not None and not math.isnan(n) for n in numbers))
    return found + [size for size in sizes if 1 < size < max(sizes)]


def _unread_mask(feature: Feature, cells: Cells) -> list[Raw]:
    values, mask = (input_tokens(feature, index, cells, keep=True) for index in (0, 1))
    kept, found = 0, list[Raw]()
    for place in range(max(len(values), len(mask))):
        if feature.value_dim and kept >= feature.value_dim:
            break
        if place >= min(len(values), len(mask)):
            found.append(mask)
            break
        word = mask[place]
        number = parse_float(word)
        if word and number is None and word.lower() not in (b"true", b"false"):
            found.append(word)
        kept += bool(values[place]) and (word.lower() == b"true" if number is None else number != 0)
    return found


def _unread_look_ups(feature: Feature, cells: Cells) -> list[Raw]:
    """Look-ups that find no number, or nothing where something cannot be read."""
    operator = feature.operator
    assert isinstance(operator, Lookup | Match)
    limit = 0 if feature.numeric and operator.combiner else feature.value_dim
    kept, found = 0, list[Raw]()
    for hits, bad in _look_ups(feature, cells):
        if limit and kept >= limit:
            break
        if not hits and bad:
            found.append(bad[-1])
        for value in hits:
            if limit and kept >= limit and not _is_wild(feature):
                break
            number = parse_float(value)
            if feature.numeric and number is None:
                found += [value] if value else []
            elif feature.numeric:
                kept += feature.exact or normalized(feature, number) is not None
            elif not isinstance(feature.bucketizer, NumBuckets) or parse_int(value) is not None:
                kept += bool(value) or _shows(feature)
    return found


def _is_wild(feature: Feature) -> bool:
    return isinstance(feature.operator, Match) and feature.operator.wild


def _shows(feature: Feature) -> bool:
    operator = feature.operator
    return isinstance(operator, Match) and (operator.show_first or operator.show_second)


def _look_ups(feature: Feature, cells: Cells) -> Iterable[tuple[list[bytes], list[bytes]]]:
    """(values, what cannot be read on the way to them) of each key, or pair of keys."""
    operator = feature.operator
    firsts = input_tokens(feature, 1, cells)
    if isinstance(operator, Match):
        text = map_text(feature, cells)
        for first in firsts:
            for second in input_tokens(feature, 2, cells):
                yield look_up_pair(operator, text, first, second)
        return
    raw = input_value(feature, 0, cells)
    table = key_values(raw, _MAP_SEPARATOR, b":")
    bad = unread_entries(raw, _MAP_SEPARATOR, b":")
    for key in firsts:
        yield [table[key]] if key in table else [], bad
