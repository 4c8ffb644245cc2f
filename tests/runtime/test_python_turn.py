"""Threads that rank take turns at Python: compiled calls give theirs up and wait for the next."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T  # noqa: N812

import rtcompile
import runtime
from rtcompile.codegen.python_turn import give_turn, take_turn, turn_llvm
from rtcompile.targets import resolve_target
from runtime.arrays import aligned_empty
from runtime.input_table import address
from runtime.python_turn import TURN, Turn
from runtime.serve_plan import Word
from tests.onnx_models import TABLE_ROWS, two_input_model
from tests.ranking_model import USER, items, small_ranking_model
from tests.rtcompile.kernels import compiled

OTHER = 7  # neither of the words


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


def _word(value: int) -> Any:
    word = aligned_empty(8, "int64")
    word[:] = value
    return word


@pytest.mark.parametrize("value", [Turn.FREE, Turn.TAKEN, Turn.DONE])
def test_a_turn_is_given_up(give: Callable[[int], None], value: int) -> None:
    word = _word(value)
    give(address(word))
    assert word.tolist() == [Turn.FREE, *[value] * 7]


@pytest.mark.parametrize("value", [Turn.FREE, Turn.DONE])
def test_a_turn_that_no_one_needs_is_taken(take: Callable[[int], None], value: int) -> None:
    word = _word(value)
    take(address(word))
    assert word.tolist() == [Turn.TAKEN, *[value] * 7]


def test_the_wait_ends(take: Callable[[int], None]) -> None:
    word = _word(OTHER)
    take(address(word))
    assert word[0] == OTHER


def test_without_a_word_nothing_is_touched(
    give: Callable[[int], None], take: Callable[[int], None]
) -> None:
    give(0)
    take(0)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_each_machine_has_its_pause(machine: str) -> None:
    pause = {"x86_64": "pause", "aarch64": "yield"}[machine]
    assert f'asm sideeffect "{pause}"' in turn_llvm(machine)


class _Seen:
    """Notes the shared word before and after each call."""

    def __init__(self, call: Any, log: list[int]) -> None:
        self._call, self._log = call, log
        self.release_gil = True

    def __call__(self, *arguments: Any) -> None:
        self._log.append(_shared())
        self._call(*arguments)
        self._log.append(_shared())


def _shared() -> int:
    return int(TURN._words[0])


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> runtime.Ranker:
    folder = tmp_path_factory.mktemp("network")
    rtcompile.build(two_input_model(folder / "m.onnx"), output=folder / "m.rtc")
    return runtime.load(folder / "m.rtc")


def _request(ids: int = 0) -> Mapping[str, Any]:
    return {"X": np.zeros((9, 5), np.float32), "ids": np.full(9, ids)}


def test_prediction_holds_its_turn(network: runtime.Ranker) -> None:
    log: list[int] = []
    stage = network._stage
    function, stage._function = stage._function, _Seen(stage._function, log)
    try:
        network.predict(_request())
    finally:
        stage._function = function
    assert log == [Turn.TAKEN, Turn.TAKEN]
    assert _shared() == Turn.DONE


def test_a_turn_ends_with_an_error(network: runtime.Ranker) -> None:
    with pytest.raises(runtime.UnknownIdError):
        network.predict(_request(TABLE_ROWS + 5))
    assert _shared() == Turn.DONE
    with pytest.raises(runtime.RequestError):
        network.predict({})
    assert _shared() == Turn.DONE


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
    ranking = ranker._ranking
    assert ranking is not None and ranking._server is not None
    words: list[int] = []
    for keeps in (False, True):
        ranking._server.brief.keeps_lock = lambda _, keeps=keeps: keeps  # type: ignore[method-assign]
        ranker.rank(_user(ranker), ["i1", "i2"])
        served = ranking._idle[-1].served
        assert served is not None
        words.append(served._words[Word.TURN])
        assert _shared() == Turn.DONE
    del ranking._server.brief.keeps_lock
    assert words == [TURN.address, 0]


def test_inserting_items_takes_no_turn(ranker: runtime.Ranker) -> None:
    TURN._words[0] = OTHER
    ranker.items.upsert(items(20), key="id")
    assert _shared() == OTHER


def test_a_request_waits_while_another_runs_python(network: runtime.Ranker) -> None:
    """And no longer than it must: the other one holds the word for good."""
    answered = threading.Event()

    def ask() -> None:
        for _ in range(50):
            network.predict(_request())
        answered.set()

    asking = threading.Thread(target=ask)
    asking.start()
    while not answered.is_set():
        TURN._words[0] = Turn.TAKEN
    asking.join()
    assert network.predict(_request())["Y"].shape == (9, 1)
