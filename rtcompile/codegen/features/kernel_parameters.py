"""What differs from feature to feature of one kernel: scalars and constants, by name.

Two features share a kernel where everything but these is the same (`shape_key`). The kernel's code
asks for them by name; a feature that another reads has its own, under a prefix.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.codegen.features.bucketize import vocabulary_table
from rtcompile.codegen.features.map_look_up_kernel import has_single
from rtcompile.features.column_specs import column_spec
from rtcompile.features.operators import CallLibrary, Combine, KvDotProduct
from rtcompile.features.plan import (
    Boundaries,
    Constant,
    Feature,
    HashBucket,
    Input,
    Vocabulary,
)
from rtcompile.features.reference.reference_buckets import bucketize
from rtcompile.features.reference.reference_numbers import default_numbers
from rtcompile.runtime.encoding.operator_library import LibraryFunction
from rtcompile.runtime.encoding.raw_values import VALUE_SEPARATOR

__all__ = ["Slots", "collect_slots", "shape_key"]


@dataclass
class Slots:
    """Name -> value of what a kernel is called with, in order."""

    scalars: dict[str, int] = field(default_factory=dict)
    constants: dict[str, npt.NDArray[Any]] = field(default_factory=dict)


ColumnNumber = Callable[[Feature, Input | Constant | LibraryFunction], int]


def collect_slots(feature: Feature, column: ColumnNumber, prefix: str = "") -> Slots:
    """The slots of a feature. `column` gives the number of an input's encoded column."""
    slots = Slots()
    slots.scalars[f"{prefix}separator"] = feature.separator[0] if feature.separator else 0
    slots.scalars[f"{prefix}limit"] = feature.value_dim
    _defaults(slots, feature, prefix)
    _buckets(slots, feature, prefix)
    if feature.prefix and not feature.encodes_prefix:
        text = np.frombuffer(feature.prefix + bytes(16), np.uint8)
        slots.constants[f"{prefix}prefix"] = text
        slots.scalars[f"{prefix}prefix_size"] = len(feature.prefix)
    operator = feature.operator
    if isinstance(operator, CallLibrary):
        slots.scalars[f"{prefix}function"] = column(feature, operator.function)
        text = np.frombuffer(operator.parameters + bytes(1), np.uint8)
        slots.constants[f"{prefix}parameters"] = text
    if isinstance(operator, Combine) and operator.value_map is not None:
        table = tuple((word, i) for i, (word, _) in enumerate(operator.value_map))
        _table(slots, table, prefix)
        numbers = [number for _, number in operator.value_map]
        slots.constants[f"{prefix}map_numbers"] = np.array(numbers, np.float64)
    for index, read in enumerate(feature.inputs):
        if isinstance(read, Feature):
            inner = collect_slots(read, column, f"{prefix}{index}.")
            slots.scalars.update(inner.scalars)
            slots.constants.update(inner.constants)
        else:
            slots.scalars[f"{prefix}column_{index}"] = column(feature, read)
    return slots


def _defaults(slots: Slots, feature: Feature, prefix: str) -> None:
    if feature.numeric:
        numbers = default_numbers(feature)
        slots.constants[f"{prefix}defaults"] = np.array(numbers or [0.0], np.float64)
        slots.scalars[f"{prefix}default_count"] = len(numbers)
    elif prefix and feature.bucketizer is None:
        # What reads this feature splits its default text anew.
        text = b"".join(feature.default)
        ends = np.cumsum([0, *map(len, feature.default)])
        slots.constants[f"{prefix}default_text"] = np.frombuffer(text + bytes(16), np.uint8)
        slots.constants[f"{prefix}default_ends"] = np.array(ends, np.int64)
        slots.scalars[f"{prefix}default_count"] = len(feature.default)
    else:
        ids = [bucketize(feature, token) for token in feature.default]
        ids = ids[: feature.value_dim or None]
        slots.constants[f"{prefix}defaults"] = np.array(ids or [0], np.int64)
        slots.scalars[f"{prefix}default_count"] = len(ids)


def _buckets(slots: Slots, feature: Feature, prefix: str) -> None:
    by = feature.bucketizer
    if isinstance(by, HashBucket):
        slots.scalars[f"{prefix}buckets"] = by.buckets
    elif isinstance(by, Vocabulary):
        _table(slots, by.entries, prefix)
        slots.scalars[f"{prefix}unlisted"] = by.default_code
    elif isinstance(by, Boundaries):
        slots.constants[f"{prefix}boundaries"] = np.array(by.values, np.float32)
        slots.scalars[f"{prefix}boundary_count"] = len(by.values)


def _table(slots: Slots, entries: tuple[tuple[bytes, int], ...], prefix: str) -> None:
    table, words = vocabulary_table(entries)
    slots.constants[f"{prefix}table"] = table
    slots.constants[f"{prefix}words"] = words
    slots.scalars[f"{prefix}last_slot"] = len(table) - 1


def shape_key(feature: Feature) -> str:
    """Equal for features that share a kernel."""
    return hashlib.sha256(repr(_shape(feature)).encode()).hexdigest()[:12]


def _shape(feature: Feature) -> tuple[Any, ...]:
    operator: Any = feature.operator
    if isinstance(operator, Combine):
        has_map = None if operator.value_map is None else ()
        operator = dataclasses.replace(operator, value_map=has_map)
    if isinstance(operator, KvDotProduct):
        operator = dataclasses.replace(operator, kv_delimiter=b"")
    if isinstance(operator, CallLibrary):
        operator = ("CallLibrary", operator.texts)
    by = feature.bucketizer
    bucketizer = by.hash if isinstance(by, HashBucket) else type(by).__name__
    inputs = tuple(map(_input_shape, feature.inputs))
    sequence = feature.sequence is not None, feature.is_grouped
    flags = (feature.numeric, feature.exact, feature.weighted, sequence)
    prefixed = bool(feature.prefix) and not feature.encodes_prefix
    single = has_single(feature)
    split = _separators(feature)
    return (operator, bucketizer, feature.normalizer, flags, single, prefixed, split, inputs)


def _separators(feature: Feature) -> tuple[Any, ...]:
    """What the code knows of the separators of the texts that it splits.

    Whether there are two, and what is behind the first byte of a longer one.
    """
    outside = [read for read in feature.inputs if not isinstance(read, Feature)]
    inner = len(outside) < len(feature.inputs) or isinstance(feature.operator, CallLibrary)
    split = inner or any(column_spec(feature, r).kind in ("text", "places") for r in outside)
    return (feature.separator == VALUE_SEPARATOR, feature.separator[1:]) if split else ()


def _input_shape(read: Input | Constant | Feature) -> Any:
    if isinstance(read, Feature):
        return (_shape(read), read.sequence and read.sequence.length)
    return isinstance(read, Input) and read.sequence
