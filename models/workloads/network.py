"""A network, written once as ONNX nodes (opset 17, dynamic batch `n`), with seeded weights.

Values are names of tensors, of which the builder knows the extents behind the batch. What a peer
needs in another form (a TensorFlow graph, say) is made from these nodes: the weights are the same.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper, numpy_helper

__all__ = ["Network", "Value", "seeded"]

_OPSET = 17
Array = npt.NDArray[Any]


def seeded(seed: int, name: str) -> np.random.Generator:
    """A source of random numbers that depends on the name, not on what was drawn before."""
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


@dataclass(frozen=True)
class Value:
    """A tensor of the graph: its name, and its extents behind the batch."""

    name: str
    shape: tuple[int, ...]

    @property
    def width(self) -> int:
        """The last extent."""
        return self.shape[-1]


class Network:
    """Builds a graph node by node."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._nodes: list[Any] = []
        self._inputs: dict[str, tuple[int, tuple[int, ...]]] = {}
        self._outputs: list[Value] = []
        self._constants: dict[str, Array] = {}

    # -- inputs, by the name of the feature that feeds them -------------------------------------

    def ids(self, name: str, length: int = 0) -> Value:
        """A feature's single id, or those of a sequence of `length`."""
        return self._input(name, TensorProto.INT64, (length,) if length else ())

    def numbers(self, name: str, width: int = 1) -> Value:
        """A feature's numbers, or its pooled embedding."""
        return self._input(name, TensorProto.FLOAT, (width,))

    def embedded(self, name: str, rows: int, width: int, length: int = 0, table: str = "") -> Value:
        """The embedding of a feature's single id, or of each of a sequence. Features may share a
        `table`."""
        table = f"{table or name}_table"
        if table not in self._constants:
            # So that a sum over hundreds of features stays where a sigmoid is not flat.
            self.constant(table, self._drawn(table, (rows, width), 0.1))
        shape = (length, width) if length else (width,)
        return self._node("Gather", [table, self.ids(name, length).name], shape, axis=0)

    def _input(self, name: str, dtype: int, shape: tuple[int, ...]) -> Value:
        self._inputs.setdefault(name, (dtype, shape))
        return Value(name, self._inputs[name][1])

    # -- layers ---------------------------------------------------------------------------------

    def dense(self, x: Value, units: int, name: str, bias: bool = True) -> Value:
        """x @ W + b."""
        weight = self._drawn(f"{name}_weight", (x.width, units), (3 / x.width) ** 0.5)
        shape = (*x.shape[:-1], units)
        product = self._node("MatMul", [x.name, self.constant(f"{name}_weight", weight)], shape)
        if not bias:
            return product
        row = self.constant(f"{name}_bias", self._drawn(f"{name}_bias", (units,), 0.1))
        return self._node("Add", [product.name, row], shape)

    def mlp(self, x: Value, units: Iterable[int], name: str) -> Value:
        """Dense layers with ReLU."""
        for place, count in enumerate(units):
            x = self.relu(self.dense(x, count, f"{name}_{place}"))
        return x

    def score(self, x: Value, name: str) -> None:
        """The sigmoid of one more dense layer, as the output `name`, [n, 1]."""
        self.output(self.sigmoid(self.dense(x, 1, f"{name}_score")), name)

    def attention(self, query: Value, keys: Value, length: str, units: Sequence[int]) -> Value:
        """A DIN unit: the sum of `keys` [L, d], weighted by how they fit the `query` [d].

        A softmax over the elements of the sequence, whose length is the input `length`, of an MLP
        on query, key, their difference and their product.
        """
        steps, width = keys.shape
        name = length.removesuffix("__len")
        ones = self.constant(f"ones_{steps}", np.ones((1, steps, 1), np.float32))
        wide = self.mul(self.reshape(query, (1, width)), Value(ones, (steps, 1)))
        parts = [wide, keys, self.sub(wide, keys), self.mul(wide, keys)]
        hidden = self.mlp(self.concat(parts, axis=2), units, f"{name}_attention")
        fit = self.reshape(self.dense(hidden, 1, f"{name}_fit"), (steps,))
        weights = self.softmax(self.add(fit, self._far_behind(length, steps)))
        return self.reshape(self.matmul(self.reshape(weights, (1, steps)), keys), (width,))

    def mean(self, x: Value, length: str) -> Value:
        """The mean of the elements [L, d] of a sequence whose length is the input `length`."""
        steps = x.shape[0]
        present = self.mul(x, self.reshape(self._inside(length, steps), (steps, 1)))
        count = self._node("Cast", [length], (1,), to=TensorProto.FLOAT)
        return self._elementwise("Div", self.sum(present, 1), count)

    def _far_behind(self, length: str, steps: int) -> Value:
        """Zero for the elements of a sequence, a large negative number behind its end."""
        one = self.constant("one", np.ones((1, 1), np.float32))
        far = self.constant("far", np.full((1, 1), 1e9, np.float32))
        beyond = self.sub(self._inside(length, steps), Value(one, (1,)))
        return self.mul(beyond, Value(far, (1,)))

    def _inside(self, length: str, steps: int) -> Value:
        """One for the elements of a sequence, zero behind its end."""
        places = self.constant(f"places_{steps}", np.arange(steps, dtype=np.int64).reshape(1, -1))
        given = self._input(length, TensorProto.INT64, (1,))
        found = self._node("Less", [places, given.name], (steps,))
        return self._node("Cast", [found.name], (steps,), to=TensorProto.FLOAT)

    # -- operators ------------------------------------------------------------------------------

    def relu(self, x: Value) -> Value:
        """max(x, 0)."""
        return self._node("Relu", [x.name], x.shape)

    def sigmoid(self, x: Value) -> Value:
        """1 / (1 + exp(-x))."""
        return self._node("Sigmoid", [x.name], x.shape)

    def softmax(self, x: Value) -> Value:
        """Over the last axis."""
        return self._node("Softmax", [x.name], x.shape, axis=-1)

    def add(self, a: Value, b: Value) -> Value:
        """a + b."""
        return self._elementwise("Add", a, b)

    def sub(self, a: Value, b: Value) -> Value:
        """a - b."""
        return self._elementwise("Sub", a, b)

    def mul(self, a: Value, b: Value) -> Value:
        """a * b."""
        return self._elementwise("Mul", a, b)

    def matmul(self, a: Value, b: Value) -> Value:
        """The product of two matrices a row."""
        return self._node("MatMul", [a.name, b.name], (*a.shape[:-1], b.width))

    def transpose(self, x: Value) -> Value:
        """The matrix of each row, transposed."""
        return self._node("Transpose", [x.name], (x.shape[1], x.shape[0]), perm=[0, 2, 1])

    def concat(self, parts: Sequence[Value], axis: int = 1) -> Value:
        """Side by side."""
        if len(parts) == 1:
            return parts[0]
        extents = list(parts[0].shape)
        extents[axis - 1] = sum(part.shape[axis - 1] for part in parts)
        return self._node("Concat", [part.name for part in parts], tuple(extents), axis=axis)

    def reshape(self, x: Value, shape: tuple[int, ...]) -> Value:
        """The same numbers in other extents behind the batch."""
        name = "shape_" + "_".join(map(str, shape))
        return self._node("Reshape", [x.name, self.constant(name, np.array([-1, *shape]))], shape)

    def pick(self, x: Value, columns: Array) -> Value:
        """Some columns of [n, k]."""
        name = self.constant(f"columns_{x.name}", columns.astype(np.int64))
        return self._node("Gather", [x.name, name], (len(columns),), axis=1)

    def sum(self, x: Value, axis: int) -> Value:
        """The sum over an axis behind the batch, which goes."""
        shape = tuple(extent for place, extent in enumerate(x.shape, 1) if place != axis)
        axes = self.constant(f"axis_{axis}", np.array([axis]))
        return self._node("ReduceSum", [x.name, axes], shape, keepdims=0)

    # -- the graph ------------------------------------------------------------------------------

    def constant(self, name: str, array: Array) -> str:
        """An initializer; given twice, it is the same one."""
        self._constants.setdefault(name, array)
        return name

    def output(self, x: Value, name: str) -> None:
        """A further output of the graph."""
        self._nodes.append(helper.make_node("Identity", [x.name], [name]))
        self._outputs.append(Value(name, x.shape))

    def model(self) -> Any:
        """The onnx.ModelProto."""
        graph = helper.make_graph(
            self._nodes,
            "workload",
            [
                helper.make_tensor_value_info(name, dtype, ["n", *shape])
                for name, (dtype, shape) in self._inputs.items()
            ],
            [
                helper.make_tensor_value_info(x.name, TensorProto.FLOAT, ["n", *x.shape])
                for x in self._outputs
            ],
            [numpy_helper.from_array(array, name) for name, array in self._constants.items()],
        )
        opsets = [helper.make_opsetid("", _OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=10)

    def _drawn(self, name: str, shape: tuple[int, ...], most: float) -> Array:
        found = seeded(self._seed, name).random(shape, np.float32)
        found -= np.float32(0.5)
        found *= np.float32(2 * most)
        return found

    def _elementwise(self, kind: str, a: Value, b: Value) -> Value:
        shape = np.broadcast_shapes(a.shape, b.shape)
        return self._node(kind, [a.name, b.name], tuple(map(int, shape)))

    def _node(self, kind: str, inputs: list[str], shape: tuple[int, ...], **keys: Any) -> Value:
        name = f"{kind.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **keys))
        return Value(name, shape)
