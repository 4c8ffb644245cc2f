"""Kernels that no template covers: every schedule gives what the reference gives, or is refused."""

from __future__ import annotations

import pytest
import tvm
from tvm import relax

from rtcompile.codegen.lowering.generic import (
    GENERIC_KERNEL,
    function_text,
    generic_configs,
    text_function,
)
from rtcompile.codegen.program.trials import Task, Trial
from rtcompile.relay_passes.pipeline import simplify, to_kernels
from rtcompile.relay_passes.report import Report
from rtcompile.targets import resolve_target
from rtcompile.tuning.local_runner import LocalRunner
from rtcompile.tuning.tuned.kernels import KERNELS

_REGISTERS = resolve_target("host").registers


def _function(reduces: bool) -> object:
    """relu(x * y) over [n, 6, 16], or its sum over the second axis."""
    builder = relax.BlockBuilder()
    n = tvm.tirx.Var("n", "int64")
    x = relax.Var("x", relax.TensorType((n, 6, 16), "float32"))
    y = relax.Var("y", relax.TensorType((n, 6, 16), "float32"))
    with builder.function("main", [x, y]):
        with builder.dataflow():
            value = builder.emit(relax.op.nn.relu(relax.op.multiply(x, y)))
            if reduces:
                value = builder.emit(relax.op.sum(value, axis=[1]))
            result = builder.emit_output(value)
        builder.emit_func_output(result)
    lowered = to_kernels(simplify(builder.get(), Report()), Report())
    functions = [f for f in lowered.functions.values() if isinstance(f, tvm.tirx.PrimFunc)]
    return functions[-1]


def _task(reduces: bool) -> Task:
    values = {"function": function_text(_function(reduces)), "least": 1, "most": 9}
    return Task.of(*GENERIC_KERNEL, values)


@pytest.mark.slow
@pytest.mark.parametrize("reduces", [False, True])
def test_every_schedule_is_right_or_refused(reduces: bool) -> None:
    task = _task(reduces)
    configs = KERNELS["generic"].configs(task, _REGISTERS)
    assert configs[0] == generic_configs()[0].as_dict()
    with LocalRunner("host") as runner:
        found = dict(runner.run([Trial.of(task, config) for config in configs[::5]]))
    assert not found[Trial.of(task, configs[0])].error
    assert all(not o.error or o.error.startswith("build") for o in found.values())
    assert sum(not o.error for o in found.values()) > len(found) // 2


def test_a_function_survives_as_text() -> None:
    function = _function(reduces=True)
    text = function_text(function)
    assert function_text(text_function(text)) == text
    tvm.ir.assert_structural_equal(text_function(text), function)
