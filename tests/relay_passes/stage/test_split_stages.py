from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tvm
from hypothesis import given
from hypothesis import strategies as st
from tvm.ir import IRModule
from tvm.relax import op

from rtcompile.relay_passes.report import PassReport
from rtcompile.relay_passes.stage.split_stages import StageGraph, ValueSource, split_stages
from tests.relay_passes.evaluate import Array, evaluate
from tests.relay_passes.modules import (
    CROSS,
    ITEM,
    ROWS,
    USER,
    Emit,
    arrays,
    calls,
    const,
    kernel,
    network,
    reshape,
    weight,
)

INPUTS = {"u": ("n", 2), "i": ("n", 2), "c": ("n", 2)}
SIDES = [USER, ITEM, CROSS]
W = weight(2, 2)
KNOWN = 4  # items in the store, of which a request asks for some


def _towers(emit: Emit, u: Any, i: Any, c: Any) -> Any:
    """A tower a side; the cross part reads the user's by an operator that broadcasts."""
    user, item = emit(op.tanh(op.matmul(u, const(W)))), emit(op.nn.relu(i))
    return op.add(op.multiply(user, item), c)


def _joined(emit: Emit, u: Any, i: Any, c: Any) -> Any:
    """The user's value is read by operators that do not broadcast, too."""
    user = emit(op.tanh(u))
    joined = emit(op.concat((user, op.exp(i), c), 1))
    return op.sum(joined, [1]), op.subtract(user, c), op.matmul(joined, const(weight(6, 1)))


def _views(emit: Emit, u: Any, i: Any, c: Any) -> Any:
    """An item's value is read in two shapes, in its own stage and in the cross stage."""
    value = emit(op.exp(i))
    view = emit(reshape(value, 1, 2))
    own = emit(op.negative(view))
    user = emit(reshape(emit(op.tanh(u)), 1, 2))
    return op.add(user, op.multiply(view, reshape(c, 1, 2))), op.subtract(value, c), own


def _results_of_each_side(emit: Emit, u: Any, i: Any, c: Any) -> Any:
    return op.tanh(u), op.negative(i), op.add(u, i), op.nn.relu(c)


def _constant_first(emit: Emit, u: Any, i: Any, c: Any) -> Any:
    row = emit(op.add(const([1, 2]), const([3, 4])))
    return op.add(op.multiply(op.add(u, row), op.add(i, row)), op.subtract(c, row))


_NETWORKS = {
    "towers": _towers,
    "joined": _joined,
    "results": _results_of_each_side,
    "constant": _constant_first,
    "views": _views,
}


def _split(mod: IRModule) -> tuple[tuple[StageGraph, ...], PassReport]:
    report = PassReport("split_stages")
    return split_stages(mod, report), report


def _staged(
    stages: tuple[StageGraph, ...], inputs: dict[Any, Array], at: Array
) -> tuple[Array, ...]:
    """The results by stages: the user once, every item once, the cross stage by gathered rows.

    `inputs` are one row of the user, all items, and the rows of the cross inputs.
    """
    early: dict[Any, tuple[Array, ...]] = {}
    for stage in stages[:-1]:
        early[stage.time] = evaluate(stage.module, *(inputs[s.index] for s in stage.inputs))
    given_rows = []
    for source in stages[-1].inputs:
        time = SIDES[source.index] if source.stage is None else source.stage
        whole = inputs[source.index] if source.stage is None else early[time][source.index]
        given_rows.append(whole[at] if time is ITEM else whole)
    return evaluate(stages[-1].module, *given_rows, rows=len(at))


def _assert_same(
    mod: IRModule, stages: tuple[StageGraph, ...], u: Array, i: Array, c: Array, at: list[int]
) -> None:
    rows = np.array(at, np.int64)
    cross = c[: len(rows)]
    wanted = evaluate(mod, np.repeat(u, len(rows), 0), i[rows], cross)
    got = _staged(stages, {0: u, 1: i, 2: cross}, rows)
    for one, other in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(one, other)


def test_an_item_keeps_a_value_once_whatever_its_shape() -> None:
    stages, _ = _split(network(INPUTS, _views, SIDES))
    item, cross = stages[1], stages[2]
    assert calls(item.module) == ["exp", "reshape", "negative"]
    assert len(item.module["main"].ret_ty.fields) == 2
    assert calls(cross.module).count("reshape") == 2
    # The user's row is kept in the shape that it is read in.
    assert calls(stages[0].module) == ["tanh", "reshape"]


def test_a_network_is_cut_by_binding_time() -> None:
    stages, report = _split(network(INPUTS, _towers, SIDES))
    assert [stage.time for stage in stages] == [USER, ITEM, CROSS]
    assert [calls(stage.module) for stage in stages] == [
        ["matmul", "tanh"],
        ["nn.relu"],
        ["multiply", "add"],
    ]
    assert [stage.inputs for stage in stages] == [
        (ValueSource(None, 0),),
        (ValueSource(None, 1),),
        (ValueSource(None, 2), ValueSource(USER, 0), ValueSource(ITEM, 0)),
    ]
    assert [stage.operators for stage in stages] == [2, 1, 2]
    assert report.applied == 3


def test_the_cross_stage_reads_one_row_of_the_user() -> None:
    stages, _ = _split(network(INPUTS, _joined, SIDES))

    def body(emit: Emit, c: Any, user: Any, item: Any) -> Any:
        spread = emit(kernel("rtc.spread", (user,), c, 2))
        joined = emit(op.concat((spread, item, c), 1))
        return op.sum(joined, [1]), op.subtract(user, c), op.matmul(joined, const(weight(6, 1)))

    expected = network({"c": ("n", 2), "user": (1, 2), "item": ("n", 2)}, body)
    assert sorted(calls(stages[-1].module)) == sorted(calls(expected))
    assert calls(stages[-1].module).count("rtc.spread") == 1


def test_the_towers_cross_stage_is_as_expected() -> None:
    stages, _ = _split(network(INPUTS, _towers, SIDES))

    def body(emit: Emit, c: Any, user: Any, item: Any) -> Any:
        return emit(op.add(op.multiply(user, item), c))

    expected = network({"c": ("n", 2), "user": (1, 2), "item": ("n", 2)}, body)
    tvm.ir.assert_structural_equal(stages[-1].module, expected)


def test_a_constant_may_be_a_result() -> None:
    constant = const(weight(1, 3))

    def body(emit: Emit, u: Any, i: Any, c: Any) -> Any:
        return emit(op.add(emit(op.tanh(i)), c)), constant

    stages, _ = _split(network(INPUTS, body, SIDES))
    assert [stage.time for stage in stages] == [ITEM, CROSS]
    rows = np.ones((4, 2), np.float32)
    found = evaluate(stages[-1].module, rows, 2 * rows)
    np.testing.assert_array_equal(found[0], 3 * rows)
    np.testing.assert_array_equal(found[1], weight(1, 3))


@pytest.mark.parametrize("sides", [None, [USER] * 3])
def test_a_network_of_one_side_is_one_stage(sides: Any) -> None:
    mod = network(INPUTS, _towers, sides)
    stages, report = _split(mod)
    assert [stage.time for stage in stages] == [CROSS]
    tvm.ir.assert_structural_equal(stages[0].module, mod)
    assert stages[0].inputs == tuple(ValueSource(None, index) for index in range(3))
    assert report.applied == 0


def test_inputs_alone_make_no_stage() -> None:
    mod = network(INPUTS, lambda emit, u, i, c: op.add(op.multiply(u, i), c), SIDES)
    stages, report = _split(mod)
    assert [stage.time for stage in stages] == [CROSS]
    assert report.applied == 0


@pytest.mark.parametrize("name", _NETWORKS)
def test_a_stage_is_one_stage(name: str) -> None:
    """Cut again, a stage stays whole: nothing is known earlier than its inputs."""
    for stage in _split(network(INPUTS, _NETWORKS[name], SIDES))[0]:
        again, report = _split(stage.module)
        tvm.ir.assert_structural_equal(again[0].module, stage.module)
        assert (len(again), report.applied) == (1, 0)


_SPLIT = {
    name: (mod, _split(mod)[0])
    for name, mod in ((name, network(INPUTS, body, SIDES)) for name, body in _NETWORKS.items())
}


@given(
    u=arrays(1, 2),
    i=arrays(KNOWN, 2),
    c=arrays(ROWS, 2),
    at=st.lists(st.integers(0, KNOWN - 1), max_size=ROWS),
)
@pytest.mark.parametrize("name", _NETWORKS)
def test_the_stages_together_are_the_network(
    name: str, u: Array, i: Array, c: Array, at: list[int]
) -> None:
    mod, stages = _SPLIT[name]
    _assert_same(mod, stages, u, i, c, at)


_SEQUENCES = {"u": ("n", 1, 2), "i": ("n", 3, 2), "c": ("n", 3, 2)}
_ONES = np.ones((1, 3, 2))


def _repeated(emit: Emit, u: Any, i: Any, c: Any) -> Any:
    """The user's row is repeated, and that is read by an operator that does not broadcast."""
    wide = emit(op.multiply(op.tanh(u), const(_ONES)))
    return op.concat((wide, op.exp(i), c), 2), op.add(wide, c)


def _broadcast(emit: Emit, u: Any, i: Any, c: Any) -> Any:
    """Each side's row is repeated, and read by operators that broadcast."""
    of_user = emit(op.multiply(op.tanh(u), const(_ONES)))
    of_item = emit(op.multiply(op.exp(_one_row(i)), const(_ONES)))
    return op.add(op.multiply(of_user, c), of_item)


def _one_row(i: Any) -> Any:
    """The sum of the item's rows."""
    return op.sum(i, [1], True)


def test_a_value_that_only_repeats_moves_to_its_readers() -> None:
    stages, _ = _split(network(_SEQUENCES, _broadcast, SIDES))
    assert [calls(stage.module) for stage in stages] == [
        ["tanh"],
        ["sum", "exp"],
        ["multiply", "multiply", "multiply", "add"],
    ]


def test_a_repeated_row_that_is_joined_stays_with_the_user() -> None:
    stages, _ = _split(network(_SEQUENCES, _repeated, SIDES))
    assert calls(stages[0].module) == ["tanh", "multiply"]
    assert sorted(calls(stages[-1].module)) == ["add", "concat", "rtc.spread"]


@given(u=arrays(1, 1, 2), i=arrays(KNOWN, 3, 2), c=arrays(ROWS, 3, 2))
def test_a_repeated_row_keeps_its_value(u: Array, i: Array, c: Array) -> None:
    for body in (_repeated, _broadcast):
        mod = network(_SEQUENCES, body, SIDES)
        _assert_same(mod, _split(mod)[0], u, i, c, [3, 0])
