from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tvm import relax
from tvm.relax import op

from rtcompile.relay_passes.simplify import constant_folding
from rtcompile.relay_passes.simplify.constant_folding import fold_constants
from tests.relay_passes.evaluate import evaluate
from tests.relay_passes.modules import Emit, calls, const, network, weight

_HOSTILE = np.array(
    [[0.0, -0.0, 1e-40, 3.4e38], [np.inf, -np.inf, np.nan, 1 / 3]], np.float32
)  # fmt: skip
_OTHER = _HOSTILE[::-1, ::-1].copy()


def _value(body: Any) -> np.ndarray:
    """What a body of constants alone is folded to."""
    folded = fold_constants(network({"x": ("n", 2)}, lambda emit, x: (body(emit), x)))
    assert calls(folded) == []
    return evaluate(folded, weight(3, 2))[0]


@pytest.mark.parametrize(
    ("folded", "expected"),
    [
        (op.add, lambda a, b: a + b),
        (op.subtract, lambda a, b: a - b),
        (op.multiply, lambda a, b: a * b),
        (op.divide, lambda a, b: a / b),
        (lambda a, b: op.sqrt(a), lambda a, b: np.sqrt(a)),
        (lambda a, b: op.reshape(a, (4, 1, 2)), lambda a, b: a.reshape(4, 1, 2)),
        (lambda a, b: op.permute_dims(a), lambda a, b: a.T),
        (lambda a, b: op.permute_dims(a, [1, 0]), lambda a, b: a.T),
        (lambda a, b: op.expand_dims(a, [0, 2]), lambda a, b: a[None, :, None]),
        (lambda a, b: op.broadcast_to(a, (3, 2, 4)), lambda a, b: np.broadcast_to(a, (3, 2, 4))),
    ],
)
def test_no_kernel_is_compiled(folded: Any, expected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constant_folding.relax.transform, "FoldConstant", _refuse)
    with np.errstate(all="ignore"):
        want = expected(_HOSTILE, _OTHER)
    found = _value(lambda emit: emit(folded(relax.const(_HOSTILE), relax.const(_OTHER))))
    assert found.shape == want.shape
    np.testing.assert_array_equal(found.view(np.int32), want.astype(np.float32).view(np.int32))


def _refuse() -> Any:
    raise AssertionError("a kernel is compiled")


def test_the_rest_is_folded_from_what_numpy_computed() -> None:
    def body(emit: Emit) -> Any:
        wide = emit(op.reshape(const([1, 4, 9]), (3, 1)))
        return emit(op.negative(emit(op.sqrt(wide))))

    np.testing.assert_array_equal(_value(body), np.array([[-1], [-2], [-3]], np.float32))


def test_integers_wrap() -> None:
    most = relax.const(np.array([2**31 - 1], np.int32))
    found = _value(lambda emit: emit(op.add(most, relax.const(np.array([1], np.int32)))))
    np.testing.assert_array_equal(found, np.array([-(2**31)], np.int32))
