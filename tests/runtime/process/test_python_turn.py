"""Threads that rank take turns at Python: compiled calls give theirs up and wait for the next."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T  # noqa: N812

import rtcompile
from rtcompile import runtime
from rtcompile.codegen.entry.python_turn import (
    ask_for_lock,
    give_turn,
    has_lock,
    take_turn,
    turn_llvm,
)
from rtcompile.runtime.abi.python_turn import Turn
from rtcompile.runtime.memory.arrays import aligned_empty
from rtcompile.runtime.memory.input_table import address
from rtcompile.runtime.process.python_turn import TURN
from rtcompile.targets import resolve_target
from tests.onnx_models import TABLE_ROWS, two_input_model
from tests.ranking_model import USER, items, small_ranking_model
from tests.rtcompile.kernels import compiled
from tests.runtime.served_models import set_brief


def _compiled(emit: Callable[[Any], None]) -> Callable[[int], None]:
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name("kernel")
        T.func_attr({"tirx.is_scheduled": True})
        emit(T.arg("turn", T.int64()))
    return compiled(builder.get(), [], turn_llvm(resolve_target("host").machine))


@pytest.fixture(scope="module")
def give() -> Callable[[int], None]:
    return _compiled(give_turn)


@pytest.fixture(scope="module")
def take() -> Callable[[int], None]:
    return _compiled(take_turn)


def _words(turn: int, waiting: int = 0) -> Any:
    words = aligned_empty(8, "int64")
    words[:] = turn, waiting, 5, 5, 5, 5, 5, 5
    return words


def _after(call: Callable[[int], None], words: Any) -> list[int]:
    call(address(words))
    assert (words[2:] == 5).all()
    return [int(word) for word in words[:2]]


@pytest.mark.parametrize(("turn", "after"), [(0, 2), (1, 2), (6, 8), (7, 8)])
def test_a_turn_is_given_up(give: Callable[[int], None], turn: int, after: int) -> None:
    assert _after(give, _words(turn)) == [after, 0]
    # To one that sleeps.
    assert _after(give, _words(turn, 2)) == [after + 1, 2]


@pytest.mark.parametrize(("turn", "after"), [(0, 1), (6, 7), (1, 3), (7, 9)])
def test_a_turn_is_taken(take: Callable[[int], None], turn: int, after: int) -> None:
    """Also where another thread has it and does not come back, unless it sleeps."""
    assert _after(take, _words(turn)) == [after, 0]
    assert _after(take, _words(turn, 1)) == [turn if turn % 2 else after, 1]


@pytest.mark.parametrize(("turn", "after"), [(6, 7), (7, 7)])
def test_who_has_the_lock_has_the_turn(turn: int, after: int) -> None:
    ask, has = _compiled(ask_for_lock), _compiled(has_lock)
    words = _words(turn, 1)
    assert _after(ask, words) == [turn, 2]
    assert _after(has, words) == [after, 1]
    ask(0)
    has(0)


def test_the_wait_ends_where_others_always_have_their_turn(take: Callable[[int], None]) -> None:
    words, stop = _words(1), threading.Event()

    def count() -> None:
        while not stop.is_set():
            for _ in range(1000):
                words[0] += 2

    counting = threading.Thread(target=count)
    counting.start()
    try:
        for _ in range(20):
            take(address(words))
    finally:
        stop.set()
        counting.join()
    assert words[0] % 2 == 1


def test_without_a_word_nothing_is_touched(
    give: Callable[[int], None], take: Callable[[int], None]
) -> None:
    give(0)
    take(0)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_each_machine_has_its_pause(machine: str) -> None:
    pause = {"x86_64": "pause", "aarch64": "yield"}[machine]
    assert f'asm sideeffect "{pause}"' in turn_llvm(machine)


def _turns(call: Callable[[], object]) -> int:
    """How many turns a call gives up and takes."""
    TURN.words[Turn.COUNT] = 1
    call()
    assert TURN.words[Turn.COUNT] % 2 == 1
    return int(TURN.words[Turn.COUNT]) // 2


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> runtime.Ranker:
    folder = tmp_path_factory.mktemp("network")
    rtcompile.build(two_input_model(folder / "m.onnx"), output=folder / "m.rtc")
    return runtime.load(folder / "m.rtc")


def _request(ids: int = 0) -> Mapping[str, Any]:
    return {"X": np.zeros((9, 5), np.float32), "ids": np.full(9, ids)}


def test_a_prediction_takes_turns(network: runtime.Ranker) -> None:
    assert _turns(lambda: network.predict(_request())) == 1


def test_an_error_comes_in_its_turn(network: runtime.Ranker) -> None:
    def wrong() -> None:
        with pytest.raises(runtime.UnknownIdError):
            network.predict(_request(TABLE_ROWS + 5))

    assert _turns(wrong) == 1


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> runtime.Ranker:
    folder = tmp_path_factory.mktemp("ranker")
    model = small_ranking_model(folder, "user_id", "age", "tags", "item_id")
    options = rtcompile.BuildOptions(features=model.features, embeddings=model.embeddings)
    rtcompile.build(model.onnx, options, output=folder / "m.rtc")
    ranker = runtime.load(folder / "m.rtc")
    ranker.items.upsert(items(20), key="id")
    return ranker


def _user(ranker: runtime.Ranker) -> dict[str, Any]:
    return {name: USER[name] for name in ranker.manifest["fields"]["user"]}


def test_only_calls_that_let_go_of_the_lock_take_turns(ranker: runtime.Ranker) -> None:
    user, ids = _user(ranker), ["i1", "i2"]
    for most, turns in ((1, 1), (2, 0)):
        set_brief(ranker, most)
        assert _turns(lambda: ranker.rank(user, ids)) == turns
        assert _turns(lambda: ranker.rank(user, np.array(ids))) == turns


def test_inserting_items_takes_no_turn(ranker: runtime.Ranker) -> None:
    assert _turns(lambda: ranker.items.upsert(items(20), key="id")) == 0


def test_requests_end_where_another_has_its_turn_for_good(network: runtime.Ranker) -> None:
    answered = threading.Event()

    def ask() -> None:
        for _ in range(50):
            network.predict(_request())
        answered.set()

    asking = threading.Thread(target=ask)
    asking.start()
    while not answered.is_set():
        TURN.words[Turn.COUNT] = 1
    asking.join()
    assert network.predict(_request())["Y"].shape == (9, 1)


def test_a_forked_process_has_no_threads_that_wait() -> None:
    TURN.words[Turn.COUNT], TURN.words[Turn.WAITING] = 7, 3
    child = os.fork()
    if child == 0:
        os._exit(int(any(TURN.words[field] for field in Turn.FIELDS)))
    TURN.words[Turn.WAITING] = 0
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
