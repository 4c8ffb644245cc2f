"""EasyRec's pipeline.config: what it adds to the features of an fg.json.

EasyRec generates features by fg.json and trains on them by pipeline.config, whose `feature_configs`
(or `feature_config { features {...} }`) have each feature's bucket size, vocabulary, embedding and
combiner. A feature_config belongs to the feature whose name is its `feature_name`, its first
`input_names`, or one of its `shared_names`; those of a grouped sequence are called
`sequence_feature` or `sequence__feature`.

Where both files give a value, it must be the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtcompile.features.conversion.read_file import read_text
from rtcompile.features.conversion.text_proto import Message, Scalar, parse_text_proto

__all__ = ["PipelineConfig", "read_pipeline_config"]

_BUCKETS = ("hash_bucket_size", "num_buckets", "vocab_list", "vocab_file")
# What features of numbers take; the buckets are those of texts.
_OF_NUMBERS = ("boundaries", "value_dim", "embedding_dim", "embedding_name", "pooling")
_OF_TEXTS = (*_BUCKETS, "embedding_dim", "embedding_name", "pooling")

# Key of an fg.json -> (that of a feature_config, whether it is repeated).
_KEYS = {
    **{key: (key, key == "vocab_list") for key in _BUCKETS},
    "boundaries": ("boundaries", True),
    "value_dim": ("raw_input_dim", False),
    "embedding_dim": ("embedding_dim", False),
    "embedding_name": ("embedding_name", False),
    "pooling": ("combiner", False),
}
_SPELLINGS: dict[str, tuple[str, ...]] = {
    "value_dim": ("value_dim", "value_dimension"),
    "boundaries": ("boundaries", "bucketize_boundaries"),
    "embedding_dim": ("embedding_dim", "embedding_dimension"),
    "embedding_name": ("embedding_name", "shared_name"),
    "pooling": ("pooling", "combiner"),
}
_NUMBER_TYPES = ("raw_feature", "expr_feature", "kv_dot_product", "combine_feature")


@dataclass(frozen=True)
class PipelineConfig:
    """Feature -> what its feature_config says, by the keys of an fg.json."""

    features: Mapping[str, Mapping[str, Any]]

    def completed(
        self, item: Mapping[str, Any], group: str | None, problem: Callable[[str, str], None]
    ) -> dict[str, Any]:
        """The item with what it leaves out. `problem`: takes a key that both files give."""
        found = dict(item)
        kind = str(item.get("feature_type", "")).removeprefix("sequence_")
        discrete = item.get("needDiscrete", item.get("need_discrete", True))
        numeric = kind in _NUMBER_TYPES or not discrete
        more = self._of(str(item.get("feature_name")), group)
        for key in _OF_NUMBERS if numeric else _OF_TEXTS:
            if key not in more:
                continue
            given = [name for name in _SPELLINGS.get(key, (key,)) if name in item]
            if key == "pooling" and given and kind in ("lookup_feature", "match_feature"):
                given = [name for name in given if name != "combiner"]  # it combines numbers
            if not given:
                found[key] = more[key]
            elif not _same(item[given[0]], more[key]):
                problem(given[0], f"{item[given[0]]!r}, but pipeline.config has {more[key]!r}")
        return found

    def _of(self, name: str, group: str | None) -> Mapping[str, Any]:
        names = [name] if group is None else [f"{group}__{name}", f"{group}_{name}"]
        return next((self.features[one] for one in names if one in self.features), {})


def read_pipeline_config(path: Path) -> PipelineConfig:
    """Read the file. Raises OSError, or ValueError that says what is wrong where."""
    content = parse_text_proto(read_text(path))
    configs = content.messages("feature_configs")
    for outer in content.messages("feature_config"):
        configs += outer.messages("features")
    if not configs:
        raise ValueError("it has no feature_configs; EasyRec's pipeline.config is needed")
    found: dict[str, dict[str, Any]] = {}
    for config in configs:
        keys = _keys(config)
        for name in _names(config):
            if name in found and found[name] != keys:
                raise ValueError(f"two feature_configs are called {name!r}")
            found[name] = keys
    return PipelineConfig(found)


def _names(config: Message) -> list[str]:
    inputs = [value for value in config.all("input_names") if isinstance(value, str)]
    own = config.last("feature_name")
    names = [own] if isinstance(own, str) and own else inputs[:1]
    if not names:
        raise ValueError("a feature_config has neither feature_name nor input_names")
    return names + [value for value in config.all("shared_names") if isinstance(value, str)]


def _keys(config: Message) -> dict[str, Any]:
    """What it gives; zeros and empty texts are a field's absence."""
    found: dict[str, Any] = {}
    for key, (field, repeated) in _KEYS.items():
        values = config.all(field)
        given: Scalar | Message | list[Any] = values if repeated else values[-1] if values else ""
        if given:
            found[key] = _numbers(given) if key == "boundaries" else given
    return found


def _numbers(values: Any) -> Any:
    return [float(v) if isinstance(v, int) and not isinstance(v, bool) else v for v in values]


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, str) and isinstance(other, list):  # boundaries as "1,2"
        return [part.strip() for part in one.split(",")] == [f"{value:g}" for value in other]
    return bool(one == other)
