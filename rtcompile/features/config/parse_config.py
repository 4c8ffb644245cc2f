"""A feature config (fg.json) to a feature plan: every problem at once, each with its path."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rtcompile.errors import ConfigError
from rtcompile.features.config.read_config import read_config, text_problems
from rtcompile.features.config.top_level import read_top_level
from rtcompile.features.config.validate import converted
from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.schema import (
    BoolMaskSchema,
    CombineSchema,
    ComboSchema,
    CustomSchema,
    ExprSchema,
    FeatureSchema,
    IdSchema,
    KvDotProductSchema,
    LookupSchema,
    MatchSchema,
    OverlapSchema,
    RawSchema,
    RegexReplaceSchema,
    SequenceSchema,
    TextNormalizerSchema,
    TokenizeSchema,
    problems_of,
)
from rtcompile.features.plan import Feature, FeaturePlan, Sequence, Side
from rtcompile.features.types.bool_mask_feature import bool_mask_feature
from rtcompile.features.types.combine_feature import combine_feature
from rtcompile.features.types.combo_feature import combo_feature
from rtcompile.features.types.custom_feature import custom_feature
from rtcompile.features.types.expr_feature import expr_feature
from rtcompile.features.types.id_feature import id_feature
from rtcompile.features.types.kv_dot_product import kv_dot_product
from rtcompile.features.types.lookup_feature import lookup_feature
from rtcompile.features.types.match_feature import match_feature
from rtcompile.features.types.overlap_feature import overlap_feature
from rtcompile.features.types.raw_feature import raw_feature
from rtcompile.features.types.regex_replace_feature import regex_replace_feature
from rtcompile.features.types.text_normalizer import text_normalizer
from rtcompile.features.types.tokenize_feature import tokenize_feature

__all__ = ["SUPPORTED_TYPES", "load_config"]

# type -> (schema, conversion)
SUPPORTED_TYPES: dict[str, tuple[type[FeatureSchema], Callable[..., Feature]]] = {
    "id_feature": (IdSchema, id_feature),
    "raw_feature": (RawSchema, raw_feature),
    "combo_feature": (ComboSchema, combo_feature),
    "lookup_feature": (LookupSchema, lookup_feature),
    "match_feature": (MatchSchema, match_feature),
    "expr_feature": (ExprSchema, expr_feature),
    "overlap_feature": (OverlapSchema, overlap_feature),
    "combine_feature": (CombineSchema, combine_feature),
    "kv_dot_product": (KvDotProductSchema, kv_dot_product),
    "bool_mask_feature": (BoolMaskSchema, bool_mask_feature),
    "tokenize_feature": (TokenizeSchema, tokenize_feature),
    "text_normalizer": (TextNormalizerSchema, text_normalizer),
    "regex_replace_feature": (RegexReplaceSchema, regex_replace_feature),
    "custom_feature": (CustomSchema, custom_feature),
}

# Types that the generator has, and whose meaning no public document tells.
_UNKNOWN_TYPES = ("slice_feature", "bm25_feature", "str_replace_feature", "string_replace_feature")

_SEQUENCE = "sequence_"

# Of a message, and of a refusal.
_LONGEST_PROBLEM, _MOST_PROBLEMS = 600, 100


def load_config(
    source: str | Path | Mapping[str, Any],
    base_dir: str | Path | None = None,
    hash: str | None = None,
) -> FeaturePlan:
    """Read and check a config: a path, or its content as a mapping.

    `base_dir` is where vocabulary files are looked for, by default the config's own folder. `hash`,
    "murmur" or "farmhash", overrides the config's top-level key. Raises ConfigError.
    """
    content: Any
    if not isinstance(source, str | Path):
        content = source
        name, folder = "feature config", Path(base_dir or ".")
    else:
        content = read_config(Path(source))
        name, folder = str(source), Path(base_dir or Path(source).parent)
    problems: list[str] = []
    features = _features(content, folder, hash, problems)
    if problems:
        raise ConfigError(_listed(problems), name)
    return FeaturePlan(tuple(feature for feature in features if not feature.stub), name)


def _listed(problems: list[str]) -> list[str]:
    """The problems, none longer than can be read, and no more of them."""
    found = [p if len(p) <= _LONGEST_PROBLEM else f"{p[:_LONGEST_PROBLEM]}..." for p in problems]
    left = len(found) - _MOST_PROBLEMS
    return found if left <= 0 else [*found[:_MOST_PROBLEMS], f"and {left} more"]


def _features(content: Any, folder: Path, hash: str | None, problems: list[str]) -> list[Feature]:
    if not isinstance(content, Mapping) or not isinstance(content.get("features"), list):
        problems.append("an object with a list under the key 'features' is needed")
        return []
    problems.extend(text_problems(content))
    if problems:
        return []
    top = read_top_level(content, folder, hash, problems)
    features: list[Feature] = []
    known: dict[str, Feature] = {}
    broken: set[str] = set()
    for index, item in enumerate(content["features"]):
        context = Context(
            f"features[{index}]",
            folder,
            top.hash,
            problems,
            known=known,
            broken=broken,
            dialect=top.dialect,
            pipeline=top.pipeline,
            embedding_dim=top.embedding_dim,
        )
        found = _entry(item, context)
        features.extend(found)
        known.update({feature.name: feature for feature in found})
    for name, count in Counter(feature.name for feature in features).items():
        if count > 1:
            paths = ", ".join(f.path for f in features if f.name == name)
            problems.append(f"{paths}: the output name {name!r} is used {count} times")
    return features


def _entry(item: Any, context: Context) -> list[Feature]:
    if not isinstance(item, Mapping):
        context.problems.append(f"{context.path}: an object is needed")
        return []
    if "sequence_name" in item:
        return _sequence(item, context)
    feature = _feature(item, context)
    return [feature] if feature else []


def _sequence(item: Mapping[str, Any], context: Context) -> list[Feature]:
    try:
        schema = SequenceSchema.model_validate(dict(item))
    except ValidationError as error:
        context.problems.extend(problems_of(error, context.path, SequenceSchema))
        return []
    sequence = Sequence(
        schema.sequence_name, schema.sequence_delim.encode(), schema.sequence_length
    )
    side, named, _ = (schema.sequence_pk or "").partition(":")
    if not named:  # a bare name, or none: a behaviour sequence is the user's
        side = Side.USER.value
    if side not in [s.value for s in Side]:
        context.problem("sequence_pk", f"{schema.sequence_pk!r} is not allowed; write user:NAME")
        side = Side.USER.value
    found: list[Feature] = []
    known = dict(context.known)
    for index, inner in enumerate(schema.features):
        own = replace(
            context,
            path=f"{context.path}.features[{index}]",
            sequence=sequence,
            grouped=True,
            side=Side(side),
            known=known,
        )
        feature = _feature(inner, own)
        if feature:
            found.append(feature)
            known[feature.name] = feature
    return found


def _feature(item: Mapping[str, Any], context: Context) -> Feature | None:
    given = str(item.get("feature_type", ""))
    plain_sequence = given.startswith(_SEQUENCE) and not context.grouped
    kind = given.removeprefix(_SEQUENCE) if plain_sequence else given
    if kind not in SUPPORTED_TYPES:
        context.problem("feature_type", _unknown_type(given, kind))
        context.broken.add(str(item.get("feature_name")))
        return None
    schema_type, convert = SUPPORTED_TYPES[kind]

    def named(schema: FeatureSchema, context: Context) -> Feature:
        return convert(schema, _named(schema, context, kind, plain_sequence), context)

    if context.dialect.refused.get(kind):
        context.problem("feature_type", context.dialect.refused[kind])
    return converted(_completed(item, context), schema_type, context, named)


def _completed(item: Mapping[str, Any], context: Context) -> Mapping[str, Any]:
    """The item with what EasyRec says of it elsewhere."""
    found = dict(item)
    if context.pipeline is not None:
        group = context.sequence.group if context.sequence and context.grouped else None
        found = context.pipeline.completed(item, group, context.problem)
    if context.embedding_dim is not None and not {"embedding_dim", "embedding_dimension"} & set(
        found
    ):
        found["embedding_dim"] = context.embedding_dim
    return found


def _named(schema: FeatureSchema, context: Context, kind: str, plain_sequence: bool) -> str:
    """The output's name; a sequence of its own goes to `context`."""
    name = schema.feature_name
    if plain_sequence or (schema.is_sequence and not context.grouped):
        delimiter = (schema.sequence_delim or ";").encode()
        context.sequence = Sequence(name, delimiter, schema.sequence_length or 50)
    elif schema.makes_no_sequence and (schema.sequence_delim or schema.sequence_length):
        context.problem("feature_type", f"sequence keys need the type {_SEQUENCE}{kind}")
    if context.grouped and context.sequence is not None:
        name = f"{context.sequence.group}__{name}"
    return name


def _unknown_type(given: str, kind: str) -> str:
    if kind in _UNKNOWN_TYPES:
        return (
            f"{given!r} is not supported: no document tells what it makes of its inputs; compute "
            "it by a custom_feature or a regex_replace_feature, or before the request"
        )
    supported = ", ".join([*SUPPORTED_TYPES, *(f"{_SEQUENCE}{t}" for t in SUPPORTED_TYPES)])
    near = difflib.get_close_matches(kind, SUPPORTED_TYPES, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{given!r} is not a feature type{hint}. Supported are {supported}"
