from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from tvm import relax
from tvm.relax import op

from rtcompile.relay_passes.exact.widen_halves import widen_halves
from rtcompile.relay_passes.matching import bindings
from tests.relay_passes.modules import (
    Emit,
    assert_rewrites,
    assert_settled,
    assert_stays,
    calls,
    const,
    network,
    run,
    weight,
)

_INPUTS = {"x": ("n", 4)}
_OF_HALVES = {"x": "float16"}


def test_a_product_runs_in_float32() -> None:
    def before(emit: Emit, x: Any) -> Any:
        return op.nn.relu(emit(op.matmul(x, const(weight(4, 3), "float16"))))

    def expected(emit: Emit, x: Any) -> Any:
        wide = emit(op.astype(x, "float32"))
        product = emit(op.matmul(wide, const(weight(4, 3))))
        return op.astype(emit(op.nn.relu(product)), "float16")

    mod = network(_INPUTS, before, dtypes=_OF_HALVES)
    assert_rewrites(widen_halves, mod, network(_INPUTS, expected, dtypes=_OF_HALVES), applied=2)


@pytest.mark.parametrize("half", ["float16", "bfloat16"])
def test_results_keep_their_types(half: str) -> None:
    def before(emit: Emit, x: Any) -> Any:
        total = emit(op.sum(x, [1]))
        return total, emit(op.greater(x, total_of(emit, x, half)))

    def total_of(emit: Emit, x: Any, half: str) -> Any:
        return emit(op.multiply(x, relax.const(2.0, half)))

    after, _ = run(widen_halves, network(_INPUTS, before, dtypes={"x": half}))
    types = [str(ty.dtype) for ty in after["main"].ret_ty.fields]
    assert types == [half, "bool"]
    assert_settled(widen_halves, after)


def test_what_a_step_reads_is_rounded() -> None:
    def before(emit: Emit, x: Any) -> Any:
        return op.astype(emit(op.multiply(x, x)), "int32")

    after, _ = run(widen_halves, network(_INPUTS, before, dtypes=_OF_HALVES))
    kinds = [str(v.ty.dtype) for v in bindings(after["main"])][:5]
    assert calls(after) == ["astype", "multiply", "astype", "astype", "astype"]
    assert kinds == ["float32", "float32", "float16", "float32", "int32"]


def test_an_explicit_cast_rounds() -> None:
    def before(emit: Emit, x: Any) -> Any:
        half = emit(op.astype(x, "float16"))
        return op.astype(emit(op.add(half, half)), "float32")

    after, _ = run(widen_halves, network(_INPUTS, before))
    assert calls(after) == ["astype", "astype", "add"]


def test_parts_of_a_split_are_wide() -> None:
    def before(emit: Emit, x: Any) -> Any:
        parts = emit(op.split(x, 2, 1))
        first, last = (emit(relax.TupleGetItem(parts, i)) for i in (0, 1))
        return op.concat((first, emit(op.exp(last))), 1)

    after, _ = run(widen_halves, network(_INPUTS, before, dtypes=_OF_HALVES))
    assert calls(after) == ["astype", "split", "exp", "concat", "astype"]


def test_a_fixed_type_stays() -> None:
    def before(emit: Emit, x: Any) -> Any:
        return op.matmul(x, const(weight(4, 3), "float16"), out_dtype="float16")

    after, _ = run(widen_halves, network(_INPUTS, before, dtypes=_OF_HALVES))
    assert str(after["main"].ret_ty.dtype) == "float16"


def test_other_types_stay() -> None:
    def body(emit: Emit, x: Any) -> Any:
        return op.add(x, const(np.ones(4), "float64"))

    assert_stays(widen_halves, network(_INPUTS, body, dtypes={"x": "float64"}))
