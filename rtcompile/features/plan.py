"""The typed feature plan: what a validated feature config means.

The parser (`config.py`) turns a config into a `FeaturePlan`; the plain-Python reference
(`reference.py`), the kernels (`codegen/`) and the binding to graph inputs read nothing else.
Every class is frozen: a plan is a value, and its digest keys artifacts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from rtcompile.features.expression import Expression

__all__ = [
    "Boundaries",
    "Bucketizer",
    "Embedding",
    "ExpressionNormalizer",
    "Feature",
    "FeaturePlan",
    "HashBucket",
    "InputColumn",
    "Log10Normalizer",
    "MinMaxNormalizer",
    "Normalizer",
    "NumBuckets",
    "Sequence",
    "Side",
    "Vocabulary",
    "ZScoreNormalizer",
]


class Side(str, Enum):
    """Where a column comes from, which decides how often its features are computed."""

    USER = "user"  # once a request
    ITEM = "item"  # once an item, when it is inserted or updated
    CONTEXT = "context"  # once a (request, item) pair


@dataclass(frozen=True)
class InputColumn:
    """A raw column. `name` is its key in a request or an item; no `user:` prefix."""

    side: Side
    name: str


@dataclass(frozen=True)
class HashBucket:
    """id = hash(value bytes) mod `buckets`, unsigned 64 bit. `hash`: "murmur" or "farmhash"."""

    buckets: int
    hash: str


@dataclass(frozen=True)
class NumBuckets:
    """id = the integer itself, as it is; a look-up reports one outside [0, buckets)."""

    buckets: int


@dataclass(frozen=True)
class Vocabulary:
    """id = `entries[value]`, or `default_code` for a value that is not listed.

    Reservations (code 0 for the default value, 1 for out-of-vocabulary) are already in `entries`
    and `default_code`. `size` is one more than the largest code.
    """

    entries: tuple[tuple[bytes, int], ...]
    default_code: int
    size: int


@dataclass(frozen=True)
class Boundaries:
    """id = count of boundaries at or below the value, both compared as float32."""

    values: tuple[float, ...]


Bucketizer = HashBucket | NumBuckets | Vocabulary | Boundaries


@dataclass(frozen=True)
class Log10Normalizer:
    """x > threshold ? log10(x) : default, in float64."""

    threshold: float
    default: float


@dataclass(frozen=True)
class ZScoreNormalizer:
    """(x - mean) / standard_deviation, in float64."""

    mean: float
    standard_deviation: float


@dataclass(frozen=True)
class MinMaxNormalizer:
    """(x - minimum) / (maximum - minimum), in float64."""

    minimum: float
    maximum: float


@dataclass(frozen=True)
class ExpressionNormalizer:
    """An arithmetic expression of the one variable `x`, in float64."""

    expression: Expression


Normalizer = Log10Normalizer | ZScoreNormalizer | MinMaxNormalizer | ExpressionNormalizer


@dataclass(frozen=True)
class Sequence:
    """A feature that has a list of elements a row.

    `group` is the sequence's name for a grouped one (`<group>__<feature>` is the output's name,
    `<group>__len` the length's), else the feature's own name. At most `length` elements are kept,
    the first ones. A string is split into elements on `delimiter`.
    """

    group: str
    delimiter: bytes
    length: int


@dataclass(frozen=True)
class Embedding:
    """Pooling of an id feature into a dense graph input.

    `table` names the table (features may share one), `dimension` is None when the config leaves
    it to the table's own shape, `pooling` is "sum" or "mean". Weighted values multiply their row;
    a mean divides by the sum of weights.
    """

    table: str
    dimension: int | None
    pooling: str


@dataclass(frozen=True)
class Feature:
    """One output column.

    `kind` is "id" or "raw". `value_dim`: for ids the most values a row (or element), 0 for all;
    for dense raw features the exact width. `default`: the default value split on `separator`,
    used where the input is empty or null; () leaves the row empty (ids) or zero (raw).
    `value_type` is "string", "int64", "float" or "double", as the config declares it.
    """

    name: str
    kind: str
    input: InputColumn
    value_type: str
    separator: bytes
    default: tuple[bytes, ...]
    value_dim: int
    weighted: bool
    kv_separator: bytes
    prefix: bytes  # put before a value prior to hashing (`need_prefix`); empty for none
    bucketizer: Bucketizer | None
    normalizer: Normalizer | None
    sequence: Sequence | None
    embedding: Embedding | None
    path: str  # where in the config it stands, for messages

    @property
    def sparse(self) -> bool:
        """Whether the output is ids (with lengths) rather than numbers."""
        return self.bucketizer is not None


@dataclass(frozen=True)
class FeaturePlan:
    """Every feature of a config, in its order."""

    features: tuple[Feature, ...]
    source: str  # file name or "<dict>", for messages

    def columns(self, side: Side) -> tuple[str, ...]:
        """Names of the raw columns of one side, each once, in order of first use."""
        return tuple(dict.fromkeys(f.input.name for f in self.features if f.input.side is side))
