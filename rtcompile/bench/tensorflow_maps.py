"""Look-ups in the user's maps as TensorFlow ops: those of all features together.

Text "key:value" joined by \\x1d, and "first^second:value,..." joined by |, with different keys. A
pair of keys is one key, "first^second". Keys are single values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtcompile.errors import UnsupportedError
from rtcompile.features.operators import Lookup, Match
from rtcompile.features.plan import Feature, Input

__all__ = ["TensorFlowMaps"]

_HASHES = (1 << 63) - 1


class TensorFlowMaps:
    """Makes the values of every lookup and match feature: [rows] each, numbers or strings."""

    def __init__(self, tf: Any, features: Sequence[Feature]) -> None:
        self._tf = tf
        self._groups: dict[tuple[type, bool], list[Feature]] = {}
        for feature in features:
            if isinstance(feature.operator, Lookup | Match):
                self._check(feature)
                key = (type(feature.operator), feature.numeric)
                self._groups.setdefault(key, []).append(feature)

    def _check(self, feature: Feature) -> None:
        operator = feature.operator
        shown = isinstance(operator, Lookup) and operator.show_key
        if isinstance(operator, Match):
            shown = operator.wild or operator.show_first or operator.show_second
        if (
            shown
            or len(feature.default) != 1
            or not all(isinstance(read, Input) for read in feature.inputs)
        ):
            raise UnsupportedError(f"tensorflow: {feature.path} has no counterpart here")

    def __call__(self, columns: dict[Any, Any]) -> dict[str, Any]:
        """Feature -> its values, the default where its map lacks the key."""
        tf = self._tf
        found: dict[str, Any] = {}
        for (kind, numeric), features in self._groups.items():
            texts = tf.concat([columns[f.inputs[0]] for f in features], 0)
            keys, values = (self._pairs if kind is Lookup else self._nested_pairs)(texts)
            defaults: Any = [feature.default[0] for feature in features]
            if numeric:
                values = tf.strings.to_number(values.values)
                values = keys.with_values(values)
                defaults = [float(text) for text in defaults]
            prefixes = [feature.prefix for feature in features]
            wanted = self._wanted(features, columns)
            rows = self._probe(keys, values, wanted, prefixes, defaults)
            found.update(zip([f.name for f in features], tf.unstack(rows), strict=True))
        return found

    def _pairs(self, texts: Any) -> tuple[Any, Any]:
        """Hashed keys and values of every map, ragged [maps, entries]."""
        tf = self._tf
        entries = tf.strings.split(texts, "\x1d")
        return self._cut(entries, entries.values)

    def _nested_pairs(self, texts: Any) -> tuple[Any, Any]:
        tf = self._tf
        outer = tf.strings.split(texts, "|")
        halves = tf.reshape(tf.strings.split(outer.values, "^").values, (-1, 2))
        inner = tf.strings.split(halves[:, 1], ",")
        firsts = tf.gather(halves[:, 0], inner.value_rowids())
        whole = outer.with_values(inner).merge_dims(1, 2)
        return self._cut(whole, tf.strings.join([firsts, inner.values], "^"))

    def _cut(self, entries: Any, texts: Any) -> tuple[Any, Any]:
        tf = self._tf
        halves = tf.reshape(tf.strings.split(texts, ":").values, (-1, 2))
        hashes = tf.strings.to_hash_bucket_fast(halves[:, 0], _HASHES)
        return entries.with_values(hashes), entries.with_values(halves[:, 1])

    def _wanted(self, features: Sequence[Feature], columns: dict[Any, Any]) -> Any:
        """The hashes of the keys, [features, rows]; of equal columns once."""
        tf = self._tf
        distinct = list(dict.fromkeys(feature.inputs[1:] for feature in features))
        texts = [tf.strings.join([columns[read] for read in reads], "^") for reads in distinct]
        hashes = tf.strings.to_hash_bucket_fast(tf.stack(texts), _HASHES)
        return tf.gather(hashes, [distinct.index(feature.inputs[1:]) for feature in features])

    def _probe(self, keys: Any, values: Any, wanted: Any, prefixes: Any, defaults: Any) -> Any:
        """[features, rows]: the value of the equal key, behind the feature's prefix."""
        tf = self._tf
        starts = keys.row_starts()[:, None]
        equal = tf.equal(keys.to_tensor(-1)[:, None, :], wanted[:, :, None])
        places = tf.argmax(tf.cast(equal, tf.uint8), 2)
        hit = tf.reduce_any(equal, 2)
        taken = tf.gather(values.values, tf.where(hit, starts + places, 0))
        if any(prefixes):
            before = tf.broadcast_to(tf.constant(prefixes)[:, None], tf.shape(taken))
            taken = tf.strings.join([before, taken])
        return tf.where(hit, taken, tf.constant(defaults)[:, None])
