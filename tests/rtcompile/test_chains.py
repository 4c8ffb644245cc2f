"""Chains of operators whose lowering reads its argument more than once take linear room."""

from __future__ import annotations

from typing import Any

import pytest
import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir.expr import TensorLoad
from tvm.relax import op

from rtcompile.codegen.lowering.generic import lower_generic
from rtcompile.relay_passes.pipeline import to_kernels
from rtcompile.relay_passes.report import Report
from tests.relay_passes.modules import Emit, const, network


def _size(length: int, step: Any) -> int:
    """Operators in all kernels of a chain of `length` steps."""

    def body(emit: Emit, x: Any) -> Any:
        for _ in range(length):
            x = step(emit, x)
        return op.add(x, x)

    found: list[Any] = []
    for variable, function in to_kernels(
        network({"x": ("n", 8)}, body), Report()
    ).functions.items():
        if isinstance(function, tirx.PrimFunc):
            lowered = lower_generic(function, variable.name_hint).function
            kinds = (TensorLoad, tvm.ir.Call, tirx.Mul, tirx.Add, tirx.Select)
            walked = [(kind, found.append) for kind in kinds]
            tvm_ffi.structural_walk(lowered, walked, order="post")
    return len(found)


_STEPS: dict[str, Any] = {
    "square": lambda emit, x: emit(op.multiply(x, x)),
    "leaky": lambda emit, x: emit(op.nn.leakyrelu(x, 0.1)),
    "sign": lambda emit, x: emit(op.sign(x)),
    "silu": lambda emit, x: emit(op.multiply(x, emit(op.sigmoid(x)))),
    "gelu": lambda emit, x: emit(op.nn.gelu(x)),
    "tanh": lambda emit, x: emit(op.tanh(x)),
    "where": lambda emit, x: emit(
        op.where(emit(op.less(x, const(0))), emit(op.multiply(x, const(2))), x)
    ),
    "power": lambda emit, x: emit(op.power(x, const(3))),
}


@pytest.mark.parametrize("name", sorted(_STEPS))
def test_four_times_the_steps_are_at_most_six_times_the_operators(name: str) -> None:
    few, many = (_size(length, _STEPS[name]) for length in (5, 20))
    assert many <= 6 * few
