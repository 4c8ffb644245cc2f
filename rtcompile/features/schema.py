"""The schema of a feature config: keys, their spellings, their types.

EasyRec and TorchEasyRec spell some keys differently; both spellings are accepted here and only
here. Keys that do not change a value (documentation, grouping, training) are accepted and ignored.
"""

from __future__ import annotations

import difflib
import json
from typing import Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

__all__ = [
    "FeatureSchema",
    "IdSchema",
    "RawSchema",
    "SequenceSchema",
    "problems_of",
]


class _Schema(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True, strict=True)


class FeatureSchema(_Schema):
    """What every feature type has."""

    feature_type: str
    feature_name: str = Field(min_length=1)
    expression: str
    default_value: str | None = None
    value_type: Literal["string", "int", "int32", "int64", "float", "double"] = "string"
    separator: str = Field("\x1d", min_length=1)
    need_prefix: bool = False
    stub_type: bool = False
    embedding_name: str | None = Field(
        None, validation_alias=AliasChoices("embedding_name", "shared_name")
    )
    embedding_dim: int | None = Field(
        None, ge=1, validation_alias=AliasChoices("embedding_dim", "embedding_dimension")
    )
    pooling: Literal["sum", "mean"] = Field(
        "sum", validation_alias=AliasChoices("pooling", "combiner")
    )
    # Present only on `sequence_` types, which check that they are meant.
    sequence_delim: str | None = Field(None, min_length=1)
    sequence_length: int | None = Field(None, ge=1, le=100_000)
    group: str | None = None


class IdSchema(FeatureSchema):
    """Keys of an id_feature."""

    value_dim: int = Field(0, ge=0, validation_alias=AliasChoices("value_dim", "value_dimension"))
    weighted: bool = Field(
        False, validation_alias=AliasChoices("weighted", "need_weighting", "needWeighting")
    )
    kv_delimiter: str = Field(":", min_length=1)
    hash_bucket_size: int | None = Field(None, ge=1, le=1 << 62)
    num_buckets: int | None = Field(None, ge=1, le=1 << 62)
    vocab_list: list[str] | None = None
    vocab_dict: dict[str, int] | None = None
    vocab_file: str | None = Field(None, min_length=1)
    default_bucketize_value: int | None = Field(None, ge=0)


class RawSchema(FeatureSchema):
    """Keys of a raw_feature."""

    value_dim: int = Field(1, ge=1, validation_alias=AliasChoices("value_dim", "value_dimension"))
    boundaries: list[float] | None = Field(
        None, validation_alias=AliasChoices("boundaries", "bucketize_boundaries")
    )
    normalizer: str | None = None


class SequenceSchema(_Schema):
    """A grouped sequence."""

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
    text = json.dumps(value, default=repr)
    return text if len(text) <= 60 else text[:57] + "..."


def _keys(schema: type[BaseModel]) -> list[str]:
    keys: list[str] = []
    for name, info in schema.model_fields.items():
        alias = info.validation_alias
        choices = alias.choices if isinstance(alias, AliasChoices) else [name]
        keys.extend(str(choice) for choice in choices)
    return keys
