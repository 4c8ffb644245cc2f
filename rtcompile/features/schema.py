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
    feature_name: str = Field(min_length=1)
    default_value: Annotated[str | None, BeforeValidator(_text_of_number)] = None
    value_type: str | None = None
    separator: str = Field("\x1d", min_length=1)
    need_prefix: bool | None = None
    stub_type: bool = False
    value_dim: int | None = Field(
        None, ge=0, le=MOST_VALUES, validation_alias=AliasChoices("value_dim", "value_dimension")
    )
    embedding_name: str | None = Field(
        None, validation_alias=AliasChoices("embedding_name", "shared_name")
    )
    embedding_dim: int | None = Field(
        None,
        ge=1,
        le=MOST_VALUES,
        validation_alias=AliasChoices("embedding_dim", "embedding_dimension"),
    )
    pooling: Literal["sum", "mean"] = "sum"
    # Bucketizers and normalizer; each type says which of them it takes.
    hash_bucket_size: int | None = Field(None, ge=1, le=(1 << 63) - 1)
    num_buckets: int | None = Field(None, ge=1, le=_LARGEST_CODE)
    vocab_list: list[Annotated[str, BeforeValidator(_text_of_number)]] | None = None
    vocab_dict: dict[str, Annotated[int, Field(le=_LARGEST_CODE)]] | None = None
    vocab_file: str | None = Field(None, min_length=1)
    default_bucketize_value: int | None = Field(None, ge=0, le=_LARGEST_CODE)
    boundaries: Annotated[list[float] | None, BeforeValidator(_numbers_of_text)] = Field(
        None, validation_alias=AliasChoices("boundaries", "bucketize_boundaries")
    )
    normalizer: Annotated[str | None, BeforeValidator(lambda text: text or None)] = None
    # Sequences.
    sequence_delim: str | None = Field(None, min_length=1)
    sequence_length: int | None = Field(None, ge=1, le=100_000)
    sequence_fields: list[str] | None = None
    is_sequence: bool = False
    # For other programs.
    group: str | None = None
    is_multi: bool = False

    @property
    def makes_no_sequence(self) -> bool:
        """Whether the values of a row are no sequence's elements."""
        return True


class SingleInputSchema(FeatureSchema):
    """Types that read one column."""

    expression: str


class PoolCombinerSchema(SingleInputSchema):
    """Types where `combiner` is another word for the pooling of the embedding."""

    pooling: Literal["sum", "mean"] = Field(
        "sum", validation_alias=AliasChoices("pooling", "combiner")
    )


class IdSchema(PoolCombinerSchema):
    """Keys of an id_feature."""

    weighted: bool = Field(
        False, validation_alias=AliasChoices("weighted", "need_weighting", "needWeighting")
    )
    kv_delimiter: str = Field(":", min_length=1)


class RawSchema(PoolCombinerSchema):
    """Keys of a raw_feature."""


class ComboSchema(FeatureSchema):
    """Keys of a combo_feature."""

    expression: list[str] = Field(min_length=1, max_length=32)
    pooling: Literal["sum", "mean"] = Field(
        "sum", validation_alias=AliasChoices("pooling", "combiner")
    )


class LookupSchema(FeatureSchema):
    """Keys of a lookup_feature."""

    map: str
    key: str
    combiner: str = "sum"
    need_discrete: bool | None = Field(
        None, validation_alias=AliasChoices("need_discrete", "needDiscrete")
    )
    need_key: bool | None = Field(None, validation_alias=AliasChoices("need_key", "needKey"))
    need_weighting: bool = Field(
        False, validation_alias=AliasChoices("need_weighting", "needWeighting")
    )


class MatchSchema(FeatureSchema):
    """Keys of a match_feature."""

    user: str = Field(validation_alias=AliasChoices("user", "nested_map"))
    category: str = Field(validation_alias=AliasChoices("category", "pkey"))
    item: str = Field(validation_alias=AliasChoices("item", "skey"))
    match_type: Literal["hit", "multihit"] = Field(
        "hit", validation_alias=AliasChoices("match_type", "matchType")
    )
    combiner: str = "sum"
    need_discrete: bool | None = Field(
        None, validation_alias=AliasChoices("need_discrete", "needDiscrete")
    )
    show_category: bool | None = Field(
        None, validation_alias=AliasChoices("show_category", "show_pkey")
    )
    show_item: bool | None = Field(None, validation_alias=AliasChoices("show_item", "show_skey"))


class ExprSchema(FeatureSchema):
    """Keys of an expr_feature."""

    expression: str
    variables: list[str] = Field(min_length=1)
    fill_missing: float | None = Field(None, allow_inf_nan=False)


class OverlapSchema(FeatureSchema):
    """Keys of an overlap_feature."""

    query: str
    title: str
    method: str


class CombineSchema(SingleInputSchema):
    """Keys of a combine_feature."""

    combiner: str = "sum"
    value_map: dict[str, float] | None = None


class KvDotProductSchema(FeatureSchema):
    """Keys of a kv_dot_product."""

    query: str
    document: str
    kv_delimiter: str = Field(":", min_length=1)


class BoolMaskSchema(FeatureSchema):
    """Keys of a bool_mask_feature."""

    expression: list[str] = Field(min_length=2, max_length=2)


class RegexReplaceSchema(PoolCombinerSchema):
    """Keys of a regex_replace_feature."""

    regex_pattern: str | list[str] = Field(
        min_length=1, validation_alias=AliasChoices("regex_pattern", "regex_patten")
    )
    replacement: str = ""
    replace_all: bool = True
    icase: bool = False


class TextNormalizerSchema(SingleInputSchema):
    """Keys of a text_normalizer. `parameter`: a sum of bits, see `text_normalizer.py`."""

    parameter: int | None = Field(None, ge=0)
    remove_space: bool = False
    max_length: int = Field(0, ge=0)
    stop_char_file: str | None = Field(None, min_length=1)
    is_gbk_input: bool = False
    is_gbk_output: bool = False


class TokenizeSchema(SingleInputSchema):
    """Keys of a tokenize_feature."""

    vocab_file: str = Field(min_length=1)
    tokenizer_type: Literal["bpe", "sentencepiece"] = "bpe"
    output_type: Literal["word_id", "word"] = "word_id"
    tokens_as_sequence: bool = False

    @property
    def makes_no_sequence(self) -> bool:
        """Tokens may be a sequence's elements."""
        return not self.tokens_as_sequence


class CustomSchema(FeatureSchema):
    """Keys of a custom_feature; what is left belongs to the operator."""

    model_config = ConfigDict(extra="allow", populate_by_name=True, strict=True)

    expression: str | list[str]
    operator_name: str = Field(min_length=1)
    operator_lib_file: str | None = None
    is_op_thread_safe: bool = True

    @property
    def texts(self) -> list[str]:
        """The inputs."""
        return [self.expression] if isinstance(self.expression, str) else self.expression


class SequenceSchema(_Schema):
    """A grouped sequence."""

    ignored: ClassVar[frozenset[str]] = _IGNORED_OF_SEQUENCES

    sequence_name: str = Field(min_length=1)
    sequence_length: int = Field(50, ge=1, le=100_000)
    sequence_delim: str = Field(";", min_length=1)
    sequence_pk: str | None = None
    features: list[dict[str, Any]] = Field(
        validation_alias=AliasChoices("features", "sequence_fields")
    )


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
