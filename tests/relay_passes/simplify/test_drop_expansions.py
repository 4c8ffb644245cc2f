from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.simplify.drop_expansions import drop_expansions
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    ROWS,
    arrays,
    assert_rewrites,
    assert_stays,
    const,
    network,
    run,
)

INPUTS = {"q": ("n", 1, 2), "k": ("n", 4, 2)}
ONES = const(np.ones((1, 4, 2)))
_BINARY = {"add": op.add, "subtract": op.subtract, "multiply": op.multiply, "divide": op.divide}


def _expanded(binary: Any, factor: Any = ONES, turned: bool = False) -> IRModule:
    def body(emit: Any, q: Any, k: Any) -> Any:
        wide = op.multiply(factor, q) if turned else op.multiply(q, factor)
        return binary(k, wide) if turned else binary(wide, k)

    return network(INPUTS, body)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("name", _BINARY)
def test_an_element_wise_operator_broadcasts(name: str, turned: bool) -> None:
    binary = _BINARY[name]
    expected = network(INPUTS, lambda emit, q, k: binary(k, q) if turned else binary(q, k))
    assert_rewrites(drop_expansions, _expanded(binary, turned=turned), expected)


def test_both_operands_may_be_expanded() -> None:
    inputs = {"a": ("n", 1, 2), "b": ("n", 4, 1)}

    def body(emit: Any, a: Any, b: Any) -> Any:
        wide = op.multiply(a, const(np.ones((1, 4, 1))))
        return op.add(wide, op.multiply(b, const(np.ones((1, 1, 2)))))

    expected = network(inputs, lambda emit, a, b: op.add(a, b))
    assert_rewrites(drop_expansions, network(inputs, body), expected)


def test_one_is_kept_where_the_result_needs_it() -> None:
    inputs = {"a": ("n", 1, 2), "b": ("n", 1, 2)}

    def body(emit: Any, a: Any, b: Any) -> Any:
        return op.add(op.multiply(a, ONES), op.multiply(b, ONES))

    expected = network(inputs, lambda emit, a, b: op.add(a, op.multiply(b, ONES)))
    assert_rewrites(drop_expansions, network(inputs, body), expected)


def test_a_factor_that_is_not_one_stays() -> None:
    factor = np.ones((1, 4, 2))
    factor[0, 3, 1] = 2
    assert_stays(drop_expansions, _expanded(op.add, const(factor)))


def test_what_another_operator_reads_stays() -> None:
    def body(emit: Any, q: Any, k: Any) -> Any:
        return op.concat((op.multiply(q, ONES), k), 2)

    assert_stays(drop_expansions, network(INPUTS, body))


def test_a_product_by_ones_of_the_same_shape_stays() -> None:
    mod = network({"k": ("n", 4, 2)}, lambda emit, k: op.add(op.multiply(k, ONES), k))
    assert_stays(drop_expansions, mod)


@given(q=arrays(ROWS, 1, 2), k=arrays(ROWS, 4, 2))
@pytest.mark.parametrize("name", _BINARY)
def test_the_value_stays(name: str, q: Array, k: Array) -> None:
    before = _expanded(_BINARY[name])
    after, _ = run(drop_expansions, before)
    np.testing.assert_array_equal(evaluate(after, q, k)[0], evaluate(before, q, k)[0])
