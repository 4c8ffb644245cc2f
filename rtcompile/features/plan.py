"""The typed feature plan: what a validated feature config means.

The parser (`parse_config.py`) turns a config into a `FeaturePlan`; the plain-Python reference
(`reference_features.py`), the kernels (`codegen/`) and the binding to graph inputs read nothing
else. Every class is frozen: a plan is a value, and its digest keys artifacts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from rtcompile.features.expression import Expression
from rtcompile.features.operators import CallLibrary, Operator, Values
from rtcompile.runtime.encoding.text_steps import Asset, TextStep, Tokenize

__all__ = [
    "ITEM_KEY",
    "Boundaries",
    "Bucketizer",
    "Constant",
    "Embedding",
    "ExpressionNormalizer",
    "Feature",
    "FeaturePlan",
    "HashBucket",
    "Input",
    "Log10Normalizer",
    "MinMaxNormalizer",
    "Normalizer",
    "NumBuckets",
    "Sequence",
    "Side",
    "Vocabulary",
    "ZScoreNormalizer",
]

# A column of items' ids beside those of any config, none of which has such a name.
ITEM_KEY = "\x00item"


class Side(str, Enum):
    """Where a column comes from, which decides how often its features are computed."""

    USER = "user"  # once a request
    ITEM = "item"  # once an item, when it is inserted or updated
    CONTEXT = "context"  # once a (request, item) pair

    @staticmethod
    def together(sides: Iterable[Side]) -> Side:
        """When something that reads all of `sides` is known; CONTEXT where they differ."""
        found = set(sides)
        return found.pop() if len(found) == 1 else Side.CONTEXT


@dataclass(frozen=True)
class Input:
    """A raw column. `name` is its key in a request or an item; no `user:` prefix.

    A `sequence` column has elements, of which the feature takes one at a time; any other is the
    same for all elements. `steps` are what is done to each
    text first; where `tokens_as_elements`, what they make of a row are its elements. `cut`:
    numbers lose their fraction before they become text.
    """

    side: Side
    name: str
    sequence: bool
    steps: tuple[TextStep, ...] = ()
    tokens_as_elements: bool = False
    cut: bool = False


@dataclass(frozen=True)
class Constant:
    """An input that is the same text for every row: `const:TEXT`."""

    value: bytes


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

    The operator makes values of the inputs: numbers where `numeric`, else text. An input is a raw
    column, or another feature, whose values before its bucketizer it reads. `value_dim`: the most
    values a row (or element), 0 for all; where `exact` it is how many there are, defaults in place
    of missing ones. `default`: the default value split on `separator`, used where there is no
    value; () leaves the row empty (ids) or zero (numbers). A `stub` is no output.
    """

    name: str
    operator: Operator
    inputs: tuple[Input | Constant | Feature, ...]
    numeric: bool
    exact: bool
    separator: bytes
    default: tuple[bytes, ...]
    value_dim: int
    weighted: bool
    kv_separator: bytes
    prefix: bytes  # put before a value that is no default, prior to its bucket; empty for none
    bucketizer: Bucketizer | None
    normalizer: Normalizer | None
    sequence: Sequence | None
    embedding: Embedding | None
    stub: bool
    path: str  # where in the config it stands, for messages

    @property
    def columns(self) -> tuple[Input, ...]:
        """The raw columns behind it, each once."""
        found: dict[Input, None] = {}
        for read in self.inputs:
            if isinstance(read, Feature):
                found.update(dict.fromkeys(read.columns))
            elif isinstance(read, Input):
                found[read] = None
        return tuple(found)

    @property
    def is_grouped(self) -> bool:
        """Whether it is of a sequence that other features are of too."""
        return self.sequence is not None and self.sequence.group != self.name

    @property
    def encodes_prefix(self) -> bool:
        """Whether the prefix is put on while a column is encoded, not by the kernel."""
        return isinstance(self.operator, Values) and not isinstance(self.inputs[0], Feature)

    @property
    def side(self) -> Side:
        """When it is known."""
        return Side.together(column.side for column in self.columns)

    @property
    def sparse(self) -> bool:
        """Whether the output is ids (with lengths) rather than numbers."""
        return self.bucketizer is not None


@dataclass(frozen=True)
class FeaturePlan:
    """Every feature of a config that is an output, in its order."""

    features: tuple[Feature, ...]
    source: str  # file name or "<dict>", for messages

    def assets(self) -> tuple[Asset, ...]:
        """The files that its steps need, each once."""
        found: dict[Asset, None] = {}
        for feature in self.features:
            steps = [step for column in feature.columns for step in column.steps]
            found.update((step.model, None) for step in steps if isinstance(step, Tokenize))
            if isinstance(feature.operator, CallLibrary):
                found[feature.operator.function.library] = None
        return tuple(found)

    def columns(self, side: Side) -> tuple[str, ...]:
        """Names of the raw columns of one side, each once, in order of first use."""
        found = [c.name for f in self.features for c in f.columns if c.side is side]
        return tuple(dict.fromkeys(found))
