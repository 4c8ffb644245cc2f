from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.simplify.constant_folding import fold_constants
from tests.relay_passes.evaluate import evaluate
from tests.relay_passes.modules import Emit, batch_of, calls, const, network, weight


def _folded(body: Any) -> tuple[IRModule, IRModule]:
    before = network({"x": ("n", 2)}, body)
    return before, fold_constants(before)


def test_a_chain_of_constants_is_one() -> None:
    def body(emit: Emit, x: Any) -> Any:
        both = emit(op.concat((const([1]), emit(op.add(const([2]), const(1)))), 0))
        return op.add(x, emit(op.negative(both)))

    before, after = _folded(body)
    assert calls(after) == ["add"]
    x = weight(3, 2)
    np.testing.assert_array_equal(evaluate(after, x)[0], evaluate(before, x)[0])


def test_a_result_may_be_a_constant() -> None:
    before, after = _folded(lambda emit, x: (emit(op.add(const([1]), const([2]))), x))
    assert calls(before) == ["add"]
    assert calls(after) == []
    np.testing.assert_array_equal(evaluate(after, weight(3, 2))[0], [3])


def test_what_takes_its_shape_from_the_batch_stays() -> None:
    def body(emit: Emit, x: Any) -> Any:
        ones = emit(op.ones(relax.ShapeExpr([batch_of(x), 1]), "float32"))
        return op.add(emit(op.add(ones, const(1))), x)

    before, after = _folded(body)
    assert calls(after) == calls(before) == ["ones", "add", "add"]


def test_a_graph_without_any_is_the_same_object() -> None:
    before, after = _folded(lambda emit, x: op.add(x, const(1)))
    assert after.same_as(before)
