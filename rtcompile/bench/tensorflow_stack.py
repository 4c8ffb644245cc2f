"""TensorFlow from raw strings to scores, as a peer: one traced graph, one thread.

Needs TensorFlow: ImportError where it is not installed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.bench.bound_model import BoundModel
from rtcompile.bench.tensorflow_inputs import TensorFlowInputs
from rtcompile.bench.tensorflow_network import TensorFlowNetwork
from rtcompile.errors import UnsupportedError
from rtcompile.features.operators import Values
from rtcompile.features.plan import Input, Side

__all__ = ["TensorFlowStack", "import_tensorflow"]

# (side, whether text): columns of a kind come in one tensor, [columns, rows].
_Kind = tuple[Side, bool]


def import_tensorflow() -> Any:
    """TensorFlow on one thread. Raises ImportError."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow

    tensorflow.config.threading.set_intra_op_parallelism_threads(1)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    return tensorflow


class TensorFlowStack:
    """Scores requests whose text fields are strings. Items are raw fields, as given."""

    def __init__(self, bound: BoundModel) -> None:
        self._tf = tf = import_tensorflow()
        self._bound = bound
        self._kinds: dict[_Kind, list[Input]] = {}
        for column, text in _columns(bound).items():
            self._kinds.setdefault((column.side, text), []).append(column)
        inputs = TensorFlowInputs(tf, bound.inputs)
        network = TensorFlowNetwork(tf, bound.model)
        signature = [
            tf.TensorSpec((len(columns), 1 if side is Side.USER else None), _dtype(tf, text))
            for (side, text), columns in self._kinds.items()
        ]

        def run(*tensors: Any) -> list[Any]:
            columns: dict[Input, Any] = {}
            for names, tensor in zip(self._kinds.values(), tensors, strict=True):
                columns.update(zip(names, tf.unstack(tensor), strict=True))
            return network(inputs(columns))

        function = tf.function(run, input_signature=signature, autograph=False)
        self._call = function.get_concrete_function()

    def prepared(
        self,
        user: Mapping[str, Any],
        items: Sequence[Mapping[str, Any]],
        context: Mapping[str, Sequence[Any]],
    ) -> Callable[[], list[Any]]:
        """A call on tensors of the raw fields, which are made here. Returns the graph's outputs."""
        tensors = []
        for (side, text), columns in self._kinds.items():
            rows: list[Sequence[Any]] = []
            for column in columns:
                if side is Side.USER:
                    rows.append([user[column.name]])
                elif side is Side.ITEM:
                    rows.append([item[column.name] for item in items])
                else:
                    rows.append(context[column.name])
            given = _texts(rows) if text else np.array(rows, np.float32)
            tensors.append(self._tf.constant(given, _dtype(self._tf, text)))
        return lambda: self._call(*tensors)

    def scores(self, call: Callable[[], list[Any]]) -> dict[str, npt.NDArray[Any]]:
        """Graph output -> array, of a prepared call."""
        return dict(zip(self._bound.outputs, (x.numpy() for x in call()), strict=True))


def _texts(rows: Sequence[Sequence[Any]]) -> list[list[str]]:
    for row in rows:
        for value in row:
            if not isinstance(value, str | int):
                raise UnsupportedError(f"tensorflow: a text field is one string, not {value!r}")
    return [[str(value) for value in row] for row in rows]


def _columns(bound: BoundModel) -> dict[Input, bool]:
    """Raw column -> whether it is text."""
    found: dict[Input, bool] = {}
    for b in bound.inputs:
        number = isinstance(b.feature.operator, Values) and b.feature.numeric
        found.update(dict.fromkeys(b.feature.columns, not number))
    return found


def _dtype(tf: Any, text: bool) -> Any:
    return tf.string if text else tf.float32
