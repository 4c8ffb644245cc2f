"""GRU, LSTM and RNN, by the rule of `frontends/recurrent.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rtcompile.frontends.onnx.operators.node import Node
from rtcompile.frontends.onnx.operators.recurrent_layers import RECURRENT, convert_recurrent

__all__ = ["RECURRENCES"]


def _recurrent(node: Node) -> Any:
    given = [node.tensor(at) if node.has(at) else None for at in range(len(node.inputs))]
    return convert_recurrent(node.block, node.operator, given, node.attributes)


RECURRENCES: dict[str, Callable[[Node], Any]] = dict.fromkeys(RECURRENT, _recurrent)
