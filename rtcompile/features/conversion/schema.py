"""The schema of a feature config: keys, their spellings, their types.

EasyRec and TorchEasyRec spell some keys differently; both spellings are accepted here and only
here. Keys that do not change a value (documentation, grouping, training) are accepted and ignored.
"""

from __future__ import annotations

import difflib
import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from rtcompile.features.numbers import parse_float

__all__ = [
    "MOST_VALUES",
    "NUMBER_TYPES",
    "BoolMaskSchema",
    "CombineSchema",
    "ComboSchema",
    "CustomSchema",
    "ExprSchema",
    "FeatureSchema",
    "IdSchema",
    "KvDotProductSchema",
    "LookupSchema",
    "MatchSchema",
    "OverlapSchema",
    "RawSchema",
    "RegexReplaceSchema",
    "SequenceSchema",
    "SingleInputSchema",
    "TextNormalizerSchema",
    "TokenizeSchema",
    "problems_of",
]


# What `value_type` may say, in any case, of numbers.
NUMBER_TYPES = ("float", "double", "int32", "int64", "integer", "int", "long", "bigint")

# The most values of a row or element, and the most dimensions of an embedding.
MOST_VALUES = 1 << 16
_LARGEST_CODE = 1 << 62

# Keys for training, and for EasyRec's converter and readers: they do not change a value.
_IGNORED = frozenset(
    (
        *("trainable", "init_fn", "data_type", "embedding_constraints", "use_mask", "asset_dir"),
        *("fg_encoded_default_value", "use_embedding_variable", "filter_freq", "steps_to_live"),
        *("max_partitions", "is_cache", "is_seq", "extra_combo_info"),
    )
)
_IGNORED_OF_SEQUENCES = frozenset(
    ("sequence_column", "sequence_table", "attribute_delim", "default_value")
)


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True, strict=True)
    ignored: ClassVar[frozenset[str]] = _IGNORED

    @model_validator(mode="before")
    @classmethod
    def _without_ignored(cls, given: Any) -> Any:
        items = given.items()
        return {k: v for k, v in items if not isinstance(k, str) or k not in cls.ignored}


def _numbers_of_text(given: Any) -> Any:
    """ "1,2.5" as the list that it spells; anything else as it is."""
    if not isinstance(given, str):
        return given
    numbers = [parse_float(part.encode()) for part in given.split(",")]
    return given if None in numbers else numbers


def _text_of_number(given: Any) -> Any:
    """A number as its text; anything else as it is."""
    return str(given) if isinstance(given, int | float) and not isinstance(given, bool) else given


class FeatureSchema(_Schema):
    """What every feature type has."""

    feature_type: str
    """One of the types below, perhaps behind `sequence_`."""
    feature_name: str = Field(min_length=1)
    """The output's name, and the graph input's that takes it."""
    default_value: Annotated[str | None, BeforeValidator(_text_of_number)] = None
    """The raw value that stands where there is none."""
    value_type: str | None = None
    """The type of the output or of the column, by `dialect`."""
    separator: str = Field("\x1d", min_length=1)
    r"""Splits a text into values, beside `\x1d`."""
    need_prefix: bool | None = None
    """Whether the feature's name and `_` stand before a text. The default depends on `dialect`."""
    stub_type: bool = False
    """Whether it is an intermediate value, which only other features read, as `feature:NAME`."""
    value_dim: int | None = Field(
        None, ge=0, le=MOST_VALUES, validation_alias=AliasChoices("value_dim", "value_dimension")
    )
    """Of numbers, how many a row has, 1 by default; of ids, the most, where 0 is no limit."""
    embedding_name: str | None = Field(
        None, validation_alias=AliasChoices("embedding_name", "shared_name")
    )
    """The table that the feature shares with others of this name."""
    embedding_dim: int | None = Field(
        None,
        ge=1,
        le=MOST_VALUES,
        validation_alias=AliasChoices("embedding_dim", "embedding_dimension"),
    )
    """The columns of the table that pools it."""
    pooling: Literal["sum", "mean"] = "sum"
    """How the rows of several ids become one."""
    # Bucketizers and normalizer; each type says which of them it takes.
    hash_bucket_size: int | None = Field(None, ge=1, le=(1 << 63) - 1)
    """The bucket is the text's hash modulo this."""
    num_buckets: int | None = Field(None, ge=1, le=_LARGEST_CODE)
    """The value is the id itself, below this."""
    vocab_list: list[Annotated[str, BeforeValidator(_text_of_number)]] | None = None
    """The words, whose codes are their places."""
    vocab_dict: dict[str, Annotated[int, Field(le=_LARGEST_CODE)]] | None = None
    """The words and their codes."""
    vocab_file: str | None = Field(None, min_length=1)
    """A file of words, one a line, or of words and codes."""
    default_bucketize_value: int | None = Field(None, ge=0, le=_LARGEST_CODE)
    """The code of a word that the vocabulary does not list."""
    boundaries: Annotated[list[float] | None, BeforeValidator(_numbers_of_text)] = Field(
        None, validation_alias=AliasChoices("boundaries", "bucketize_boundaries")
    )
    """What parts the numbers into buckets."""
    normalizer: Annotated[str | None, BeforeValidator(lambda text: text or None)] = None
    """`method=NAME,KEY=VALUE,...`; the methods are `log10`, `zscore`, `minmax`, `expression`."""
    # Sequences.
    sequence_delim: str | None = Field(None, min_length=1)
    """What parts the elements of a sequence outside of a group; `;` where it is missing."""
    sequence_length: int | None = Field(None, ge=1, le=100_000)
    """The most elements of a sequence outside of a group; 50 where it is missing."""
    sequence_fields: list[str] | None = None
    """Which inputs of a feature in a sequence are sequences."""
    is_sequence: bool = False
    """Makes the feature a sequence, as `sequence_` before its type does."""
    # For other programs.
    group: str | None = None
    """It is read by other programs, and ignored."""
    is_multi: bool = False
    """It is read by other programs, and ignored."""

    @property
    def makes_no_sequence(self) -> bool:
        """Whether the values of a row are no sequence's elements."""
        return True


class SingleInputSchema(FeatureSchema):
    """Types that read one column."""

    expression: str
    """The raw field that is read: `user:NAME`, `item:NAME`, `context:NAME` or `feature:NAME`."""


class PoolCombinerSchema(SingleInputSchema):
    """Types where `combiner` is another word for the pooling of the embedding."""

    pooling: Literal["sum", "mean"] = Field(
        "sum", validation_alias=AliasChoices("pooling", "combiner")
    )
    """How the rows of several ids become one."""


class IdSchema(PoolCombinerSchema):
    """Keys of an id_feature."""

    weighted: bool = Field(
        False, validation_alias=AliasChoices("weighted", "need_weighting", "needWeighting")
    )
    """Whether each value comes with a weight."""
    kv_delimiter: str = Field(":", min_length=1)
    """What parts a value from its weight."""


class RawSchema(PoolCombinerSchema):
    """Keys of a raw_feature."""


class ComboSchema(FeatureSchema):
    """Keys of a combo_feature."""

    expression: list[str] = Field(min_length=1, max_length=32)
    """The raw fields whose values are joined."""
    pooling: Literal["sum", "mean"] = Field(
        "sum", validation_alias=AliasChoices("pooling", "combiner")
    )
    """How the rows of several ids become one."""


class LookupSchema(FeatureSchema):
    """Keys of a lookup_feature."""

    map: str
    """The field that holds the map."""
    key: str
    """The field whose values are looked up in it."""
    combiner: str = "sum"
    """Makes several numbers one: `sum`, `mean`, `min`, `max`, `count`, `gap_min`, `gap_max`."""
    need_discrete: bool | None = Field(
        None, validation_alias=AliasChoices("need_discrete", "needDiscrete")
    )
    """Whether the output is text. The default depends on `dialect`."""
    need_key: bool | None = Field(None, validation_alias=AliasChoices("need_key", "needKey"))
    """Whether the key stands before a text. The default depends on `dialect`."""
    need_weighting: bool = Field(
        False, validation_alias=AliasChoices("need_weighting", "needWeighting")
    )
    """Only false is supported."""


class MatchSchema(FeatureSchema):
    """Keys of a match_feature."""

    user: str = Field(validation_alias=AliasChoices("user", "nested_map"))
    """The field that holds the map of maps."""
    category: str = Field(validation_alias=AliasChoices("category", "pkey"))
    """The field whose value chooses the inner map."""
    item: str = Field(validation_alias=AliasChoices("item", "skey"))
    """The field whose value is looked up in the inner map."""
    match_type: Literal["hit", "multihit"] = Field(
        "hit", validation_alias=AliasChoices("match_type", "matchType")
    )
    """In a `multihit`, the key `ALL` stands for every key of its level."""
    combiner: str = "sum"
    """Makes several numbers one: `sum`, `mean`, `min`, `max`, `count`, `gap_min`, `gap_max`."""
    need_discrete: bool | None = Field(
        None, validation_alias=AliasChoices("need_discrete", "needDiscrete")
    )
    """Whether the output is text. The default depends on `dialect`."""
    show_category: bool | None = Field(
        None, validation_alias=AliasChoices("show_category", "show_pkey")
    )
    """Whether the outer key stands before a text. The default depends on `dialect`."""
    show_item: bool | None = Field(None, validation_alias=AliasChoices("show_item", "show_skey"))
    """Whether the inner key stands before a text. The default depends on `dialect`."""


class ExprSchema(FeatureSchema):
    """Keys of an expr_feature."""

    expression: str
    """The formula."""
    variables: list[str] = Field(min_length=1)
    """The fields that it reads; it names them by what follows the colon."""
    fill_missing: float | None = Field(None, allow_inf_nan=False)
    """The number that stands for a variable without a value."""


class OverlapSchema(FeatureSchema):
    """Keys of an overlap_feature."""

    query: str
    """The field of the first text."""
    title: str
    """The field of the second text."""
    method: str
    """One of the nine methods that `overlap_feature.py` defines."""


class CombineSchema(SingleInputSchema):
    """Keys of a combine_feature."""

    combiner: str = "sum"
    """Makes several numbers one: `sum`, `mean`, `min`, `max`, `count`, `gap_min`, `gap_max`."""
    value_map: dict[str, float] | None = None
    """The number of each text."""


class KvDotProductSchema(FeatureSchema):
    """Keys of a kv_dot_product."""

    query: str
    """The field of the first map."""
    document: str
    """The field of the second map."""
    kv_delimiter: str = Field(":", min_length=1)
    """What parts a key from its number."""


class BoolMaskSchema(FeatureSchema):
    """Keys of a bool_mask_feature."""

    expression: list[str] = Field(min_length=2, max_length=2)
    """The field of the values, and the field of the mask."""


class RegexReplaceSchema(PoolCombinerSchema):
    """Keys of a regex_replace_feature."""

    regex_pattern: str | list[str] = Field(
        min_length=1, validation_alias=AliasChoices("regex_pattern", "regex_patten")
    )
    """An expression of RE2, or several of which any may match."""
    replacement: str = ""
    r"""What stands in place of a match; `\1` is its first group."""
    replace_all: bool = True
    """Whether every match is replaced, or the first alone."""
    icase: bool = False
    """Whether the case of letters is ignored."""


class TextNormalizerSchema(SingleInputSchema):
    """Keys of a text_normalizer. `parameter`: a sum of bits, see `text_normalizer.py`."""

    parameter: int | None = Field(None, ge=0)
    """A sum of bits that choose the steps, see `text_normalizer.py`."""
    remove_space: bool = False
    """Whether spaces are removed."""
    max_length: int = Field(0, ge=0)
    """A text of more bytes of GBK stays as it is; 0 is no limit."""
    stop_char_file: str | None = Field(None, min_length=1)
    """A file, in GBK, of characters that become spaces."""
    is_gbk_input: bool = False
    """Only false is supported: texts are UTF-8."""
    is_gbk_output: bool = False
    """Only false is supported: texts are UTF-8."""


class TokenizeSchema(SingleInputSchema):
    """Keys of a tokenize_feature."""

    vocab_file: str = Field(min_length=1)
    """The tokenizer's model."""
    tokenizer_type: Literal["bpe", "sentencepiece"] = "bpe"
    """What kind of model that is."""
    output_type: Literal["word_id", "word"] = "word_id"
    """Only `word_id` is supported: a token is its number."""
    tokens_as_sequence: bool = False
    """Whether the tokens of a text are a sequence's elements."""

    @property
    def makes_no_sequence(self) -> bool:
        """Tokens may be a sequence's elements."""
        return not self.tokens_as_sequence


class CustomSchema(FeatureSchema):
    """Keys of a custom_feature; what is left belongs to the operator."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, strict=True)

    expression: str | list[str]
    """The raw fields that the operator reads."""
    operator_name: str = Field(min_length=1)
    """The name of the function, or of a built-in operator."""
    operator_lib_file: str | None = None
    """The Python file or shared library that holds it; none for a built-in one."""
    is_op_thread_safe: bool = True
    """Whether it may run in several threads at once."""

    @property
    def texts(self) -> list[str]:
        """The inputs."""
        return [self.expression] if isinstance(self.expression, str) else self.expression


class SequenceSchema(_Schema):
    """A grouped sequence."""

    ignored: ClassVar[frozenset[str]] = _IGNORED_OF_SEQUENCES

    sequence_name: str = Field(min_length=1)
    """The group's name: its features are called `NAME__FEATURE`."""
    sequence_length: int = Field(50, ge=1, le=100_000)
    """The most elements."""
    sequence_delim: str = Field(";", min_length=1)
    """What parts the elements of a text."""
    sequence_pk: str | None = None
    """The side that the sequence belongs to, before a colon; else it is the user's."""
    features: list[dict[str, Any]] = Field(
        validation_alias=AliasChoices("features", "sequence_fields")
    )
    """The features of an element."""


def problems_of(error: ValidationError, path: str, schema: type[BaseModel]) -> list[str]:
    """A line a problem: JSON path, value, what is allowed."""
    return [_line(detail, path, schema) for detail in error.errors()]


def _line(detail: Any, path: str, schema: type[BaseModel]) -> str:
    where = path + "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in detail["loc"])
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(detail["loc"][-1]), _keys(schema), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{where}: unknown key{hint}"
    if detail["type"] == "missing":
        return f"{where}: required, but missing"
    return f"{where}: {_shown(detail['input'])} is not allowed: {detail['msg'].lower()}"


def _shown(value: object) -> str:
    try:
        text = json.dumps(value, default=repr)
    except (TypeError, ValueError, RecursionError):  # Python's own values, not those of a file
        text = f"<{type(value).__name__}>"
    return text if len(text) <= 60 else text[:57] + "..."


def _keys(schema: type[BaseModel]) -> list[str]:
    keys: list[str] = []
    for name, info in schema.model_fields.items():
        alias = info.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [name]
        keys.extend(str(choice) for choice in choices)
    return keys
