"""How a feature's raw columns are to be encoded: what its operator reads of each."""

from __future__ import annotations

from rtcompile.features.operators import (
    BoolMask,
    CallLibrary,
    EditDistance,
    Expr,
    KvDotProduct,
    Lookup,
    Match,
    Overlap,
    Values,
)
from rtcompile.features.plan import Constant, Feature, FeaturePlan, Input, Side
from rtcompile.runtime.encoding.column_spec import ColumnSpec
from rtcompile.runtime.encoding.operator_library import LibraryFunction

__all__ = ["column_readers", "column_spec", "side_readers"]


def column_spec(feature: Feature, read: Input | Constant | LibraryFunction) -> ColumnSpec:
    """How `read`, an input of `feature`, is encoded; a function it calls stands among them."""
    if isinstance(read, LibraryFunction):
        return ColumnSpec("", "function", b"\x1d", constant=b"", function=read)
    sequence = feature.sequence if isinstance(read, Input) and read.sequence else None
    pair = feature.kv_separator if feature.weighted else b""
    if isinstance(feature.operator, KvDotProduct):
        pair = feature.operator.kv_delimiter
    return ColumnSpec(
        read.name if isinstance(read, Input) else "",
        _kind(feature, feature.inputs.index(read)),
        feature.separator,
        sequence.delimiter if sequence else None,
        sequence.length if sequence else 0,
        pair,
        feature.prefix if feature.encodes_prefix else b"",
        read.value if isinstance(read, Constant) else None,
        read.side.value if isinstance(read, Input) else "user",
        read.steps if isinstance(read, Input) else (),
        isinstance(read, Input) and read.tokens_as_elements,
        cut=isinstance(read, Input) and read.cut,
    )


def column_readers(feature: Feature) -> list[tuple[Feature, Input]]:
    """(the feature that reads it, column) of every raw column behind a feature."""
    found: list[tuple[Feature, Input]] = []
    for read in feature.inputs:
        if isinstance(read, Feature):
            found += column_readers(read)
        elif isinstance(read, Input):
            found.append((feature, read))
    return found


def side_readers(plan: FeaturePlan, side: Side) -> dict[str, list[tuple[Feature, Input]]]:
    """Raw column of a side -> who reads it, as `column_readers` has them, in the plan's order."""
    found: dict[str, list[tuple[Feature, Input]]] = {name: [] for name in plan.columns(side)}
    for feature in plan.features:
        for reader, column in column_readers(feature):
            if column.side is side:
                found[column.name].append((reader, column))
    return found


def _kind(feature: Feature, index: int) -> str:
    operator = feature.operator
    if isinstance(operator, Values):
        return "number" if feature.numeric else "text"
    if isinstance(operator, Lookup) and index == 0:
        return "map_number" if feature.numeric else "map"
    if isinstance(operator, Match) and index == 0:
        # ALL needs a walk, any other pair of keys a table.
        return "nested" if operator.wild else f"nested_{'number' if feature.numeric else 'text'}"
    if isinstance(operator, Expr):
        return "present"
    if isinstance(operator, EditDistance | CallLibrary):
        return "whole"
    if isinstance(operator, Overlap):
        return "terms"
    if isinstance(operator, BoolMask):
        return "places"
    return "text"
