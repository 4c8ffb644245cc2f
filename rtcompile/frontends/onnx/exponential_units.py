"""Units that are linear above 0 and exponential below."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import relax

from rtcompile.frontends.onnx.operators.node import Node

__all__ = ["EXPONENTIAL_UNITS"]


def _unit(node: Node, alpha: float) -> Any:
    """relu(x) - alpha * relu(1 - exp(x))."""
    x, dtype = node.tensor(0), node.dtype(0)
    below = node.emit(relax.op.subtract(node.scalar(1, dtype), node.emit(relax.op.exp(x))))
    below = node.emit(relax.op.multiply(node.scalar(-alpha, dtype), _rectified(node, below)))
    return relax.op.add(below, _rectified(node, x))


def _rectified(node: Node, x: Any) -> Any:
    return node.emit(relax.op.nn.relu(x))


def _elu(node: Node) -> Any:
    return _unit(node, node.number("alpha", 1.0))


def _selu(node: Node) -> Any:
    gamma = node.number("gamma", 1.05070102214813232421875)
    unit = node.emit(_unit(node, node.number("alpha", 1.67326319217681884765625)))
    return relax.op.multiply(node.scalar(gamma, node.dtype(0)), unit)


def _celu(node: Node) -> Any:
    """max(0, x) + min(0, alpha * (exp(x / alpha) - 1))."""
    x, dtype, alpha = node.tensor(0), node.dtype(0), node.number("alpha", 1.0)
    zero = node.scalar(0, dtype)
    low = node.emit(relax.op.divide(x, node.scalar(alpha, dtype)))
    low = node.emit(relax.op.subtract(node.emit(relax.op.exp(low)), node.scalar(1, dtype)))
    low = node.emit(relax.op.multiply(low, node.scalar(alpha, dtype)))
    low = node.emit(relax.op.minimum(low, zero))
    return relax.op.add(node.emit(relax.op.maximum(x, zero)), low)


EXPONENTIAL_UNITS: dict[str, Callable[[Node], Any]] = {
    "Celu": _celu,
    "Elu": _elu,
    "Selu": _selu,
}
