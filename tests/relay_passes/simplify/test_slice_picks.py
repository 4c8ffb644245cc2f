from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tvm import relax, tirx
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.errors import PassError
from rtcompile.relay_passes.simplify.slice_picks import slice_picks
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    ROWS,
    Emit,
    arrays,
    assert_rewrites,
    assert_stays,
    const,
    network,
    run,
)


def _take(index: Any, axis: int) -> IRModule:
    picked = const(index, "int64")
    return network({"x": ("n", 4, 3)}, lambda emit, x: op.take(x, picked, axis))


@pytest.mark.parametrize(("index", "at"), [(0, 0), (3, 3), (-1, 3), (-4, 0)])
def test_one_element_is_a_slice(index: int, at: int) -> None:
    def body(emit: Emit, x: Any) -> Any:
        return op.squeeze(emit(op.strided_slice(x, [1], [at], [at + 1])), [1])

    assert_rewrites(slice_picks, _take(index, 1), network({"x": ("n", 4, 3)}, body))


def test_a_list_of_one_keeps_its_axis() -> None:
    expected = network({"x": ("n", 4, 3)}, lambda emit, x: op.strided_slice(x, [2], [1], [2]))
    assert_rewrites(slice_picks, _take([1], 2), expected)


@pytest.mark.parametrize("index", [4, -5])
def test_an_index_outside_is_an_error(index: int) -> None:
    with pytest.raises(PassError, match=f"element {index} of an axis that has 4"):
        run(slice_picks, _take(index, 1))


def test_several_elements_stay() -> None:
    assert_stays(slice_picks, _take([1, 0], 1))


def test_indices_that_come_with_a_request_stay() -> None:
    mod = network(
        {"x": ("n", 4), "i": (1,)}, lambda emit, x, i: op.take(x, i, 1), dtypes={"i": "int64"}
    )
    assert_stays(slice_picks, mod)


def test_a_look_up_stays() -> None:
    table = const(np.ones((4, 2)))
    mod = network({"i": ("n",)}, lambda emit, i: op.take(table, i, 0), dtypes={"i": "int64"})
    assert_stays(slice_picks, mod)


def test_an_axis_of_unknown_extent_is_refused() -> None:
    mod = network(
        {"x": ("n", tirx.Var("m", "int64"))}, lambda emit, x: op.take(x, relax.const(0), 1)
    )
    assert_stays(slice_picks, mod, "unknown extent")


@given(x=arrays(ROWS, 4, 3), index=st.integers(-3, 2), keep=st.booleans())
def test_the_value_is_numpys(x: Array, index: int, keep: bool) -> None:
    after, report = run(slice_picks, _take([index] if keep else index, 2))
    assert report.applied == 1
    wanted = x.take([index] if keep else index, 2)
    np.testing.assert_array_equal(evaluate(after, x)[0], wanted)
