from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm.relax import op

from rtcompile.relay_passes.lift.lift_shared_matmuls import lift_shared_matmuls
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    ROWS,
    arrays,
    assert_rewrites,
    assert_stays,
    kernel,
    network,
    run,
)

_NN = {"a": ("n", 2, 3), "u": (1, 3, 4)}
_NT = {"a": ("n", 2, 3), "u": (1, 4, 3)}


def _spread(emit: Any, a: Any, u: Any) -> Any:
    return emit(kernel("rtc.spread", (u,), a, *map(int, u.ty.shape.values[1:])))


def _product(emit: Any, a: Any, u: Any) -> Any:
    return op.matmul(a, _spread(emit, a, u))


def _transposed(emit: Any, a: Any, u: Any) -> Any:
    return op.matmul(a, emit(op.permute_dims(_spread(emit, a, u), [0, 2, 1])))


_KINDS = {"nn": (_NN, _product), "nt": (_NT, _transposed)}


@pytest.mark.parametrize("kind", _KINDS)
def test_a_users_matrix_is_multiplied_without_copies(kind: str) -> None:
    inputs, body = _KINDS[kind]
    expected = network(
        inputs, lambda emit, a, u: kernel(f"rtc.shared_matmul.{kind}", (a, u), a, 2, 4)
    )
    assert_rewrites(lift_shared_matmuls, network(inputs, body), expected)


def test_a_matrix_of_each_row_stays() -> None:
    inputs = {"a": ("n", 2, 3), "b": ("n", 3, 4)}
    assert_stays(lift_shared_matmuls, network(inputs, lambda emit, a, b: op.matmul(a, b)))


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"a": ("n", 2, 3), "u": (1, 3, 1)}, "one column"),
        ({"a": ("n", 5, 2, 3), "u": (1, 5, 3, 4)}, "no [n, m, k] by [1, k, c]"),
    ],
)
def test_another_product_is_refused(inputs: dict[str, Any], reason: str) -> None:
    assert_stays(lift_shared_matmuls, network(inputs, _product), reason)


@given(a=arrays(ROWS, 2, 3), u=arrays(1, 4, 3))
@pytest.mark.parametrize("kind", _KINDS)
def test_the_value_stays(kind: str, a: Array, u: Array) -> None:
    inputs, body = _KINDS[kind]
    before = network(inputs, body)
    after, _ = run(lift_shared_matmuls, before)
    u = u if kind == "nt" else np.ascontiguousarray(np.swapaxes(u, 1, 2))
    np.testing.assert_array_equal(evaluate(after, a, u)[0], evaluate(before, a, u)[0])
