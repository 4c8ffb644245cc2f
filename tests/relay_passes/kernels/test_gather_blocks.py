from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm import relax
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.kernels.gather_blocks import gather_blocks
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    ROWS,
    Emit,
    arrays,
    assert_rewrites,
    assert_settled,
    assert_stays,
    calls,
    const,
    kernel,
    network,
    reshape,
    run,
)

INPUTS = {"x": ("n", 2, 3), "y": ("n", 2, 3)}


def _indices(*values: int) -> Any:
    return const(values, "int64")


def _concat(axis: int) -> IRModule:
    return network(INPUTS, lambda emit, x, y: op.concat((x, y), axis))


def _joined(rows: int, sources: tuple[Any, ...], table: Any, *extents: int) -> Any:
    fields = [*sources, const(table, "int64")]
    return kernel(f"rtc.blocks.{rows}", fields, sources[0], *extents)


@pytest.mark.parametrize(
    ("axis", "rows", "extents"), [(1, 1, (4, 3)), (2, 2, (2, 6)), (-1, 2, (2, 6))]
)
def test_a_concat_behind_the_batch_is_a_call(
    axis: int, rows: int, extents: tuple[int, ...]
) -> None:
    width = 6 // rows

    def body(emit: Any, x: Any, y: Any) -> Any:
        table = [[0, 0, -1, 0, width], [1, 0, -1, 0, width]]
        return _joined(rows, (x, y), table, *extents)

    assert_rewrites(gather_blocks, _concat(axis), network(INPUTS, body))


def test_parts_may_stand_in_a_variable() -> None:
    def body(emit: Any, x: Any, y: Any) -> Any:
        return op.concat(emit(relax.Tuple([x, y])), 1)

    after, report = run(gather_blocks, network(INPUTS, body))
    assert calls(after) == ["rtc.blocks.1"]
    assert report.applied == 1


def test_slices_splits_and_products_are_read_in_place() -> None:
    def before(emit: Emit, x: Any, y: Any) -> Any:
        second = emit(op.split(x, 2, 1)[1])
        first = emit(op.strided_slice(y, [1], [0], [1]))
        return op.concat((first, emit(op.multiply(second, first)), x), 1)

    def expected(emit: Emit, x: Any, y: Any) -> Any:
        table = [[0, 0, -1, 0, 3], [1, 3, 0, 0, 3], [1, 0, -1, 0, 6]]
        return _joined(1, (y, x), table, 4, 3)

    assert_rewrites(gather_blocks, network(INPUTS, before), network(INPUTS, expected))


def test_neighbours_are_one_block() -> None:
    def before(emit: Emit, x: Any, y: Any) -> Any:
        halves = emit(op.split(x, 2, 1))
        return op.concat((emit(halves[0]), emit(halves[1]), y), 1)

    def expected(emit: Emit, x: Any, y: Any) -> Any:
        return _joined(1, (x, y), [[0, 0, -1, 0, 6], [1, 0, -1, 0, 6]], 4, 3)

    assert_rewrites(gather_blocks, network(INPUTS, before), network(INPUTS, expected))


def test_a_pick_by_constant_indices_is_a_call() -> None:
    def before(emit: Emit, x: Any, y: Any) -> Any:
        return op.take(emit(reshape(emit(op.matmul(x, y)), 4)), _indices(2, 3, 0, -1), 1)

    def expected(emit: Emit, x: Any, y: Any) -> Any:
        table = [[0, 2, -1, 0, 2], [0, 0, -1, 0, 1], [0, 3, -1, 0, 1]]
        return _joined(1, (emit(op.matmul(x, y)),), table, 4)

    inputs = {"x": ("n", 2, 2), "y": ("n", 2, 2)}
    assert_rewrites(gather_blocks, network(inputs, before), network(inputs, expected))


def test_a_product_that_is_read_elsewhere_is_computed_once() -> None:
    def body(emit: Emit, x: Any, y: Any) -> Any:
        product = emit(op.multiply(x, y))
        return emit(op.concat((product, x), 1)), product

    after, _ = run(gather_blocks, network(INPUTS, body))
    assert calls(after) == ["multiply", "rtc.blocks.1"]


def test_a_concat_along_the_batch_is_refused() -> None:
    assert_stays(gather_blocks, _concat(0), "the batch is on a later axis")


def test_a_concat_without_a_batch_is_refused() -> None:
    mod = network({"x": ("n", 2), "w": (1, 3)}, lambda emit, x, w: op.concat((w, w), 1))
    assert_stays(gather_blocks, mod, "it has no batch")


def test_a_constant_part_is_refused() -> None:
    def body(emit: Any, x: Any) -> Any:
        return op.concat((x, const(np.ones((1, 3)))), 1)

    assert_stays(gather_blocks, network({"x": (1, 3)}, body), "a part is a constant")


@pytest.mark.parametrize(
    "body",
    [
        lambda emit, x, y: op.take(x, _indices(1, 0), 0),  # of the rows
        lambda emit, x, y: op.multiply(x, y),  # nothing is joined
        lambda emit, x, y: op.strided_slice(x, [1], [0], [1]),  # a slice alone
    ],
)
def test_what_joins_nothing_stays(body: Callable[..., Any]) -> None:
    assert_stays(gather_blocks, network(INPUTS, body))


def test_a_broadcast_product_is_a_part_as_it_is() -> None:
    def body(emit: Emit, x: Any, g: Any) -> Any:
        return op.concat((emit(op.multiply(x, g)), x), 1)

    after, _ = run(gather_blocks, network({"x": ("n", 2, 3), "g": ("n", 2, 1)}, body))
    assert calls(after) == ["multiply", "rtc.blocks.1"]


def _pairs(emit: Emit, x: Any, y: Any) -> Any:
    """All products of two of the four fields, then as many slices, joined anew."""
    fields = [emit(part) for source in (x, y) for part in emit(op.split(source, 2, 1))]
    products = [emit(op.multiply(a, b)) for a, b in combinations(fields, 2)]
    parts = emit(op.split(emit(op.concat(products, 1)), 6, 1))
    rest = emit(op.strided_slice(x, [2], [1], [3]))
    flat = [emit(reshape(emit(parts[i]), 3)) for i in range(6)]
    return op.concat((*flat, emit(reshape(rest, 4))), 1)


def _picked(emit: Emit, x: Any, y: Any) -> Any:
    return op.take(emit(op.concat((x, y), 2)), _indices(5, 0, 1, -2), 2)


BODIES = [
    lambda emit, x, y: op.concat((x, y), 1),
    lambda emit, x, y: op.concat((x, y), 2),
    _pairs,
    _picked,
]


@given(x=arrays(ROWS, 2, 3), y=arrays(ROWS, 2, 3))
@pytest.mark.parametrize("body", BODIES)
def test_the_value_stays(body: Callable[..., Any], x: Array, y: Array) -> None:
    before = network(INPUTS, body)
    after, report = run(gather_blocks, before)
    assert report.applied >= 1
    assert set(calls(after)) <= {"rtc.blocks.1", "rtc.blocks.2"}
    assert_settled(gather_blocks, after)
    np.testing.assert_array_equal(evaluate(after, x, y)[0], evaluate(before, x, y)[0])
