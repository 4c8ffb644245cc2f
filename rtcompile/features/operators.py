"""What a feature makes of its inputs: the operators, as values.

Each feature type's file says how a config becomes one, and defines it in plain Python.
"""

from __future__ import annotations

from dataclasses import dataclass

from rtcompile.features.expression import Expression
from rtcompile.runtime.encoding.operator_library import LibraryFunction

__all__ = [
    "COMBINERS",
    "BoolMask",
    "CallLibrary",
    "Combine",
    "Combo",
    "EditDistance",
    "Expr",
    "KvDotProduct",
    "Lookup",
    "Match",
    "Operator",
    "Overlap",
    "Values",
]

COMBINERS = ("sum", "mean", "min", "max", "count", "gap_min", "gap_max")


@dataclass(frozen=True)
class Values:
    """The values of the one input as they are."""


@dataclass(frozen=True)
class Combo:
    """Every combination of the inputs' values, joined with "_"; the last input runs fastest."""


@dataclass(frozen=True)
class Lookup:
    """Inputs: a map, keys. The map's values of the keys, in the order of the keys.

    `combiner`: of numbers, "" for none. `show_key`: text "key_value".
    """

    combiner: str
    show_key: bool


@dataclass(frozen=True)
class Match:
    """Inputs: a map of maps, the keys of its first level, those of its second.

    The values of the pairs of keys. `wild`: the key ALL stands for every key of its level.
    `show_first`, `show_second`: text "first_second_value".
    """

    wild: bool
    show_first: bool
    show_second: bool
    combiner: str


@dataclass(frozen=True)
class Expr:
    """An expression over the inputs' numbers; nothing where an input has none.

    Its variables are called by the places of the inputs: "0", "1".

    `spread`: a sequence with one element counts for every element of the others. `fill`: what
    stands for the numbers that an input has fewer than another; NaN for None.
    """

    expression: Expression
    spread: bool = False
    fill: float | None = None


@dataclass(frozen=True)
class Overlap:
    """Inputs: the query's terms, the title's. One number; see `overlap_feature.py`."""

    method: str


@dataclass(frozen=True)
class Combine:
    """The input's values as numbers, `value_map` applied if there is one, combined to one."""

    combiner: str
    value_map: tuple[tuple[bytes, float], ...] | None


@dataclass(frozen=True)
class KvDotProduct:
    """Inputs: two maps of weights. The sum of the products over the keys of both."""

    kv_delimiter: bytes


@dataclass(frozen=True)
class BoolMask:
    """Inputs: values, a mask. The values whose place in the mask is true."""


@dataclass(frozen=True)
class EditDistance:
    """Inputs: two texts. The least insertions, deletions and replacements from one to the other.

    Of characters where `utf8`, else of bytes.
    """

    utf8: bool


@dataclass(frozen=True)
class CallLibrary:
    """Inputs: texts. What a function of a shared library makes of them, numbers or a text.

    `parameters`: its JSON.
    """

    function: LibraryFunction
    parameters: bytes
    texts: bool


Operator = (
    Values
    | Combo
    | Lookup
    | Match
    | Expr
    | Overlap
    | Combine
    | KvDotProduct
    | BoolMask
    | EditDistance
    | CallLibrary
)
