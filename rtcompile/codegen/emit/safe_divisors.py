"""Keep the integer divisions of a generic kernel from raising a signal, whatever the data say.

    a / B[i]   ->   select(B[i] == -1, 0 - a, a / select(B[i] == 0 or B[i] == -1, 1, B[i]))
    a % B[i]   ->   a % select(B[i] == 0 or B[i] == -1, 1, B[i])

The last line of defence, for kernels that come as TIR: divisors of the graph's operators are
checked before (`relay_passes/exact/check_divisors.py`), with an error for the request. A divisor
that reads no buffer is a constant or an extent, and stays.
"""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir.expr import TensorLoad

__all__ = ["with_safe_divisors"]

_QUOTIENTS = (tirx.Div, tirx.FloorDiv)
_REMAINDERS = (tirx.Mod, tirx.FloorMod)


def with_safe_divisors(function: Any) -> Any:
    """A PrimFunc that divides no integer by 0, nor the least one by -1."""
    return tvm_ffi.structural_map(function, [((*_QUOTIENTS, *_REMAINDERS), _safe)])


def _safe(node: Any) -> Any:
    dtype = str(node.ty)
    if not dtype.startswith(("int", "uint")) or not _reads(node.b):
        return node
    one, zero = tirx.const(1, dtype), tirx.const(0, dtype)
    if dtype.startswith("uint"):
        return type(node)(node.a, tirx.Select(node.b == zero, one, node.b))
    minus = node.b == tirx.const(-1, dtype)
    found = type(node)(node.a, tirx.Select(tirx.Or(node.b == zero, minus), one, node.b))
    return tirx.Select(minus, zero - node.a, found) if isinstance(node, _QUOTIENTS) else found


def _reads(expression: Any) -> bool:
    """Whether data decides it."""
    loads: list[Any] = []
    tvm_ffi.structural_walk(expression, (TensorLoad, loads.append), order="post")
    return bool(loads)
