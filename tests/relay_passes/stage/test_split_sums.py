from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm import relax
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.stage.split_sums import split_sums
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    CROSS,
    EXACT,
    FINITE,
    ITEM,
    ROWS,
    USER,
    Emit,
    arrays,
    assert_rewrites,
    assert_settled,
    assert_stays,
    batch_of,
    calls,
    const,
    network,
    reshape,
    run,
)

INPUTS = {"u": ("n", 2), "i": ("n", 4), "c": ("n", 2)}
SIDES = [USER, ITEM, CROSS]


def _sum(x: Any, axis: int = 1) -> Any:
    return op.sum(x, [axis])


def _linear(keepdims: bool = False) -> IRModule:
    def body(emit: Emit, u: Any, i: Any, c: Any) -> Any:
        return op.sum(op.concat((u, i, c), 1), [1], keepdims)

    return network(INPUTS, body, SIDES)


def _squares() -> IRModule:
    """The pairwise term of a factorization machine over fields of two."""

    def body(emit: Emit, u: Any, i: Any, c: Any) -> Any:
        fields = emit(reshape(emit(op.concat((u, i, c), 1)), 4, 2))
        of_sums = op.power(emit(_sum(fields)), const(2))
        return op.subtract(of_sums, _sum(op.multiply(fields, fields)))

    return network(INPUTS, body, SIDES)


@pytest.mark.parametrize("keepdims", [False, True])
def test_each_side_is_summed_alone(keepdims: bool) -> None:
    def body(emit: Emit, u: Any, i: Any, c: Any) -> Any:
        total = op.add(op.sum(c, [1], keepdims), op.sum(i, [1], keepdims))
        return emit(op.add(total, op.sum(u, [1], keepdims)))

    assert_rewrites(split_sums, _linear(keepdims), network(INPUTS, body, SIDES))


def test_parts_of_one_side_are_summed_together() -> None:
    def before(emit: Emit, u: Any, i: Any, c: Any) -> Any:
        return _sum(op.concat((u, c, u), 1))

    def expected(emit: Emit, u: Any, i: Any, c: Any) -> Any:
        return emit(op.add(_sum(c), _sum(op.concat((u, u), 1))))

    assert_rewrites(split_sums, network(INPUTS, before, SIDES), network(INPUTS, expected, SIDES))


def test_fields_and_their_squares_are_summed_by_side() -> None:
    after, report = run(split_sums, _squares())
    assert report.applied == 2
    assert calls(after).count("sum") == 6
    assert "concat" not in calls(after)
    assert_settled(split_sums, after)


@pytest.mark.parametrize("sides", [None, [USER] * 3, [CROSS] * 3])
def test_one_side_stays(sides: Any) -> None:
    mod = network(INPUTS, lambda emit, u, i, c: _sum(op.concat((u, i, c), 1)), sides)
    assert_stays(split_sums, mod)


@pytest.mark.parametrize(
    "body",
    [
        lambda emit, u, i, c: _sum(op.add(u, c)),  # no concatenation
        lambda emit, u, i, c: op.max(op.concat((u, c), 1), [1]),  # no sum
        lambda emit, u, i, c: _sum(reshape(emit(op.concat((u, c), 1)), 2, 2), 2),  # within fields
        lambda emit, u, i, c: _sum(op.multiply(op.concat((u, c), 1), i)),  # of two tensors
        lambda emit, u, i, c: _sum(reshape(emit(op.concat((i, c), 1)), 2, 3)),  # fields straddle
    ],
)
def test_another_sum_stays(body: Any) -> None:
    assert_stays(split_sums, network(INPUTS, body, SIDES))


def test_a_view_of_other_rows_stays() -> None:
    def body(emit: Emit, u: Any, i: Any, c: Any) -> Any:
        joined = emit(op.concat((u, c), 1))
        rows = relax.ShapeExpr([batch_of(u) * 2, 1, 2])
        return reshape(emit(op.reshape(_sum(op.reshape(joined, rows)), [batch_of(u), 4])), 4)

    assert_stays(split_sums, network(INPUTS, body, SIDES))


@given(
    u=arrays(ROWS, 2, values=EXACT),
    i=arrays(ROWS, 4, values=EXACT),
    c=arrays(ROWS, 2, values=EXACT),
)
@pytest.mark.parametrize("mod", [_linear(), _linear(True), _squares()])
def test_exact_sums_stay_to_the_bit(mod: IRModule, u: Array, i: Array, c: Array) -> None:
    after, _ = run(split_sums, mod)
    np.testing.assert_array_equal(evaluate(after, u, i, c)[0], evaluate(mod, u, i, c)[0])


@given(
    u=arrays(ROWS, 2, values=FINITE),
    i=arrays(ROWS, 4, values=FINITE),
    c=arrays(ROWS, 2, values=FINITE),
)
def test_any_sum_stays_up_to_rounding(u: Array, i: Array, c: Array) -> None:
    mod = _linear()
    after, _ = run(split_sums, mod)
    size = np.abs(np.concatenate([u, i, c], 1)).sum(1)
    apart = np.abs(evaluate(after, u, i, c)[0] - evaluate(mod, u, i, c)[0])
    assert (apart <= 8 * np.finfo(np.float32).eps * size).all()
