from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given
from tvm import relax, topi
from tvm.ir import IRModule
from tvm.relax import op

from relay_passes.raise_bounds import raise_bounds
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    ANY,
    ROWS,
    Emit,
    arrays,
    assert_settled,
    assert_stays,
    batch_of,
    calls,
    const,
    network,
    run,
)


def _clip() -> IRModule:
    """As the importer makes it."""
    builder = relax.BlockBuilder()
    shape = network({"x": ("n", 2)}, lambda emit, x: x)["main"].params[0].ty
    x = relax.Var("x", shape)
    with builder.function("main", [x]):
        with builder.dataflow():
            low = builder.emit_te(topi.maximum, x, const(-1))
            output = builder.emit_output(builder.emit_te(topi.minimum, low, const(2)))
        builder.emit_func_output(output)
    return builder.get()


def _larger(smaller: Any) -> IRModule:
    def body(emit: Emit, x: Any, y: Any) -> Any:
        extents = relax.ShapeExpr([batch_of(x), 2])
        parts = [emit(op.broadcast_to(part, extents)) for part in (x, smaller(y))]
        return op.max(emit(op.stack(parts, axis=0)), axis=[0])

    return network({"x": ("n", 2), "y": ("n", 2)}, body)


def test_a_clip_is_two_operators() -> None:
    after, report = run(raise_bounds, _clip())
    assert calls(after) == ["maximum", "minimum"]
    assert report.applied == 2
    assert_settled(raise_bounds, after)


def test_a_max_of_two_is_one_operator() -> None:
    after, report = run(raise_bounds, _larger(lambda y: y))
    assert calls(after) == ["maximum"]
    assert report.applied == 1
    assert_settled(raise_bounds, after)


def test_a_max_by_a_number_is_one_operator() -> None:
    after, _ = run(raise_bounds, _larger(lambda y: const(0.5)))
    assert calls(after) == ["maximum"]


def test_a_reduction_stays() -> None:
    assert_stays(raise_bounds, network({"x": ("n", 2)}, lambda emit, x: op.max(x, axis=[1])))


def test_another_axis_stays() -> None:
    def body(emit: Emit, x: Any, y: Any) -> Any:
        return op.max(emit(op.stack([x, y], axis=1)), axis=[1])

    assert_stays(raise_bounds, network({"x": ("n", 2), "y": ("n", 2)}, body))


@given(x=arrays(ROWS, 2, values=ANY))
def test_a_clip_keeps_its_value(x: Array) -> None:
    after, _ = run(raise_bounds, _clip())
    wanted = np.minimum(np.maximum(x, np.float32(-1)), np.float32(2))
    np.testing.assert_array_equal(evaluate(after, x)[0], wanted)


@given(x=arrays(ROWS, 2), y=arrays(ROWS, 2))
def test_a_max_keeps_its_value(x: Array, y: Array) -> None:
    after, _ = run(raise_bounds, _larger(lambda y: y))
    np.testing.assert_array_equal(evaluate(after, x, y)[0], np.maximum(x, y))
