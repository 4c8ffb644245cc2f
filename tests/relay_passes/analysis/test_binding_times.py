from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from tvm import relax
from tvm.relax import op

from rtcompile.relay_passes.analysis.binding_times import (
    SIDES,
    BindingTime,
    binding_times,
    join,
    reads,
)
from tests.relay_passes.modules import CROSS, ITEM, USER, Emit, const, network, weight

BUILD = BindingTime.BUILD
INPUTS = {"u": ("n", 2), "i": ("n", 2), "c": ("n", 2)}


@pytest.mark.parametrize(
    ("times", "joined"),
    [
        ((), BUILD),
        ((BUILD, BUILD), BUILD),
        ((BUILD, USER), USER),
        ((ITEM, ITEM), ITEM),
        ((USER, ITEM), CROSS),
        ((CROSS, BUILD), CROSS),
        ((CROSS, USER), CROSS),
    ],
)
def test_a_value_is_known_when_all_that_it_reads_is(
    times: tuple[BindingTime, ...], joined: BindingTime
) -> None:
    assert join(times) is joined


def test_join_is_a_semilattice() -> None:
    for a, b, c in product(BindingTime, repeat=3):
        assert join([a, a]) is a
        assert join([a, b]) is join([b, a])
        assert join([join([a, b]), c]) is join([a, join([b, c])])


def _graph(sides: list[BindingTime] | None) -> list[BindingTime]:
    """When the values of a small graph are known, in order, its inputs first."""

    def body(emit: Emit, u: Any, i: Any, c: Any) -> Any:
        of_user = emit(op.matmul(u, const(weight(2, 2))))
        of_item = emit(op.tanh(i))
        emit(op.add(const([1, 2]), const([3, 4])))
        mixed = emit(op.add(of_user, of_item))
        pair = emit(relax.Tuple([of_user, u]))
        emit(relax.TupleGetItem(pair, 0))
        emit(op.multiply(c, const(2)))
        return op.exp(mixed)

    return list(binding_times(network(INPUTS, body, sides)["main"]).values())


def test_every_variable_has_its_time() -> None:
    assert _graph([USER, ITEM, CROSS]) == [
        *(USER, ITEM, CROSS),
        *(USER, ITEM, BUILD, CROSS, USER, USER, CROSS, CROSS),
    ]


def test_without_sides_nothing_is_known_early() -> None:
    assert set(_graph(None)) == {BUILD, CROSS}


def test_user_alone_is_never_cross() -> None:
    assert set(_graph([USER, USER, USER])) == {BUILD, USER}


def test_sides_are_an_attribute_of_a_copy() -> None:
    plain = network(INPUTS, lambda emit, u, i, c: op.add(u, i))
    noted = network(INPUTS, lambda emit, u, i, c: op.add(u, i), [USER, ITEM, CROSS])
    assert [str(side) for side in noted["main"].attrs[SIDES]] == ["user", "item", "cross"]
    assert not plain["main"].attrs or SIDES not in plain["main"].attrs


def test_reads_finds_what_stands_in_tuples() -> None:
    x = relax.Var("x", relax.TensorType([2], "float32"))
    y = relax.Var("y", relax.TensorType([2], "float32"))
    found = reads(op.concat((x, y, x), 0))
    assert {variable.name for variable in found} == {"x", "y"}
