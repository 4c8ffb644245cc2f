"""TensorFlow's ops for the same features, where it has them: the graph that EasyRec would export.

One thread. Each call is a traced function of tensors that were made before.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from rtcompile.bench.feature_cases import DIMENSION, TABLE_ROWS, Case

__all__ = ["TensorFlowFeatures"]


class TensorFlowFeatures:
    """Makes calls of cases. Raises ImportError where TensorFlow is not installed."""

    def __init__(self, table: Any) -> None:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import tensorflow

        self._tf = tensorflow
        tensorflow.config.threading.set_intra_op_parallelism_threads(1)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
        self._embeddings = tensorflow.constant(table)

    def call(self, case: Case) -> Callable[[], object] | None:
        """A call that does what the case does; None where there are no such ops."""
        if not case.peer:
            return None
        tf = self._tf
        given = {name: tf.constant(values) for name, values in case.columns.items()}
        function = tf.function(getattr(self, f"_{case.peer}")(case, given))
        concrete: Callable[[], object] = function.get_concrete_function()
        return concrete

    def _hash(self, case: Case, given: Any) -> Callable[[], Any]:
        tf = self._tf

        def run() -> Any:
            tokens = tf.strings.split(given["tags"], ",")
            return tf.strings.to_hash_bucket_fast(tokens.values, TABLE_ROWS), tokens.row_splits

        return run

    def _pool(self, case: Case, given: Any) -> Callable[[], Any]:
        tf = self._tf

        def run() -> Any:
            tokens = tf.strings.split(given["tags"], ",")
            ids = tf.strings.to_hash_bucket_fast(tokens.values, TABLE_ROWS)
            sparse = tokens.with_values(ids).to_sparse()
            return tf.nn.embedding_lookup_sparse(self._embeddings, sparse, None, combiner="sum")

        assert self._embeddings.shape == (TABLE_ROWS, DIMENSION)
        return run

    def _vocabulary(self, case: Case, given: Any) -> Callable[[], Any]:
        tf = self._tf
        words = case.features[0]["vocab_list"]
        pairs = tf.lookup.KeyValueTensorInitializer(words, np.arange(len(words)))
        table = tf.lookup.StaticHashTable(pairs, 0)

        def run() -> Any:
            tokens = tf.strings.split(given["tags"], ",")
            return table.lookup(tokens.values), tokens.row_splits

        return run

    def _boundaries(self, case: Case, given: Any) -> Callable[[], Any]:
        edges = case.features[0]["boundaries"]
        return lambda: self._tf.raw_ops.Bucketize(input=given["x"], boundaries=edges)

    def _expression(self, case: Case, given: Any) -> Callable[[], Any]:
        tf = self._tf

        def run() -> Any:
            x, y = given["x"], given["y"]
            return tf.where(x > 0, tf.math.log(x + 1) * y, tf.sigmoid(x - y))

        return run

    def _combination(self, case: Case, given: Any) -> Callable[[], Any]:
        tf = self._tf

        def run() -> Any:
            tokens = tf.strings.split(given["tags"], ",")
            joined = tf.strings.join([given["city"][0], tokens.values], "_")
            return tf.strings.to_hash_bucket_fast(joined, TABLE_ROWS), tokens.row_splits

        return run

    def _numbers(self, case: Case, given: Any) -> Callable[[], Any]:
        tf = self._tf

        def run() -> Any:
            tokens = tf.strings.split(given["numbers"], ",")
            return tf.reduce_sum(tokens.with_values(tf.strings.to_number(tokens.values)), 1)

        return run

    def _table(self, case: Case, given: Any) -> Callable[[], Any]:
        tf = self._tf
        tables = []
        for name, cells in case.columns.items():
            if name.startswith("map"):
                pairs = [pair.split(":") for pair in cells[0].split("\x1d")]
                values = np.array([float(value) for _, value in pairs], np.float32)
                initial = tf.lookup.KeyValueTensorInitializer([key for key, _ in pairs], values)
                tables.append(tf.lookup.StaticHashTable(initial, 0.0))
        return lambda: [table.lookup(given["key"]) for table in tables]
