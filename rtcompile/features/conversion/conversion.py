"""What every feature type's conversion shares: inputs, defaults, bucketizers, normalizers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

from rtcompile.features.conversion.config_context import Context, Inputs
from rtcompile.features.conversion.schema import (
    NUMBER_TYPES,
    FeatureSchema,
    LookupSchema,
    MatchSchema,
)
from rtcompile.features.conversion.vocabulary import (
    vocabulary_from_dict,
    vocabulary_from_file,
    vocabulary_from_list,
)
from rtcompile.features.normalizers import parse_normalizer
from rtcompile.features.numbers import parse_float
from rtcompile.features.operators import Operator
from rtcompile.features.plan import (
    Boundaries,
    Bucketizer,
    Embedding,
    Feature,
    HashBucket,
    Input,
    Normalizer,
    NumBuckets,
    Vocabulary,
)
from rtcompile.features.values import split

__all__ = [
    "NUMBER_BUCKETIZERS",
    "TEXT_BUCKETIZERS",
    "check_shown",
    "cut_numbers",
    "is_discrete",
    "make_feature",
    "split_default",
]

TEXT_BUCKETIZERS = ("hash_bucket_size", "num_buckets", "vocab_list", "vocab_dict", "vocab_file")
NUMBER_BUCKETIZERS = ("boundaries", "num_buckets")

# Where the bucket sizes of a config that has none may be.
_ELSEWHERE = {
    "pyfg": "; if this is a config of EasyRec, whose sizes are in its pipeline.config, write "
    '"dialect": "easyrec" and "pipeline_config": PATH beside "features"',
    "easyrec": ', or name EasyRec\'s pipeline.config that has it: "pipeline_config": PATH',
}

_MOST_NUMBERS = 1 << 24  # of a row

_LONGEST_SEPARATOR = 16  # in bytes: texts are padded by as many


def cut_numbers(inputs: Inputs, context: Context) -> Inputs:
    """The inputs, their numbers without fractions where the dialect says so."""
    cut = context.dialect.cuts_numbers
    return tuple(replace(r, cut=True) if cut and isinstance(r, Input) else r for r in inputs)


def is_discrete(schema: LookupSchema | MatchSchema, context: Context) -> bool:
    """Whether a look-up's output is text: it says so, or is bucketized as text.

    A problem where it says so, but its `value_type` is a number's.
    """
    typed = context.dialect.types_outputs and schema.value_type is not None
    number = typed and str(schema.value_type).lower() in NUMBER_TYPES
    if schema.need_discrete and number:
        context.problem(
            "need_discrete",
            f"true makes texts, but value_type is {schema.value_type!r}; write string, or false",
        )
    given = schema.need_discrete
    wanted = context.dialect.need_discrete if given is None else given
    return wanted or (not number and any(getattr(schema, k) is not None for k in TEXT_BUCKETIZERS))


def check_shown(schema: LookupSchema | MatchSchema, keys: Sequence[str], context: Context) -> None:
    """A problem where keys stand before a value that is to be an integer. `keys`: that show one."""
    if keys and schema.num_buckets is not None:
        context.problem(
            "num_buckets",
            "a value with keys before it is no integer; write false for " + " and ".join(keys),
        )


def make_feature(
    schema: FeatureSchema,
    name: str,
    context: Context,
    operator: Operator,
    inputs: Inputs,
    *,
    numeric: bool,
    value_dim: int = 0,
    exact: bool = False,
    prefixed: bool = False,
    **changes: Any,
) -> Feature:
    """A feature of a validated config; problems go to `context`.

    `prefixed`: whether texts have the feature's name before them where the config does not say.
    """
    bucketizer = (
        _number_buckets(schema, context) if numeric else _text_buckets(schema, context, prefixed)
    )
    exact = exact or (numeric and bucketizer is None)
    if exact:
        value_dim = max(value_dim, 1)
    default = changes.pop("default", None)
    if default is None:
        default = split_default(schema.default_value or "", schema.separator)
    if numeric:
        _check_numbers(default, value_dim if exact else 0, context)
    if schema.need_prefix and not numeric and bucketizer is None:
        context.problem("need_prefix", "true needs a bucketizer")
    _check_separator(schema.separator, context)
    length = context.sequence.length if context.sequence else 1
    if exact and value_dim * length > _MOST_NUMBERS:
        context.problem(
            "value_dim", f"{value_dim} in a sequence of {length}; at most {_MOST_NUMBERS} in all"
        )
    feature = Feature(
        name=name,
        operator=operator,
        inputs=inputs,
        numeric=numeric,
        exact=exact,
        separator=schema.separator.encode(),
        default=default,
        value_dim=value_dim,
        weighted=changes.pop("weighted", False),
        kv_separator=changes.pop("kv_separator", b":"),
        prefix=b"" if numeric else _prefix(schema, prefixed),
        bucketizer=bucketizer,
        normalizer=_normalizer(schema, context, numeric),
        sequence=context.sequence,
        embedding=_embedding(schema, name, bucketizer),
        stub=schema.stub_type,
        path=context.path,
    )
    assert not changes, changes
    return feature


def _prefix(schema: FeatureSchema, prefixed: bool) -> bytes:
    wanted = prefixed if schema.need_prefix is None else schema.need_prefix
    return f"{schema.feature_name}_".encode() if wanted else b""


def _embedding(schema: FeatureSchema, name: str, by: Bucketizer | None) -> Embedding | None:
    """How ids are pooled, where a graph input wants them so."""
    if by is None:
        return None
    return Embedding(schema.embedding_name or name, schema.embedding_dim, schema.pooling)


def split_default(text: str, separator: str) -> tuple[bytes, ...]:
    """The default's values; an empty default has none."""
    return tuple(part for part in split(text.encode(), separator.encode()) if part)


def _check_separator(separator: str, context: Context) -> None:
    size = len(separator.encode())
    if size > _LONGEST_SEPARATOR:
        context.problem("separator", f"{size} bytes; at most {_LONGEST_SEPARATOR} are supported")
    if size > 1 and "\x1d" in separator:
        context.problem("separator", "\\x1d separates values by itself and stands in no longer one")


def _check_numbers(default: tuple[bytes, ...], exactly: int, context: Context) -> None:
    for value in default:
        if parse_float(value) is None:
            context.problem("default_value", f"{value.decode()!r} is not a number")
    if exactly and len(default) not in (0, 1, exactly):
        context.problem("default_value", f"{len(default)} values; give one, or value_dim of them")


def _given(schema: FeatureSchema, allowed: tuple[str, ...], context: Context) -> list[str]:
    """Which bucketizers a config gives; a problem for those that its type does not take."""
    every = dict.fromkeys((*TEXT_BUCKETIZERS, *NUMBER_BUCKETIZERS))
    given = [key for key in every if getattr(schema, key) is not None]
    for key in given:
        if key not in allowed:
            context.problem(key, f"not for this feature; it takes {', '.join(allowed)}")
    return [key for key in given if key in allowed]


def _text_buckets(schema: FeatureSchema, context: Context, prefixed: bool) -> Bucketizer | None:
    given = _given(schema, TEXT_BUCKETIZERS, context)
    if not given and schema.stub_type:
        return None
    if len(given) != 1:
        what = " and ".join(given) + " exclude each other" if given else "none is given"
        allowed = ", ".join(TEXT_BUCKETIZERS)
        hint = "" if given else _ELSEWHERE[context.dialect.name]
        context.problems.append(f"{context.path}: {what}; give one of {allowed}{hint}")
        return None
    if schema.hash_bucket_size is not None:
        return HashBucket(schema.hash_bucket_size, context.hash)
    if schema.num_buckets is not None:
        if schema.need_prefix or (prefixed and schema.need_prefix is None):
            context.problem(
                "need_prefix", "a prefixed value is no integer for num_buckets; write false"
            )
        return NumBuckets(schema.num_buckets)
    return _vocabulary(schema, context)


def _vocabulary(schema: FeatureSchema, context: Context) -> Vocabulary | None:
    default, unlisted = schema.default_value or "", schema.default_bucketize_value
    if unlisted is None and not context.dialect.reserves_codes:
        unlisted = 0
    found: Vocabulary | None = None
    if schema.vocab_list is not None:
        words = schema.vocab_list
        found = context.attempt(
            "vocab_list", lambda: vocabulary_from_list(words, default, unlisted)
        )
    elif schema.vocab_dict is not None:
        codes = schema.vocab_dict
        found = context.attempt(
            "vocab_dict", lambda: vocabulary_from_dict(codes, default, unlisted)
        )
    elif schema.vocab_file is not None and unlisted is not None:
        path = context.base_dir / schema.vocab_file
        coded = context.dialect.reserves_codes
        found = context.attempt("vocab_file", lambda: vocabulary_from_file(path, unlisted, coded))
    else:
        context.problem("default_bucketize_value", "required with vocab_file, but missing")
    return found


def _number_buckets(schema: FeatureSchema, context: Context) -> Bucketizer | None:
    given = _given(schema, NUMBER_BUCKETIZERS, context)
    if len(given) > 1:
        context.problems.append(f"{context.path}: {' and '.join(given)} exclude each other")
    if schema.num_buckets is not None:
        return NumBuckets(schema.num_buckets)
    if schema.boundaries is None:
        return None
    edges = schema.boundaries
    ordered = all(a < b for a, b in pairwise(edges))
    if not edges or not ordered or not all(map(math.isfinite, edges)):
        context.problem("boundaries", "finite numbers in strictly increasing order are needed")
    return Boundaries(tuple(edges))


def _normalizer(schema: FeatureSchema, context: Context, numeric: bool) -> Normalizer | None:
    text = schema.normalizer
    if text is None:
        return None
    if not numeric:
        context.problem("normalizer", "only for numbers")
        return None
    found: Normalizer | None = context.attempt("normalizer", lambda: parse_normalizer(text))
    return found
