"""A node as a converter sees it: attributes by name, inputs by place, and how to refuse."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
from onnx import helper
from tvm import relax

from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx.operators.values import (
    Extents,
    Known,
    Value,
    as_value,
    extents_of,
)
from rtcompile.runtime.memory.arrays import DTYPE_NAMES

__all__ = ["NoConverterError", "Node", "NodeError", "element_type", "is_computable"]


class NodeError(UnsupportedError):
    """A node that is refused; the message does not say where it stands yet."""


def element_type(number: int) -> str:
    """The dtype of an element type of ONNX, such as "float32"."""
    return str(np.dtype(helper.tensor_dtype_to_np_dtype(number)).name)


def is_computable(dtype: str) -> bool:
    """Whether there are tensors of an element type: not of fewer than 8 bits, float8 or complex."""
    return dtype in DTYPE_NAMES


class NoConverterError(NodeError):
    """A node that nothing converts."""


@dataclass(frozen=True)
class Node:
    """`opset`: of its domain. `inputs`: None for one that is left out. `outputs`: names."""

    operator: str
    domain: str
    opset: int
    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    block: Any  # relax.BlockBuilder
    batch: Any  # the symbol of the count of rows

    # -- attributes -----------------------------------------------------------------------------

    def number(self, name: str, default: float) -> float:
        """A float attribute."""
        return float(self.attributes.get(name, default))

    def integer(self, name: str, default: int) -> int:
        """An integer attribute."""
        return int(self.attributes.get(name, default))

    def integers(self, name: str) -> list[int] | None:
        """An attribute of integers; None where it is not given."""
        given = self.attributes.get(name)
        return None if given is None else [int(value) for value in given]

    def text(self, name: str, default: str) -> str:
        """An attribute of text."""
        given = self.attributes.get(name, default)
        return given.decode() if isinstance(given, bytes) else str(given)

    # -- inputs ---------------------------------------------------------------------------------

    def has(self, place: int) -> bool:
        """Whether an input is given."""
        return place < len(self.inputs) and self.inputs[place] is not None

    def tensor(self, place: int) -> Any:
        """An input as an expression of Relax."""
        value = self.inputs[place] if place < len(self.inputs) else None
        if value is None:
            self.refuse(f"its input {place} is missing")
        if isinstance(value, Extents):
            self.refuse("it computes with the count of rows of a request")
        if isinstance(value, Known):
            if value.array.dtype.kind in "OUS":
                self.refuse("texts cannot be computed with")
            if not is_computable(value.array.dtype.name):
                self.refuse(f"tensors of {value.array.dtype.name} are not supported")
            return value.constant
        return value

    def tensors(self) -> list[Any]:
        """All inputs."""
        return [self.tensor(place) for place in range(len(self.inputs))]

    def known(self, place: int) -> npt.NDArray[Any] | None:
        """The array of an input that is given and known when the model is built, else None."""
        value = self.inputs[place] if self.has(place) else None
        return value.array if isinstance(value, Known) else None

    def constant(self, place: int, what: str) -> npt.NDArray[Any]:
        """The array of an input that must be known when the model is built."""
        array = self.known(place)
        if array is None:
            self.refuse(f"its {what} must be a constant: export the model with a fixed one")
        return array

    def extents(self, place: int, what: str) -> list[Any]:
        """The values of an input that holds extents: ints, and expressions over the batch."""
        value = self.inputs[place] if self.has(place) else None
        if isinstance(value, Extents):
            return list(value.array.ravel())
        return [int(number) for number in self.constant(place, what).ravel()]

    def parameter(self, name: str, place: int) -> list[int] | None:
        """Integers that are an attribute in older opsets and an input in newer ones."""
        if name in self.attributes:
            return self.integers(name)
        if not self.has(place):
            return None
        return [int(number) for number in self.constant(place, name).ravel()]

    def shape(self, place: int) -> tuple[Any, ...]:
        """Extents of an input."""
        value = self.inputs[place]
        if isinstance(value, Known | Extents):
            return tuple(value.array.shape)
        return self.extents_of(self.tensor(place))

    def extents_of(self, tensor: Any) -> tuple[Any, ...]:
        """Extents of a tensor: ints, and expressions over the batch."""
        found = extents_of(tensor)
        if found is None:
            self.refuse("the shape of what it reads is not known when the model is built")
        return found

    def dtype(self, place: int) -> str:
        """The element type of an input."""
        value = self.inputs[place]
        if isinstance(value, Extents):
            return "int64"
        return value.array.dtype.name if isinstance(value, Known) else str(value.ty.dtype)

    def axis(self, name: str, default: int, place: int = 0, after: int = 0) -> int:
        """An axis of the input at `place`, counted from the front; `after` more may be meant."""
        return self.counted(self.integer(name, default), len(self.shape(place)) + after)

    def counted(self, axis: int, rank: int) -> int:
        """An axis counted from the front."""
        if not -rank <= axis < max(rank, 1):
            self.refuse(f"axis {axis} of a tensor of rank {rank}")
        return axis % rank if rank else 0

    # -- results --------------------------------------------------------------------------------

    def emit(self, expression: Any) -> Any:
        """A variable of the function, bound to `expression`."""
        return self.block.emit(expression)

    def cast(self, tensor: Any, dtype: str) -> Any:
        """A tensor as another element type, which holds its values."""
        if str(tensor.ty.dtype) == dtype:
            return tensor
        return self.emit(relax.op.astype(tensor, dtype))

    def reshape(self, tensor: Any, extents: Sequence[Any]) -> Any:
        """A tensor with other extents."""
        return self.emit(relax.op.reshape(tensor, relax.ShapeExpr(list(extents))))

    def scalar(self, value: Any, dtype: str) -> Any:
        """A constant of rank 0."""
        return Known(np.asarray(value).astype(_numpy(dtype))).constant

    def extents_value(self, values: Sequence[Any], shape: Sequence[int]) -> Value:
        """A value that holds extents."""
        array = np.empty(len(values), object)
        array[:] = values
        return as_value(array.reshape(tuple(shape)))

    def refuse(self, reason: str) -> NoReturn:
        """Say why the node cannot be compiled."""
        raise NodeError(f"{self.operator}: {reason}")


def _numpy(dtype: str) -> Any:
    if dtype == "bfloat16":
        return helper.tensor_dtype_to_np_dtype(16)
    return np.dtype(dtype)
