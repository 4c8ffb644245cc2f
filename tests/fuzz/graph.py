"""Small ONNX graphs under construction: values by type, and operators that take them.

A value's shape is that of a row, where it has rows: [N, *shape]. Randomness comes from a
`random.Random`, which is Hypothesis's where a failing graph is to be made smaller.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = [
    "DTYPES",
    "FLOATS",
    "INTEGERS",
    "OPSET",
    "Graph",
    "Value",
    "element_type",
    "model_of",
    "prefix_of",
]

OPSET = 20
FLOATS = ("float32",)
INTEGERS = ("int32", "int64")
DTYPES = (*FLOATS, *INTEGERS, "bool")
_TYPES = {
    **{"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE},
    **{"float16": TensorProto.FLOAT16, "bool": TensorProto.BOOL},
    **{f"int{bits}": getattr(TensorProto, f"INT{bits}") for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": getattr(TensorProto, f"UINT{bits}") for bits in (8, 16, 32, 64)},
}
_EXTENTS = (1, 2, 3, 4, 5, 8, 17)
_MOST_ELEMENTS = 600


@dataclass(frozen=True)
class Value:
    """A tensor of [N, *shape]. `bound`: an id below it, 0 for any value."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bound: int = 0


@dataclass
class Graph:
    """Inputs, constants and nodes; `values` are what a node may read, `seed` decides the values of
    inputs."""

    random: Random
    dtypes: tuple[str, ...] = DTYPES
    inputs: list[Value] = field(default_factory=list)
    constants: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    nodes: list[Any] = field(default_factory=list)
    values: list[Value] = field(default_factory=list)
    seed: int = 0

    # -- choices ----------------------------------------------------------------------------------

    def choose(self, options: Sequence[Any]) -> Any:
        """One of them."""
        return options[self.random.randrange(len(options))]

    def chance(self, of: int) -> bool:
        """True once in `of`."""
        return self.random.randrange(of) == 0

    def shape(self, least: int = 1, most: int = 3) -> tuple[int, ...]:
        """Of a row."""
        extents = [self.choose(_EXTENTS) for _ in range(self.random.randint(least, most))]
        while int(np.prod(extents)) > _MOST_ELEMENTS:
            extents[extents.index(max(extents))] = 2
        return tuple(extents)

    def take(
        self,
        dtypes: Sequence[str] = FLOATS,
        fits: Callable[[Value], bool] = lambda value: True,
        shape: Callable[[], tuple[int, ...]] | None = None,
    ) -> Value:
        """A value of one of the types that fits; a new input where there is none."""
        found = [v for v in self.values if v.dtype in dtypes and not v.bound and fits(v)]
        if found and not self.chance(6):
            # Late ones more often: chains.
            return found[-1 - min(self.random.randrange(6), self.random.randrange(len(found)))]
        return self.input(self.choose(dtypes), shape() if shape else self.shape())

    # -- parts ------------------------------------------------------------------------------------

    def input(self, dtype: str, shape: tuple[int, ...], bound: int = 0) -> Value:
        """A new input."""
        value = Value(f"x{len(self.inputs)}", dtype, shape, bound)
        self.inputs.append(value)
        if not bound:
            self.values.append(value)
        return value

    def constant(self, array: Any) -> str:
        """The name of a new constant."""
        name = f"c{len(self.constants)}"
        self.constants[name] = np.asarray(array)
        return name

    def numbers(self, shape: Sequence[int], dtype: str, plain: bool = False) -> npt.NDArray[Any]:
        """Random values of a constant."""
        rng = np.random.default_rng(self.random.randrange(1 << 30))
        if dtype == "bool":
            return rng.random(shape) < 0.5
        if dtype.startswith("float"):
            values = np.asarray(rng.integers(-16, 17, shape) / 8)
            if not plain and self.chance(8):
                hostile = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e30, -3.4028235e38, 1e-40])
                values = np.where(rng.random(shape) < 0.3, rng.choice(hostile, shape), values)
            return values.astype(dtype)
        low = 0 if dtype.startswith("u") else -4
        return rng.integers(low, 5, shape).astype(dtype)

    def node(
        self,
        operator: str,
        inputs: Sequence[Value | str],
        dtype: str,
        shape: tuple[int, ...],
        **attributes: Any,
    ) -> Value:
        """A new node with one result."""
        return self.node_of_many(operator, inputs, [(dtype, shape)], **attributes)[0]

    def node_of_many(
        self,
        operator: str,
        inputs: Sequence[Value | str],
        results: Sequence[tuple[str, tuple[int, ...]]],
        **attributes: Any,
    ) -> list[Value]:
        """A new node with results of these types."""
        first = len(self.nodes)
        made = [
            Value(f"v{first}_{index}", dtype, shape) for index, (dtype, shape) in enumerate(results)
        ]
        names = [one if isinstance(one, str) else one.name for one in inputs]
        node = helper.make_node(
            operator, names, [v.name for v in made], name=f"n{first}", **attributes
        )
        self.nodes.append(node)
        self.values += made
        return made

    # -- the whole --------------------------------------------------------------------------------

    @property
    def outputs(self) -> list[Value]:
        """What nodes give and no node reads, and some of the others."""
        read = {name for node in self.nodes for name in node.input}
        made = [v for v in self.values if v not in self.inputs]
        return [v for v in made if v.name not in read]

    def model(self) -> Any:
        """The onnx.ModelProto."""
        return _model([self], [""])

    def steps(self) -> Any:
        """The onnx.ModelProto with every value that a node makes as an output."""
        made = {name for node in self.nodes for name in node.output}
        return _model([self], [""], [v for v in self.values if v.name in made])


def prefix_of(place: int) -> str:
    """What stands before the names of the graph at a place among others."""
    return f"g{place}_"


def model_of(graphs: Sequence[Graph]) -> Any:
    """Graphs side by side, each with its prefix."""
    return _model(graphs, [prefix_of(place) for place in range(len(graphs))])


def _model(
    graphs: Sequence[Graph], prefixes: Sequence[str], outputs: Sequence[Value] | None = None
) -> Any:
    pairs = list(zip(graphs, prefixes, strict=True))
    body = helper.make_graph(
        [_renamed(node, prefix) for g, prefix in pairs for node in g.nodes],
        "fuzz",
        [_information(value, prefix) for g, prefix in pairs for value in g.inputs],
        [_information(v, prefix) for g, prefix in pairs for v in outputs or g.outputs],
        [
            numpy_helper.from_array(array, prefix + name)
            for g, prefix in pairs
            for name, array in g.constants.items()
        ],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    return helper.make_model(body, opset_imports=opsets, ir_version=9)


def _renamed(node: Any, prefix: str) -> Any:
    found = onnx.NodeProto()
    found.CopyFrom(node)
    found.name = prefix + node.name
    found.input[:] = [name and prefix + name for name in node.input]
    found.output[:] = [prefix + name for name in node.output]
    return found


def _information(value: Value, prefix: str) -> onnx.ValueInfoProto:
    shape = ["N", *value.shape]
    return helper.make_tensor_value_info(prefix + value.name, _TYPES[value.dtype], shape)


def element_type(dtype: str) -> int:
    """The element type of ONNX."""
    return int(_TYPES[dtype])
