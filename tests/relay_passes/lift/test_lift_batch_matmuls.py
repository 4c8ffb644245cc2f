from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from tvm.relax import op

from rtcompile.relay_passes.lift.lift_batch_matmuls import lift_batch_matmuls
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    ROWS,
    arrays,
    assert_rewrites,
    assert_stays,
    const,
    kernel,
    network,
    run,
    weight,
)

_NN = {"a": ("n", 3, 2), "b": ("n", 2, 4)}
_NT = {"a": ("n", 3, 2), "b": ("n", 4, 2)}


def _product(emit: Any, a: Any, b: Any) -> Any:
    return op.matmul(a, b)


def _transposed(emit: Any, a: Any, b: Any) -> Any:
    return op.matmul(a, op.permute_dims(b, [0, 2, 1]))


_KINDS = {"nn": (_NN, _product), "nt": (_NT, _transposed)}


@pytest.mark.parametrize("kind", _KINDS)
def test_a_matrix_pair_a_row_is_a_call(kind: str) -> None:
    inputs, body = _KINDS[kind]
    expected = network(
        inputs, lambda emit, a, b: kernel(f"rtc.batch_matmul.{kind}", (a, b), a, 3, 4)
    )
    assert_rewrites(lift_batch_matmuls, network(inputs, body), expected)


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ({"a": ("n", 3, 2), "b": (2, 4)}, "no equal leading axes"),
        ({"a": ("n", 3, 2), "b": (1, 2, 4)}, "no equal leading axes"),
        ({"a": ("n", 2, 2), "b": ("n", 2, 4)}, "2 rows by 4 columns"),
        ({"a": ("n", 4, 2), "b": ("n", 2, 1)}, "4 rows by 1 columns"),
    ],
)
def test_another_pair_is_refused(inputs: dict[str, Any], reason: str) -> None:
    assert_stays(lift_batch_matmuls, network(inputs, _product), reason)


def test_a_product_by_a_constant_stays() -> None:
    mod = network({"a": ("n", 3, 2)}, lambda emit, a: op.matmul(a, const(weight(2, 4))))
    assert_stays(lift_batch_matmuls, mod)


@given(a=arrays(ROWS, 3, 2), b=arrays(ROWS, 4, 2))
@pytest.mark.parametrize("kind", _KINDS)
def test_the_value_stays(kind: str, a: Array, b: Array) -> None:
    inputs, body = _KINDS[kind]
    before = network(inputs, body)
    after, _ = run(lift_batch_matmuls, before)
    b = b if kind == "nt" else np.ascontiguousarray(np.swapaxes(b, 1, 2))
    np.testing.assert_array_equal(evaluate(after, a, b)[0], evaluate(before, a, b)[0])
