"""id_feature: strings or integers to ids, one or many a row."""

from __future__ import annotations

from rtcompile.features.base import Context, embedding_of, input_column, split_default
from rtcompile.features.plan import Bucketizer, Feature, HashBucket, NumBuckets, Vocabulary
from rtcompile.features.schema import IdSchema
from rtcompile.features.vocabulary import (
    vocabulary_from_dict,
    vocabulary_from_file,
    vocabulary_from_list,
)

__all__ = ["id_feature"]

_BUCKETIZERS = ("hash_bucket_size", "num_buckets", "vocab_list", "vocab_dict", "vocab_file")


def id_feature(schema: IdSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    bucketizer = _bucketizer(schema, context)
    default = schema.default_value or ""
    return Feature(
        name=name,
        kind="id",
        input=input_column(schema, context),
        value_type=schema.value_type,
        separator=schema.separator.encode(),
        default=split_default(default, schema.separator),
        value_dim=schema.value_dim,
        weighted=schema.weighted,
        kv_separator=schema.kv_delimiter.encode(),
        prefix=f"{schema.feature_name}_".encode() if schema.need_prefix else b"",
        bucketizer=bucketizer,
        normalizer=None,
        sequence=context.sequence,
        embedding=embedding_of(schema, name, bucketizer),
        path=context.path,
    )


def _bucketizer(schema: IdSchema, context: Context) -> Bucketizer | None:
    given = [key for key in _BUCKETIZERS if getattr(schema, key) is not None]
    if len(given) != 1:
        what = " and ".join(given) + " exclude each other" if given else "none is given"
        context.problems.append(f"{context.path}: {what}; give one of {', '.join(_BUCKETIZERS)}")
        return None
    if schema.hash_bucket_size is not None:
        return HashBucket(schema.hash_bucket_size, context.hash)
    if schema.num_buckets is not None:
        if schema.need_prefix:
            context.problem("need_prefix", "a prefixed value is no integer for num_buckets")
        return NumBuckets(schema.num_buckets)
    return _vocabulary(schema, context)


def _vocabulary(schema: IdSchema, context: Context) -> Vocabulary | None:
    default, unlisted = schema.default_value or "", schema.default_bucketize_value
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
        found = context.attempt("vocab_file", lambda: vocabulary_from_file(path, unlisted))
    else:
        context.problem("default_bucketize_value", "required with vocab_file, but missing")
    return found
