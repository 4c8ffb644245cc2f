"""A feature config (fg.json) to a feature plan: every problem at once, each with its path."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from rtcompile.errors import ConfigError
from rtcompile.features.base import Context
from rtcompile.features.bool_mask_feature import bool_mask_feature
from rtcompile.features.combine_feature import combine_feature
from rtcompile.features.combo_feature import combo_feature
from rtcompile.features.custom_feature import custom_feature
from rtcompile.features.expr_feature import expr_feature
from rtcompile.features.hashing import HASHES
from rtcompile.features.id_feature import id_feature
from rtcompile.features.kv_dot_product import kv_dot_product
from rtcompile.features.lookup_feature import lookup_feature
from rtcompile.features.match_feature import match_feature
from rtcompile.features.overlap_feature import overlap_feature
from rtcompile.features.plan import Feature, FeaturePlan, Sequence, Side
from rtcompile.features.raw_feature import raw_feature
from rtcompile.features.schema import (
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
    SequenceSchema,
    TextNormalizerSchema,
    TokenizeSchema,
    problems_of,
)
from rtcompile.features.text_normalizer import text_normalizer
from rtcompile.features.tokenize_feature import tokenize_feature
from rtcompile.features.validate import converted

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
    "custom_feature": (CustomSchema, custom_feature),
}

_SEQUENCE = "sequence_"
_TOP_LEVEL = ("features", "hash")
# What to pass on from the data's columns, how a generator writes several values, and how EasyRec is
# to train.
_IGNORED = (
    *("reserves", "multi_val_sep", "embedding_dim", "label_fields", "model_dir", "model_path"),
    *("model_type", "num_steps", "train_path", "eval_path", "edit_config_json"),
)


def load_config(
    source: str | Path | Mapping[str, Any],
    base_dir: str | Path | None = None,
    hash: str | None = None,
) -> FeaturePlan:
    """Read and check a config: a path, or its content as a mapping.

    `base_dir` is where vocabulary files are looked for, by default the config's own folder. `hash`,
    "murmur" or "farmhash", overrides the config's top-level key. Raises ConfigError.
    """
    if isinstance(source, Mapping):
        content: Any = source
        name, folder = "feature config", Path(base_dir or ".")
    else:
        content = _read(Path(source))
        name, folder = str(source), Path(base_dir or Path(source).parent)
    problems: list[str] = []
    features = _features(content, folder, hash, problems)
    if problems:
        raise ConfigError(problems, name)
    return FeaturePlan(tuple(feature for feature in features if not feature.stub), name)


def _read(path: Path) -> Any:
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8: {error.reason} at byte {error.start}", str(path)) from error
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ConfigError(f"not JSON: {error.msg} at {where}", str(path)) from error
    except _DuplicateKeyError as error:
        raise ConfigError(f"key {error} is given twice in one object", str(path)) from error
    except RecursionError as error:
        raise ConfigError("not a feature config: nested too deeply", str(path)) from error


class _DuplicateKeyError(Exception):
    pass


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    counts = Counter(key for key, _ in pairs)
    for key, count in counts.items():
        if count > 1:
            raise _DuplicateKeyError(repr(key))
    return dict(pairs)


def _features(content: Any, folder: Path, hash: str | None, problems: list[str]) -> list[Feature]:
    if not isinstance(content, Mapping) or not isinstance(content.get("features"), list):
        problems.append("an object with a list under the key 'features' is needed")
        return []
    for key in content:
        if key not in (*_TOP_LEVEL, *_IGNORED):
            near = difflib.get_close_matches(str(key), _TOP_LEVEL, n=1)
            problems.append(
                f"{key}: unknown key" + (f"; did you mean {near[0]!r}?" if near else "")
            )
    chosen = hash or content.get("hash", "murmur")
    if chosen not in HASHES:
        problems.append(f"hash: {chosen!r} is not allowed; use one of {', '.join(HASHES)}")
    features: list[Feature] = []
    known: dict[str, Feature] = {}
    broken: set[str] = set()
    for index, item in enumerate(content["features"]):
        context = Context(
            f"features[{index}]", folder, str(chosen), problems, known=known, broken=broken
        )
        features.extend(_entry(item, context))
        known.update({feature.name: feature for feature in features})
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
        path = f"{context.path}.features[{index}]"
        common = (context.base_dir, context.hash, context.problems, sequence, True, Side(side))
        feature = _feature(inner, Context(path, *common, known, context.broken))
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

    return converted(item, schema_type, context, named)


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
    supported = ", ".join([*SUPPORTED_TYPES, *(f"{_SEQUENCE}{t}" for t in SUPPORTED_TYPES)])
    near = difflib.get_close_matches(kind, SUPPORTED_TYPES, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{given!r} is not a feature type{hint}. Supported are {supported}"
