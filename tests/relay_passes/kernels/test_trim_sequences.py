from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tvm
from hypothesis import given
from hypothesis import strategies as st
from tvm import relax, tirx
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.kernels.trim_sequences import most_rows, trim_sequences
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    FINITE,
    ROWS,
    Emit,
    arrays,
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

_LENGTH = 4
_ADD = "add acc div4:0; add s0 mod4:1; maximum s1 0.0"
_INPUTS = {"q": ("n", 1, 3), "k": (1, 4, 3), "qs": ("n", 1, 5), "ks": (1, 4, 5)}


def _scores(emit: Emit, q: Any, k: Any, qs: Any, ks: Any) -> Any:
    """[n, 4]: two layers over the positions of a sequence."""
    product = emit(op.multiply(q, k))
    fields = (product, const(weight(3, 5)), const(np.zeros(5)), qs, ks)
    hidden = emit(kernel(f"rtc.dense.{_ADD}", fields, q, 4, 5))
    last = (hidden, const(weight(5, 1)), const(np.ones(1)))
    return emit(reshape(emit(kernel("rtc.dense", last, q, 4, 1)), 4))


def _softmax(bias_first: bool = False) -> IRModule:
    def body(emit: Emit, q: Any, k: Any, qs: Any, ks: Any, bias: Any) -> Any:
        scores = _scores(emit, q, k, qs, ks)
        added = emit(op.add(*((bias, scores) if bias_first else (scores, bias))))
        return emit(kernel("rtc.softmax.4", (added,), q, 4))

    return network({**_INPUTS, "bias": (1, 4)}, body)


def _product() -> IRModule:
    def body(emit: Emit, q: Any, k: Any, qs: Any, ks: Any, mask: Any) -> Any:
        halved = emit(op.multiply(_scores(emit, q, k, qs, ks), const(0.5)))
        return emit(op.multiply(mask, emit(op.sigmoid(halved))))

    return network({**_INPUTS, "mask": (1, 4)}, body)


def _where(kept: bool) -> IRModule:
    def body(emit: Emit, q: Any, k: Any, qs: Any, ks: Any, mask: Any) -> Any:
        scores, far = _scores(emit, q, k, qs, ks), const(-1e9)
        return emit(op.where(mask, *((scores, far) if kept else (far, scores))))

    return network({**_INPUTS, "mask": (1, 4)}, body, dtypes={"mask": "bool"})


_FORMS = {
    "above": _softmax,
    "nonzero": lambda: _where(kept=True),
    "zero": lambda: _where(kept=False),
}


@pytest.mark.parametrize("form", _FORMS)
def test_layers_run_over_the_positions_that_count(form: str) -> None:
    mod = _FORMS[form]()
    after, report = run(trim_sequences, mod)
    assert calls(after)[:6] == [
        f"rtc.positions.{form}.trimmed_4_0",
        "rtc.trim.product",
        "rtc.dense.add acc div0:0; add s0 mod0:1; maximum s1 0.0",
        "rtc.dense",
        "rtc.pad_positions",
        "reshape",
    ]
    assert calls(after)[6:] == calls(mod)[4:]  # behind the scores everything stays
    assert report.applied == 1
    assert_settled(trim_sequences, after)


def test_the_rewritten_graph() -> None:
    rows = tirx.Var("trimmed_4_0", "int64")

    def trimmed(name: str, fields: tuple[Any, ...], width: int) -> Any:
        ty = relax.TensorType([rows, width], "float32")
        return relax.op.call_dps_packed(name, relax.Tuple(list(fields)), out_ty=ty)

    def body(emit: Emit, q: Any, k: Any, qs: Any, ks: Any, mask: Any) -> Any:
        one = relax.TensorType([1], "int64")
        name = "rtc.positions.nonzero.trimmed_4_0"
        end = emit(relax.op.call_dps_packed(name, relax.Tuple([mask]), out_ty=one))
        x = emit(trimmed("rtc.trim.product", (q, k, end), 3))
        steps = "rtc.dense.add acc div0:0; add s0 mod0:1; maximum s1 0.0"
        hidden = emit(trimmed(steps, (x, const(weight(3, 5)), const(np.zeros(5)), qs, ks), 5))
        last = emit(trimmed("rtc.dense", (hidden, const(weight(5, 1)), const(np.ones(1))), 1))
        scores = emit(reshape(emit(kernel("rtc.pad_positions", (last, end), q, 4, 1)), 4))
        halved = emit(op.multiply(scores, const(0.5)))
        return emit(op.multiply(mask, emit(op.sigmoid(halved))))

    expected = network({**_INPUTS, "mask": (1, 4)}, body)
    after, _ = run(trim_sequences, _product())
    tvm.ir.assert_structural_equal(after, expected, map_free_vars=True)


def test_one_mask_has_one_length() -> None:
    def body(emit: Emit, *inputs: Any) -> Any:
        *given, mask = inputs
        weights = [emit(op.multiply(_scores(emit, *given), mask)) for _ in range(2)]
        return emit(op.add(*weights))

    after, report = run(trim_sequences, network({**_INPUTS, "mask": (1, 4)}, body))
    assert report.applied == 2
    assert sum(name.startswith("rtc.positions") for name in calls(after)) == 1
    assert_settled(trim_sequences, after)


def test_an_input_that_is_no_product_is_copied() -> None:
    def body(emit: Emit, x: Any, mask: Any) -> Any:
        fields = (x, const(weight(3, 1)), const(np.zeros(1)))
        scores = emit(reshape(emit(kernel("rtc.dense", fields, x, 4, 1)), 4))
        return emit(op.multiply(scores, mask))

    mod = network({"x": ("n", 4, 3), "mask": (1, 4)}, body)
    after, _ = run(trim_sequences, mod)
    assert "rtc.trim" in calls(after)
    x, mask = np.arange(24, dtype=np.float32).reshape(2, 4, 3), np.array([[1, 1, 0, 0]], np.float32)
    np.testing.assert_array_equal(evaluate(after, x, mask)[0], evaluate(mod, x, mask)[0])


def test_most_rows() -> None:
    assert most_rows(tirx.Var("trimmed_50_3", "int64")) == 50
    assert most_rows(tirx.Var("n", "int64")) == 1
    assert most_rows(8) == 1


# -- near misses ----------------------------------------------------------------------------------


def _masked(change: Any, mask: tuple[Any, ...] = (1, 4)) -> IRModule:
    def body(emit: Emit, *inputs: Any) -> Any:
        *given, mask = inputs
        return change(emit, _scores(emit, *given), mask)

    return network({**_INPUTS, "mask": mask}, body)


def test_a_mask_of_each_row_is_not_the_users() -> None:
    mod = _masked(lambda emit, scores, mask: emit(op.multiply(scores, mask)), ("n", 4))
    assert_stays(trim_sequences, mod)


def test_scores_that_someone_else_reads_stay() -> None:
    mod = _masked(lambda emit, scores, mask: (op.multiply(scores, mask), op.negative(scores)))
    assert_stays(trim_sequences, mod)


def test_what_is_infinite_at_zero_stays() -> None:
    mod = _masked(lambda emit, scores, mask: emit(op.multiply(emit(op.log(scores)), mask)))
    assert_stays(trim_sequences, mod)


def test_a_sum_that_no_softmax_reads_stays() -> None:
    mod = _masked(lambda emit, scores, mask: emit(op.add(scores, mask)))
    assert_stays(trim_sequences, mod)


def test_a_stream_of_every_position_is_refused() -> None:
    def body(emit: Emit, x: Any, s: Any, mask: Any) -> Any:
        fields = (x, const(weight(3, 1)), const(np.zeros(1)), s)
        scores = emit(kernel("rtc.dense.add acc each:0", fields, x, 4, 1))
        return emit(op.multiply(emit(reshape(scores, 4)), mask))

    mod = network({"x": ("n", 4, 3), "s": ("n", 4, 1), "mask": (1, 4)}, body)
    assert_stays(trim_sequences, mod, "a stream by each over 4 positions")


def test_a_sequence_of_too_many_positions_is_refused() -> None:
    def body(emit: Emit, x: Any, mask: Any) -> Any:
        fields = (x, const(weight(3, 1)), const(np.zeros(1)))
        scores = emit(reshape(emit(kernel("rtc.dense", fields, x, 5000, 1)), 5000))
        return emit(op.multiply(scores, mask))

    mod = network({"x": ("n", 5000, 3), "mask": (1, 5000)}, body)
    assert_stays(trim_sequences, mod, "a sequence of 5000 positions")


# -- numerics -------------------------------------------------------------------------------------

_GIVEN = [arrays(ROWS, 1, 3, values=FINITE), arrays(1, 4, 3, values=FINITE)]
_GIVEN += [arrays(ROWS, 1, 5, values=FINITE), arrays(1, 4, 5, values=FINITE)]
_MASKS = st.lists(st.booleans(), min_size=4, max_size=4)


@given(inputs=st.tuples(*_GIVEN), kept=_MASKS)
def test_the_value_stays(inputs: tuple[Array, ...], kept: list[bool]) -> None:
    mask = np.array([kept])
    far = np.where(mask, np.float32(0), np.float32(-1e9))
    forms = [
        (_softmax(), far),
        (_softmax(bias_first=True), far),
        (_product(), mask.astype(np.float32)),
        (_where(kept=True), mask),
        (_where(kept=False), ~mask),
    ]
    for before, given_mask in forms:
        after, report = run(trim_sequences, before)
        assert report.applied == 1
        found, wanted = (evaluate(mod, *inputs, given_mask)[0] for mod in (after, before))
        np.testing.assert_array_equal(found, wanted)


def test_a_bias_that_is_not_far_below_trims_nothing() -> None:
    before, rng = _softmax(), np.random.default_rng(0)
    shapes = [(ROWS, 1, 3), (1, 4, 3), (ROWS, 1, 5), (1, 4, 5)]
    inputs = [rng.standard_normal(shape, np.float32) for shape in shapes]
    bias = np.array([[0, -1e4, -3e38, -1e7]], np.float32)
    after, _ = run(trim_sequences, before)
    found, wanted = (evaluate(mod, *inputs, bias)[0] for mod in (after, before))
    np.testing.assert_array_equal(found, wanted)
