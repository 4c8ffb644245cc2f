from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm import relax
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.stage.split_products import split_products
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
    weight,
)

INPUTS = {"u": ("n", 2), "i": ("n", 16), "c": ("n", 3)}
SIDES = [USER, ITEM, CROSS]
W = weight(21, 2)
SCALE = np.where(np.arange(21) % 2, 0.5, -2).astype(np.float32)
ATTENTION = {"q": ("n", 1, 16), "k": ("n", 3, 16)}
V = weight(64, 2)


def _concat(scale: Array | None = None) -> IRModule:
    """A layer over a concatenation, perhaps normalised before."""

    def body(emit: Emit, u: Any, i: Any, c: Any) -> Any:
        joined = op.concat((u, i, c), -1)
        if scale is not None:
            joined = op.multiply(joined, const(scale))
        return op.matmul(joined, const(W))

    return network(INPUTS, body, SIDES)


def _attention() -> IRModule:
    """The first layer of an attention unit: q of the item, k of the user."""

    def body(emit: Emit, q: Any, k: Any) -> Any:
        wide = emit(op.multiply(q, const(np.ones((1, 3, 16)))))
        parts = (wide, k, op.subtract(q, k), op.multiply(q, k))
        return op.matmul(op.concat(parts, -1), const(V))

    return network(ATTENTION, body, [ITEM, USER])


@pytest.mark.parametrize("scale", [None, SCALE, SCALE[None]])
def test_each_side_is_multiplied_by_its_rows(scale: Array | None) -> None:
    w = W if scale is None else scale.reshape(-1, 1) * W

    def body(emit: Emit, u: Any, i: Any, c: Any) -> Any:
        total = op.add(op.matmul(c, const(w[18:])), op.matmul(i, const(w[2:18])))
        return emit(op.add(total, op.matmul(u, const(w[:2]))))

    assert_rewrites(split_products, _concat(scale), network(INPUTS, body, SIDES))


def test_the_parts_of_an_attention_unit_are_known_by_side() -> None:
    def body(emit: Emit, q: Any, k: Any) -> Any:
        both = emit(op.multiply(q, k))
        total = op.add(op.matmul(both, const(V[48:])), op.matmul(q, const(V[:16] + V[32:48])))
        return emit(op.add(total, op.matmul(k, const(V[16:32] - V[32:48]))))

    expected = network(ATTENTION, body, [ITEM, USER])
    assert_rewrites(split_products, _attention(), expected)


def test_a_small_share_of_the_item_stays_with_the_row() -> None:
    inputs = {"u": ("n", 2), "i": ("n", 15), "c": ("n", 3)}
    w = weight(20, 2)

    def before(emit: Emit, u: Any, i: Any, c: Any) -> Any:
        return op.matmul(op.concat((u, i, c), -1), const(w))

    def expected(emit: Emit, u: Any, i: Any, c: Any) -> Any:
        row = op.matmul(op.concat((c, i), -1), const(np.concatenate([w[17:], w[2:17]])))
        return emit(op.add(row, op.matmul(u, const(w[:2]))))

    assert_rewrites(
        split_products, network(inputs, before, SIDES), network(inputs, expected, SIDES)
    )


def test_a_view_is_taken_after_the_product() -> None:
    inputs = {"u": ("n", 1, 3, 2), "c": ("n", 3, 2)}

    def before(emit: Emit, u: Any, c: Any) -> Any:
        return op.matmul(op.concat((reshape(u, 3, 2), c), -1), const(weight(4, 2)))

    mod = network(inputs, before, [USER, CROSS])
    after, report = run(split_products, mod)
    assert calls(after) == ["matmul", "matmul", "reshape", "add"]
    assert report.applied == 1
    assert_settled(split_products, after)


def test_nothing_known_earlier_is_refused() -> None:
    mod = network(
        INPUTS,
        lambda emit, u, i, c: op.matmul(op.concat((u, i, c), -1), const(W)),
        [CROSS, CROSS, CROSS],
    )
    assert_stays(split_products, mod, "no side is known earlier")


@pytest.mark.parametrize(
    "body",
    [
        lambda emit, u, i, c: op.matmul(c, const(weight(3, 2))),
        lambda emit, u, i, c: op.matmul(u, const(weight(2, 2))),  # early as a whole
        lambda emit, u, i, c: op.matmul(op.tanh(op.concat((u, c), -1)), const(weight(5, 2))),
    ],
)
def test_another_product_stays(body: Any) -> None:
    assert_stays(split_products, network(INPUTS, body, SIDES))


def test_a_sum_seen_as_other_rows_keeps_its_value() -> None:
    inputs = {"u": ("n", 4, 2), "i": ("n", 4, 2)}

    def body(emit: Emit, u: Any, i: Any) -> Any:
        total = emit(op.add(u, i))
        rows = emit(op.reshape(total, relax.ShapeExpr([batch_of(u) * 2, 2, 2])))
        return op.matmul(rows, const(weight(2, 2)))

    mod = network(inputs, body, [USER, ITEM])
    after, _ = run(split_products, mod)
    u = np.arange(ROWS * 8, dtype=np.float32).reshape(ROWS, 4, 2)
    np.testing.assert_array_equal(evaluate(after, u, u * 2)[0], evaluate(mod, u, u * 2)[0])
    assert_settled(split_products, after)


def _concat_inputs(values: Any) -> Any:
    return given(
        u=arrays(ROWS, 2, values=values),
        i=arrays(ROWS, 16, values=values),
        c=arrays(ROWS, 3, values=values),
    )


@_concat_inputs(EXACT)
@pytest.mark.parametrize("scale", [None, SCALE])
def test_exact_products_stay_to_the_bit(scale: Array | None, u: Array, i: Array, c: Array) -> None:
    before = _concat(scale)
    after, _ = run(split_products, before)
    np.testing.assert_array_equal(evaluate(after, u, i, c)[0], evaluate(before, u, i, c)[0])


@_concat_inputs(FINITE)
def test_any_product_stays_up_to_rounding(u: Array, i: Array, c: Array) -> None:
    before = _concat()
    after, _ = run(split_products, before)
    size = np.abs(np.concatenate([u, i, c], 1)) @ np.abs(W)
    apart = np.abs(evaluate(after, u, i, c)[0] - evaluate(before, u, i, c)[0])
    assert (apart <= 8 * np.finfo(np.float32).eps * size).all()


@given(q=arrays(ROWS, 1, 16, values=EXACT), k=arrays(ROWS, 3, 16, values=EXACT))
def test_an_attention_unit_keeps_its_value(q: Array, k: Array) -> None:
    before = _attention()
    after, _ = run(split_products, before)
    got, wanted = evaluate(after, q, k)[0], evaluate(before, q, k)[0]
    np.testing.assert_array_equal(got, wanted)
