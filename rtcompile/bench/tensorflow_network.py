"""A network of ONNX nodes as TensorFlow ops, one for one.

Covers the operators of the workloads. What depends on the user alone has one row, and stays so
until it meets rows of items: TensorFlow spreads it there, as EasyRec's exported graphs do.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from rtcompile.errors import UnsupportedError

__all__ = ["TensorFlowNetwork"]

_LARGE = 1 << 20  # bytes; a smaller constant becomes part of the graph


class TensorFlowNetwork:
    """Makes the ops of a graph. `constants` are held outside where they are large."""

    def __init__(self, tf: Any, model: Any) -> None:
        self._tf = tf
        self._graph = model.graph
        self._arrays = {t.name: numpy_helper.to_array(t) for t in self._graph.initializer}
        self._large = {
            name: tf.constant(array)
            for name, array in self._arrays.items()
            if array.nbytes > _LARGE and not self._is_weight(name)
        }

    def _is_weight(self, name: str) -> bool:
        """A dense layer's weight stays in the graph, so that kernels may pack it."""
        return any(node.op_type == "MatMul" and name in node.input for node in self._graph.node)

    def __call__(self, inputs: Mapping[str, Any]) -> list[Any]:
        """The outputs, from the tensors of the graph's inputs."""
        values: dict[str, Any] = dict(inputs)
        for name, array in self._arrays.items():
            values[name] = self._large[name] if name in self._large else self._tf.constant(array)
        for node in self._graph.node:
            make = getattr(self, f"_{node.op_type.lower()}", None)
            if make is None:
                raise UnsupportedError(f"tensorflow: {node.op_type} has no counterpart here")
            keys = {a.name: helper.get_attribute_value(a) for a in node.attribute}
            values[node.output[0]] = make(*(values[name] for name in node.input), **keys)
        return [values[output.name] for output in self._graph.output]

    # -- one method an operator, in lower case --------------------------------------------------

    def _gather(self, data: Any, indices: Any, axis: int = 0) -> Any:
        return self._tf.gather(data, indices, axis=axis)

    def _matmul(self, a: Any, b: Any) -> Any:
        tf = self._tf
        if len(a.shape) == 3 and len(b.shape) == 2:
            # One product of matrices is faster than one a row.
            flat = tf.matmul(tf.reshape(a, (-1, a.shape[2])), b)
            return tf.reshape(flat, (-1, a.shape[1], b.shape[1]))
        return tf.matmul(a, b)

    def _add(self, a: Any, b: Any) -> Any:
        return self._tf.nn.bias_add(a, b) if len(b.shape) == 1 else a + b

    def _sub(self, a: Any, b: Any) -> Any:
        return a - b

    def _mul(self, a: Any, b: Any) -> Any:
        return a * b

    def _div(self, a: Any, b: Any) -> Any:
        return a / b

    def _less(self, a: Any, b: Any) -> Any:
        return a < b

    def _relu(self, x: Any) -> Any:
        return self._tf.nn.relu(x)

    def _sigmoid(self, x: Any) -> Any:
        return self._tf.sigmoid(x)

    def _softmax(self, x: Any, axis: int = -1) -> Any:
        return self._tf.nn.softmax(x, axis=axis)

    def _identity(self, x: Any) -> Any:
        return self._tf.identity(x)

    def _cast(self, x: Any, to: int) -> Any:
        dtype = helper.tensor_dtype_to_np_dtype(to)
        return self._tf.cast(x, self._tf.as_dtype(np.dtype(dtype)))

    def _reshape(self, x: Any, shape: Any) -> Any:
        return self._tf.reshape(x, self._tf.get_static_value(shape))

    def _transpose(self, x: Any, perm: list[int]) -> Any:
        return self._tf.transpose(x, perm)

    def _reducesum(self, x: Any, axes: Any, keepdims: int = 1) -> Any:
        return self._tf.reduce_sum(x, self._tf.get_static_value(axes), keepdims=bool(keepdims))

    def _concat(self, *parts: Any, axis: int) -> Any:
        """Neighbours with one row are joined before they are spread."""
        tf = self._tf
        whole = next((part for part in parts if part.shape[0] != 1), None)
        if whole is None:
            return tf.concat(parts, axis)
        rows, found, single = tf.shape(whole)[0], [], list[Any]()
        for part in [*parts, None]:
            if part is not None and part.shape[0] == 1:
                single.append(part)
                continue
            if single:
                joined = single[0] if len(single) == 1 else tf.concat(single, axis)
                found.append(tf.tile(joined, [rows] + [1] * (len(joined.shape) - 1)))
                single = []
            if part is not None:
                found.append(part)
        return found[0] if len(found) == 1 else tf.concat(found, axis)
