"""The tensors of a quantized graph while it is rewritten: which bytes stand for which floats."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import helper, numpy_helper

from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx.quantized.clips import Clips
from rtcompile.frontends.onnx.quantized.rounding import ProductInputs
from rtcompile.frontends.onnx.quantized.weights import ByteRange, KnownConstant
from rtcompile.frontends.onnx.tensors import array_of

__all__ = ["BYTES_READ", "LIMITS", "Scaled", "Sums", "Tensors", "axis_of", "bytes_read", "label"]

LIMITS = {"uint8": (0, 255), "int8": (-128, 127)}

# Operator -> places of (bytes, scale, zero point) among its inputs.
BYTES_READ = {
    "DequantizeLinear": ((0, 1, 2),),
    "QLinearMatMul": ((0, 1, 2), (3, 4, 5)),
    "QGemm": ((0, 1, 2), (3, 4, 5)),
    "QLinearAdd": ((0, 1, 2), (3, 4, 5)),
    "QLinearMul": ((0, 1, 2), (3, 4, 5)),
    "QLinearSigmoid": ((0, 1, 2),),
    "QLinearLeakyRelu": ((0, 1, 2),),
    "QLinearSoftmax": ((0, 1, 2),),
}


@dataclass(frozen=True)
class Scaled:
    """A number by which integers of a product become floats: that of a dynamic input's range times
    `scale`, that of weights."""

    source: str
    scale: str


@dataclass
class Sums:
    """The integers of a product of a dynamic input, or these as floats."""

    source: str
    weight: str
    zero: str


@dataclass
class Tensors:
    """What is known of the tensors of a graph, and the nodes of the float graph so far.

    `floats`: bytes -> their floats and the range. `known`: float constants as they were quantized.
    `renamed`: floats -> what they are called now. `dynamic`: the bytes, scale and zero point of a
    dynamic range -> its floats. `products`: the results of products of dynamic inputs. `sources`:
    float constants -> the integers that they were.
    """

    model: Any
    nodes: list[Any] = field(default_factory=list)
    floats: dict[str, tuple[str, ByteRange]] = field(default_factory=dict)
    known: dict[str, KnownConstant] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    dynamic: dict[str, str] = field(default_factory=dict)
    sums: dict[str, Sums] = field(default_factory=dict)
    scaled: dict[str, Scaled] = field(default_factory=dict)
    products: set[str] = field(default_factory=set)
    sources: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        graph = self.model.graph
        self.constants = {tensor.name: tensor for tensor in graph.initializer}
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = node.attribute[0].t
        self.integers: dict[str, npt.NDArray[Any]] = {}  # constants that a node quantizes
        self.clips = Clips(self.nodes, self.array_of_constant)
        self.product_inputs = ProductInputs(self.model)
        self._rounded: dict[str, str] = {}

    def array(self, name: str, node: Any, what: str) -> npt.NDArray[Any]:
        """The values of a constant. Raises UnsupportedError for what is none."""
        if name in self.integers:
            return self.integers[name]
        if name not in self.constants:
            raise UnsupportedError(f"node {label(node)}: {what} is no constant")
        return array_of(self.constants[name])

    def array_of_constant(self, name: str) -> npt.NDArray[Any] | None:
        """The values of a constant of the graph, None for what is none."""
        if name not in self.constants:
            return None
        return array_of(self.constants[name])

    def is_constant(self, name: str) -> bool:
        """Whether a name is that of a constant."""
        return name in self.constants or name in self.integers

    def code(self, node: Any, scale: str, zero: str) -> tuple[Any, Any, str]:
        """(scales, zero points, dtype) of names."""
        scales = self.array(scale, node, "a scale").astype(np.float32)
        zeros = self.array(zero, node, "a zero point") if zero else np.zeros(1, np.uint8)
        if any(a.name == "block_size" and a.i for a in node.attribute):
            raise UnsupportedError(f"node {label(node)}: quantized by blocks")
        return scales.reshape(-1), zeros.astype(np.int32).reshape(-1), str(zeros.dtype)

    def range_of(self, node: Any, scale: str, zero: str) -> ByteRange:
        """The range of a tensor. Raises UnsupportedError where it is none of 8 bits."""
        scales, zeros, dtype = self.code(node, scale, zero)
        if not zero:
            asked = next((a.i for a in node.attribute if a.name == "output_dtype"), 0)
            dtype = str(np.dtype(helper.tensor_dtype_to_np_dtype(asked))) if asked else "uint8"
        if dtype not in LIMITS:
            raise UnsupportedError(
                f"node {label(node)}: quantized to {dtype}; int8 and uint8 are supported"
            )
        if scales.size != 1:
            raise UnsupportedError(
                f"node {label(node)}: an activation with a scale for each channel"
            )
        return ByteRange(float(scales[0]), int(zeros[0]), *LIMITS[dtype])

    def constant(self, node: Any, name: str, scale: str, zero: str, axis: int = 1) -> str:
        """The float constant of integers."""
        made = f"{name}/{scale}/float"
        if made not in self.known:
            q = self.array(name, node, "what it reads")
            if str(q.dtype) not in (*LIMITS, "int32"):
                raise UnsupportedError(
                    f"node {label(node)}: a constant of {q.dtype}; int8 and uint8 are supported"
                )
            scales, zeros, _ = self.code(node, scale, zero)
            self.keep(made, KnownConstant(q, scales, zeros, axis))
            self.sources[made] = name
        return made

    def keep(self, name: str, known: KnownConstant) -> None:
        """Add a float constant."""
        self.known[name] = known
        self.constants[name] = numpy_helper.from_array(known.values(), name)

    def name_of(self, name: str) -> str:
        """What a tensor is called in the float graph."""
        return self.renamed.get(name, name)

    def real(self, node: Any, place: tuple[int, int, int], axis: int = 1) -> str:
        """The float tensor of the bytes that a node reads; `axis`: of a constant's scales."""
        name, scale, zero = (node.input[i] if i < len(node.input) else "" for i in place)
        if name in self.floats:
            value, given = self.floats[name]
            wanted = self.range_of(node, scale, zero)
            if (wanted.scale, wanted.zero) != (given.scale, given.zero):
                raise UnsupportedError(
                    f"node {label(node)}: reads {name!r} by another scale or zero point than it "
                    "was quantized with"
                )
            return value
        if self.is_constant(name):
            return self.constant(node, name, scale, zero, axis)
        raise UnsupportedError(
            f"node {label(node)}: reads integers {name!r} that no QuantizeLinear made"
        )

    def rounded(self, source: str, value: str) -> str:
        """A float tensor, as which `real` has the bytes `source`, rounded to what bytes stand for.

        A constant is one of these already.
        """
        if source not in self.floats:
            return value
        if value not in self._rounded:
            scale = f"{value}/scale"
            given = np.asarray(self.floats[source][1].scale, np.float32)
            self.constants[scale] = numpy_helper.from_array(given, scale)
            steps = self.emit("Div", [value, scale], f"{value}/steps")
            whole = self.emit("Round", [steps], f"{value}/whole")
            self._rounded[value] = self.emit("Mul", [whole, scale], f"{value}/rounded")
        return self._rounded[value]

    def give(self, node: Any, value: str, scale: str, zero: str) -> None:
        """The node's output are the bytes of a float tensor."""
        given = self.range_of(node, scale, zero)
        self.floats[node.output[0]] = self.clips.clip(value, given), given

    def emit(self, operator: str, inputs: list[str], output: str, **more: Any) -> str:
        """Append a node; returns its output."""
        name = f"{output}/{operator}"
        self.nodes.append(helper.make_node(operator, inputs, [output], name, **more))
        return output


def label(node: Any) -> str:
    """What to call a node."""
    return str(node.name or node.output[0])


def axis_of(node: Any) -> int:
    """Of the scales of a QuantizeLinear or DequantizeLinear."""
    return next((int(a.i) for a in node.attribute if a.name == "axis"), 1)


def bytes_read(node: Any) -> tuple[tuple[int, int, int], ...]:
    """Of the bytes that a node reads, with their scale and zero point."""
    if node.op_type == "QLinearConcat":
        return tuple((i, i + 1, i + 2) for i in range(2, len(node.input), 3))
    return BYTES_READ.get(node.op_type, ())
