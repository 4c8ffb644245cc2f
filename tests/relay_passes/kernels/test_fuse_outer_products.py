from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm import relax
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.kernels.fuse_outer_products import fuse_outer_products
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    EXACT,
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
    weight,
)

INPUTS = {"a": ("n", 2, 3), "b": ("n", 4, 3)}
BIAS = const([0.5, -1])


def _swap(x: Any) -> Any:
    return op.permute_dims(x, [0, 2, 1])


def _dense(x: Any, matrix: Any, *extents: int) -> Any:
    return kernel("rtc.dense.maximum acc 0.0", (x, const(matrix), BIAS), x, *extents)


def _layer(first: bool = True) -> IRModule:
    """A layer of a compressed interaction network, its factors in either order."""

    def body(emit: Emit, a: Any, b: Any) -> Any:
        rows, columns = emit(reshape(a, 2, 1, 3)), emit(reshape(b, 1, 4, 3))
        pair = (rows, columns) if first else (columns, rows)
        flat = emit(reshape(emit(op.multiply(*pair)), 8, 3))
        return _dense(emit(_swap(flat)), weight(8, 2), 3, 2)

    return network(INPUTS, body)


def _rows() -> IRModule:
    """Without another axis behind."""

    def body(emit: Emit, a: Any, b: Any) -> Any:
        rows, columns = emit(reshape(a, 6, 1)), emit(reshape(b, 1, 4))
        return _dense(emit(reshape(emit(op.multiply(rows, columns)), 24)), weight(24, 2), 2)

    return network({"a": ("n", 6), "b": ("n", 4)}, body)


def _itself(matrix: Array) -> IRModule:
    def body(emit: Emit, b: Any) -> Any:
        rows, columns = emit(reshape(b, 4, 1, 3)), emit(reshape(b, 1, 4, 3))
        flat = emit(reshape(emit(op.multiply(rows, columns)), 16, 3))
        return _dense(emit(_swap(flat)), matrix, 3, 2)

    return network({"b": ("n", 4, 3)}, body)


@pytest.mark.parametrize("first", [True, False])
def test_a_layer_over_products_reads_the_factors(first: bool) -> None:
    def body(emit: Emit, a: Any, b: Any) -> Any:
        fields = (emit(_swap(a)), emit(_swap(b)), const(weight(8, 2)), BIAS)
        return kernel("rtc.outer_dense.maximum acc 0.0", fields, a, 3, 2)

    assert_rewrites(fuse_outer_products, _layer(first), network(INPUTS, body))


def test_rows_of_factors_are_read_as_they_are() -> None:
    def body(emit: Emit, a: Any, b: Any) -> Any:
        return kernel("rtc.outer_dense.maximum acc 0.0", (a, b, const(weight(24, 2)), BIAS), a, 2)

    assert_rewrites(fuse_outer_products, _rows(), network({"a": ("n", 6), "b": ("n", 4)}, body))


def test_a_tensor_by_itself_is_multiplied_once_a_pair() -> None:
    after, report = run(fuse_outer_products, _itself(weight(16, 2)))
    assert report.applied == 1
    assert calls(after) == ["permute_dims", "rtc.outer_dense.symmetric.maximum acc 0.0"]
    assert_settled(fuse_outer_products, after)


def test_a_permute_before_is_cancelled() -> None:
    def body(emit: Emit, a: Any, b: Any) -> Any:
        rows, columns = emit(reshape(emit(_swap(a)), 2, 1, 3)), emit(reshape(b, 1, 4, 3))
        flat = emit(reshape(emit(op.multiply(rows, columns)), 8, 3))
        return _dense(emit(_swap(flat)), weight(8, 2), 3, 2)

    after, _ = run(fuse_outer_products, network({"a": ("n", 3, 2), "b": ("n", 4, 3)}, body))
    assert calls(after) == ["permute_dims", "rtc.outer_dense.maximum acc 0.0"]


def test_few_columns_are_refused() -> None:
    def body(emit: Emit, a: Any) -> Any:
        rows, columns = emit(reshape(a, 3, 1)), emit(reshape(a, 1, 3))
        return _dense(emit(reshape(emit(op.multiply(rows, columns)), 9)), weight(9, 2), 2)

    assert_stays(fuse_outer_products, network({"a": ("n", 3)}, body), "of 3 columns")


def test_a_layer_of_another_product_stays() -> None:
    def body(emit: Emit, a: Any, b: Any) -> Any:
        x = emit(reshape(emit(op.multiply(emit(reshape(a, 4, 1)), b)), 12))
        return _dense(x, weight(12, 2), 2)

    assert_stays(fuse_outer_products, network({"a": ("n", 4), "b": ("n", 4, 3)}, body))


def test_a_layer_of_sums_stays() -> None:
    def body(emit: Emit, a: Any, b: Any) -> Any:
        rows, columns = emit(reshape(a, 6, 1)), emit(reshape(b, 1, 4))
        return _dense(emit(reshape(emit(op.add(rows, columns)), 24)), weight(24, 2), 2)

    assert_stays(fuse_outer_products, network({"a": ("n", 6), "b": ("n", 4)}, body))


def test_an_addend_keeps_the_layer() -> None:
    def body(emit: Emit, a: Any, b: Any) -> Any:
        rows, columns = emit(reshape(a, 6, 1)), emit(reshape(b, 1, 4))
        x = emit(reshape(emit(op.multiply(rows, columns)), 24))
        fields = relax.Tuple([x, const(weight(24, 4)), const(np.zeros(4)), b])
        return kernel("rtc.dense.add acc each:0; maximum s0 0.0", fields.fields, x, 4)

    assert_stays(fuse_outer_products, network({"a": ("n", 6), "b": ("n", 4)}, body))


@given(a=arrays(ROWS, 2, 3, values=EXACT), b=arrays(ROWS, 4, 3, values=EXACT))
@pytest.mark.parametrize("first", [True, False])
def test_exact_products_stay_to_the_bit(first: bool, a: Array, b: Array) -> None:
    mod = _layer(first)
    after, _ = run(fuse_outer_products, mod)
    np.testing.assert_array_equal(evaluate(after, a, b)[0], evaluate(mod, a, b)[0])


@given(b=arrays(ROWS, 4, 3, values=EXACT))
def test_pairs_of_itself_stay_up_to_rounding(b: Array) -> None:
    mod = _itself(weight(16, 2))
    after, _ = run(fuse_outer_products, mod)
    np.testing.assert_allclose(evaluate(after, b)[0], evaluate(mod, b)[0], atol=1e-3, rtol=1e-6)
