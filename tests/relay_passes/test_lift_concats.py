from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm import relax
from tvm.ir import IRModule
from tvm.relax import op

from relay_passes.lift_concats import lift_concats
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    ROWS,
    arrays,
    assert_rewrites,
    assert_stays,
    calls,
    const,
    kernel,
    network,
    run,
)

INPUTS = {"x": ("n", 2, 3), "y": ("n", 2, 3)}


def _concat(axis: int) -> IRModule:
    return network(INPUTS, lambda emit, x, y: op.concat((x, y), axis))


@pytest.mark.parametrize(
    ("axis", "at", "extents"), [(1, 1, (4, 3)), (2, 2, (2, 6)), (-1, 2, (2, 6))]
)
def test_a_concat_behind_the_batch_is_a_call(axis: int, at: int, extents: tuple[int, ...]) -> None:
    def body(emit: Any, x: Any, y: Any) -> Any:
        return kernel(f"rtc.concat.{at}", (x, y), x, *extents)

    assert_rewrites(lift_concats, _concat(axis), network(INPUTS, body))


def test_parts_may_stand_in_a_variable() -> None:
    def body(emit: Any, x: Any, y: Any) -> Any:
        return op.concat(emit(relax.Tuple([x, y])), 1)

    after, report = run(lift_concats, network(INPUTS, body))
    assert calls(after) == ["rtc.concat.1"]
    assert report.applied == 1


def test_a_concat_along_the_batch_is_refused() -> None:
    assert_stays(lift_concats, _concat(0), "the batch is on a later axis")


def test_a_constant_part_is_refused() -> None:
    def body(emit: Any, x: Any) -> Any:
        return op.concat((x, const(np.ones((1, 3)))), 1)

    assert_stays(lift_concats, network({"x": (1, 3)}, body), "a part is a constant")


@given(x=arrays(ROWS, 2, 3), y=arrays(ROWS, 2, 3))
@pytest.mark.parametrize("axis", [1, 2])
def test_the_value_stays(axis: int, x: Array, y: Array) -> None:
    before = _concat(axis)
    after, _ = run(lift_concats, before)
    np.testing.assert_array_equal(evaluate(after, x, y)[0], evaluate(before, x, y)[0])
