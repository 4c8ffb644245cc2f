"""A feature plan as TensorFlow ops: from string tensors to the network's inputs.

Covers what the workloads have. Text comes as one string a value, as in EasyRec's exported graphs;
single ids are hashed whole, several are split. A feature of the user has one row. The maps of all
look-ups are parsed together, an op a step for all of them, and keys are compared by their hashes: a
graph with ops of its own for each of hundreds of maps would be many times slower.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from rtcompile.bench.tensorflow_maps import TensorFlowMaps
from rtcompile.compile.binding import BoundInput, Form
from rtcompile.errors import UnsupportedError
from rtcompile.features.operators import Lookup, Match, Values
from rtcompile.features.plan import (
    Boundaries,
    Feature,
    HashBucket,
    Input,
    Log10Normalizer,
    MinMaxNormalizer,
    NumBuckets,
    Vocabulary,
    ZScoreNormalizer,
)

__all__ = ["TensorFlowInputs"]


class TensorFlowInputs:
    """Makes the inputs of a network from raw columns. Raises UnsupportedError for what is not
    covered."""

    def __init__(self, tf: Any, bound: Sequence[BoundInput]) -> None:
        self._tf, self._bound = tf, bound
        self._tables = {
            b.feature.embedding.table: tf.constant(b.table)
            for b in bound
            if b.table is not None and b.feature.embedding is not None
        }
        self._vocabularies = {
            b.feature.name: self._static_table(b.feature.bucketizer)
            for b in bound
            if isinstance(b.feature.bucketizer, Vocabulary)
        }
        self._maps = TensorFlowMaps(tf, [b.feature for b in bound])

    def _static_table(self, vocabulary: Vocabulary) -> Any:
        lookup = self._tf.lookup
        words, codes = zip(*vocabulary.entries, strict=True)
        pairs = lookup.KeyValueTensorInitializer(list(words), np.array(codes, np.int64))
        return lookup.StaticHashTable(pairs, vocabulary.default_code)

    def __call__(self, columns: dict[Input, Any]) -> dict[str, Any]:
        """Graph input -> tensor; `columns`: tensor of the strings, or floats, of each column."""
        looked_up = self._maps(columns)
        return {b.port.name: self._one(b, columns, looked_up) for b in self._bound}

    def _one(self, b: BoundInput, columns: dict[Input, Any], looked_up: dict[str, Any]) -> Any:
        tf, feature = self._tf, b.feature
        if isinstance(feature.operator, Lookup | Match):
            given = looked_up[feature.name]
        elif _is_plain(feature):
            given = columns[feature.columns[0]]
        else:
            raise UnsupportedError(f"tensorflow: {feature.path} has no counterpart here")
        if feature.sequence is not None:
            return self._sequence(b, given)
        if b.form is Form.NUMBERS:
            return tf.reshape(self._normalized(feature, given), (-1, *b.port.shape))
        if b.form is Form.IDS:
            return tf.reshape(self._ids(feature, given), (-1, *b.port.shape))
        return self._pooled(feature, given)

    def _sequence(self, b: BoundInput, given: Any) -> Any:
        """Of the user: one row."""
        tf, sequence = self._tf, b.feature.sequence
        assert sequence is not None
        parts = tf.strings.split(given, sequence.delimiter).values[: sequence.length]
        if b.form is Form.LENGTHS:
            return tf.reshape(tf.size(parts, out_type=tf.int64), (1, *b.port.shape))
        if b.form is not Form.IDS:
            raise UnsupportedError(f"tensorflow: {b.feature.path} has no counterpart here")
        ids = self._ids(b.feature, parts)
        padded = tf.pad(ids, [[0, sequence.length - tf.size(ids)]])
        return tf.reshape(padded, (1, sequence.length))

    def _pooled(self, feature: Feature, given: Any) -> Any:
        tf = self._tf
        assert feature.embedding is not None
        tokens = tf.strings.split(given, feature.separator)
        ids = tokens.with_values(self._ids(feature, tokens.values))
        found = tf.nn.embedding_lookup_sparse(
            self._tables[feature.embedding.table], ids, None, combiner=feature.embedding.pooling
        )
        found.set_shape((given.shape[0], found.shape[1]))
        return found

    def _ids(self, feature: Feature, given: Any) -> Any:
        tf, by = self._tf, feature.bucketizer
        if isinstance(by, HashBucket):
            if by.hash != "farmhash":
                raise UnsupportedError(f"tensorflow: {feature.path}: its hash is farmhash")
            return tf.strings.to_hash_bucket_fast(given, by.buckets)
        if isinstance(by, NumBuckets):
            return tf.strings.to_number(given, tf.int64)
        if isinstance(by, Vocabulary):
            return self._vocabularies[feature.name].lookup(given)
        assert isinstance(by, Boundaries)
        found = tf.raw_ops.Bucketize(
            input=self._normalized(feature, given), boundaries=list(by.values)
        )
        return tf.cast(found, tf.int64)

    def _normalized(self, feature: Feature, x: Any) -> Any:
        tf, normalizer = self._tf, feature.normalizer
        if normalizer is None:
            return x
        if isinstance(normalizer, ZScoreNormalizer):
            return (x - normalizer.mean) / normalizer.standard_deviation
        if isinstance(normalizer, MinMaxNormalizer):
            return (x - normalizer.minimum) / (normalizer.maximum - normalizer.minimum)
        if isinstance(normalizer, Log10Normalizer):
            positive = tf.math.log(x) / float(np.log(10))
            return tf.where(x > normalizer.threshold, positive, normalizer.default)
        raise UnsupportedError(f"tensorflow: the normalizer of {feature.path} has no counterpart")


def _is_plain(feature: Feature) -> bool:
    column = isinstance(feature.operator, Values) and isinstance(feature.inputs[0], Input)
    return column and not feature.weighted and not feature.prefix
