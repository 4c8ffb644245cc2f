from __future__ import annotations

from typing import Any

import pytest
import tvm
from tvm.relax import op

from rtcompile.relay_passes.errors import PassError, RowDependenceError
from rtcompile.relay_passes.exact.check_row_independence import check_row_independence
from tests.relay_passes.modules import const, network, run, weight

X = {"x": ("n", 2, 3)}

_WITHIN_A_ROW = {
    "sum": lambda emit, x: op.sum(x, [1]),
    "mean of the last": lambda emit, x: op.mean(x, [-1]),
    "argmax": lambda emit, x: op.argmax(x, 1),
    "softmax": lambda emit, x: op.nn.softmax(x, -1),
    "log_softmax": lambda emit, x: op.nn.log_softmax(x, 2),
    "cumsum": lambda emit, x: op.cumsum(x, 1),
    "sort": lambda emit, x: op.sort(x, -1),
    "matmul": lambda emit, x: op.matmul(x, const(weight(3, 2))),
    "concat": lambda emit, x: op.concat((x, x), 1),
}
_ACROSS_ROWS = {
    "sum": lambda emit, x: op.sum(x, [0]),
    "mean": lambda emit, x: op.mean(x, [1, -3]),
    "max": lambda emit, x: op.max(x),
    "variance": lambda emit, x: op.variance(x, 0),
    "argmax": lambda emit, x: op.argmax(x, 0),
    "nn.softmax": lambda emit, x: op.nn.softmax(x, 0),
    "nn.log_softmax": lambda emit, x: op.nn.log_softmax(x, -3),
    "cumsum": lambda emit, x: op.cumsum(x),
    "sort": lambda emit, x: op.sort(x, 0),
    "flip": lambda emit, x: op.flip(x, 0),
    "concat": lambda emit, x: op.concat((x, x), 0),
}


@pytest.mark.parametrize("name", _WITHIN_A_ROW)
def test_an_operator_within_a_row_passes_unchanged(name: str) -> None:
    mod = network(X, _WITHIN_A_ROW[name])
    for _ in range(2):
        after, report = run(check_row_independence, mod)
        tvm.ir.assert_structural_equal(after, mod)
        assert report.applied >= 1
        assert report.refused == []


@pytest.mark.parametrize("name", _ACROSS_ROWS)
def test_an_operator_across_rows_is_refused_by_name(name: str) -> None:
    with pytest.raises(RowDependenceError) as caught:
        run(check_row_independence, network(X, _ACROSS_ROWS[name]))
    message = str(caught.value)
    assert message.startswith(f"{name} (")
    assert "along axis 0 of a tensor of shape (n, 2, 3)" in message


def test_a_product_over_the_rows_is_refused() -> None:
    def body(emit: Any, x: Any) -> Any:
        return op.matmul(op.permute_dims(x, [1, 0]), x)

    with pytest.raises(PassError, match=r"matmul \(gv\) works along axis 1 .* \(3, n\)"):
        run(check_row_independence, network({"x": ("n", 3)}, body))


def test_rows_that_only_move_about_pass() -> None:
    def body(emit: Any, x: Any) -> Any:
        return op.permute_dims(op.permute_dims(x, [2, 0, 1]), [1, 2, 0])

    _, report = run(check_row_independence, network(X, body))
    assert report.applied == 2


def test_rows_by_rows_are_refused() -> None:
    def body(emit: Any, x: Any) -> Any:
        flat = emit(op.reshape(x, (x.ty.shape.values[0], 6)))
        return emit(op.matmul(flat, emit(op.permute_dims(flat))))

    with pytest.raises(RowDependenceError, match="the batch on two axes"):
        run(check_row_independence, network(X, body))
