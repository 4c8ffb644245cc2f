"""Requests in one call beside others: who has Python's lock, and what changes meanwhile."""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from rtcompile import runtime
from rtcompile.runtime.abi.brief_calls import BriefRows
from rtcompile.runtime.process.brief_calls import BriefCalls
from tests.ranking_model import items
from tests.runtime.served_models import (
    COUNT,
    Artifacts,
    by_stages,
    context_of,
    load_case,
    score,
    set_brief,
    user_of,
)


def _score(ranker: runtime.Ranker, user: dict[str, Any], count: int) -> np.ndarray:
    return score(ranker, user, count)["ctr"]


@pytest.mark.parametrize("keeps", [False, True])
def test_the_lock_is_given_up_while_stages_run(artifacts: Artifacts, keeps: bool) -> None:
    """Nobody is asked to give it up within the test, so others run only where a call does so."""
    ranker = load_case(artifacts["plain"])
    user, ids = user_of(ranker), [f"i{i}" for i in range(COUNT)]  # numpy copies so few with it
    ranker.rank(user, ids)
    set_brief(ranker, COUNT if keeps else 0)
    others, stop = [0], threading.Event()

    def count() -> None:
        while not stop.is_set():
            others[0] += 1
            time.sleep(0)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    counting = threading.Thread(target=count)
    try:
        counting.start()
        before = others[0]
        for _ in range(500):
            ranker.rank(user, ids)
            if others[0] > before + 3:
                break
        assert (others[0] > before) is not keeps
    finally:
        stop.set()
        sys.setswitchinterval(interval)
        counting.join()


@pytest.mark.parametrize("name", ["plain", "all_sides", "left_context"])
def test_requests_of_many_threads_while_items_change(artifacts: Artifacts, name: str) -> None:
    ranker, stages = load_case(artifacts[name]), by_stages(artifacts[name])
    requests = []
    for number in range(16):
        changes: dict[str, Any] = {"user_id": number, "tags": "x|" * 40 * number}
        if number % 5 == 4:
            changes["age"] = np.float32(number)
        user, count = user_of(ranker, **changes), 1 + 19 * number
        requests.append((user, count, _score(stages, user, count)))
    stop = threading.Event()

    def ask(first: int) -> None:
        for number in range(first, first + 200):
            user, count, want = requests[number % len(requests)]
            np.testing.assert_array_equal(_score(ranker, user, count), want)

    def change() -> None:
        while not stop.is_set():
            ranker.items.upsert(items(COUNT), key="id")
            ranker.items.replace(items(COUNT), key="id")

    writer = threading.Thread(target=change)
    writer.start()
    try:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(ask, range(4)))
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize("name", ["plain", "all_sides"])
def test_ids_are_looked_up_while_others_are_entered(artifacts: Artifacts, name: str) -> None:
    """Without Python's lock: entering finds the texts no room, and moves them; so do columns."""
    ranker = load_case(artifacts[name])
    user, known = user_of(ranker), items(COUNT)
    ids, stop = [f"i{i}" for i in range(COUNT)], threading.Event()
    context = context_of(ranker, COUNT) or None
    want = ranker.rank(user, ids, context)["ctr"]
    set_brief(ranker, 0)
    asked = [0, 0]

    def ask(which: int) -> None:
        while not stop.is_set():
            np.testing.assert_array_equal(ranker.rank(user, ids, context)["ctr"], want)
            asked[which] += 1

    with ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask, which) for which in range(2)]
        try:
            for number in range(6):
                ranker.items.replace(items(4000), key="id")  # of a new index
                for first in range(0, 600, 50):
                    more = {name: values[:50] for name, values in known.items()}
                    more["id"] = [f"{'new' * 30}{number}/{first + i}" for i in range(50)]
                    ranker.items.upsert(more, key="id")
                    ranker.items.delete(more["id"][::2])
                    assert len(ranker.items) == 4000 + first // 2 + 25
        finally:
            stop.set()
        for future in asking:
            future.result()
    assert min(asked) > 0


def test_brief_calls_keep_the_lock() -> None:
    calls, known = BriefCalls(), list[tuple[int, ...]]()
    for rows, taken in ((0, 10_000), (1000, 10_001), (3, 0), (300, 10**9)):
        for _ in range(16):
            known.append(tuple(calls.words))
            assert calls.is_untried(rows)
            calls.note(rows, taken)
        assert not calls.is_untried(rows)
    known.append(tuple(calls.words))
    nothing = sys.maxsize
    assert known[::16] == [(-1, nothing), (0, nothing), (0, 512), (3, 512), (3, 256)]
    assert known[15::16] == [(-1, nothing), (0, nothing), (0, 512), (3, 512)]
    assert ctypes.c_int64.from_address(calls.address).value == calls.words[BriefRows.MOST]
