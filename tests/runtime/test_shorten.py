"""Values in messages: no longer than a line, whatever they are."""

from __future__ import annotations

import pickle
from typing import Any, NoReturn

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcompile.errors import ConfigError, DataError
from rtcompile.runtime.errors import RequestError, UnknownIdError
from rtcompile.runtime.shorten import first_few, short_message, short_repr


class _Hostile(list[int]):
    def __iter__(self) -> NoReturn:
        raise ValueError

    def __repr__(self) -> NoReturn:
        raise SystemError


class _Talkative(str):
    def __repr__(self) -> str:
        return "x" * 10_000


def _deep(levels: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(levels):
        found = [found]
    return found


_SHOWN: list[tuple[object, str]] = [
    ("a", "'a'"),
    (True, "True"),
    (7, "7"),
    (None, "None"),
    (1.5, "1.5"),
    (b"a", "b'a'"),
    ({"a": [1]}, "{'a': [1]}"),
    (_Talkative("hi"), "'hi'"),
    ("a" * 10**6, f"'{'a' * 80}'... (1,000,000 characters)"),
    (10**5000, "an integer of 16,610 bits"),
    (list(range(10**6)), "[0, 1, 2, ...]"),
    (dict.fromkeys(range(10**5)), "{0: None, 1: None, 2: None, ...}"),
    (set(range(10**5)), "a set of 100,000"),
    (np.zeros((3, 10**5)), "array of shape (3, 100000), float64"),
]


def test_a_value_is_shown_shortly() -> None:
    assert [short_repr(value) for value, _ in _SHOWN] == [shown for _, shown in _SHOWN]


def test_any_value_can_be_shown() -> None:
    for value in (_Hostile([1]), _deep(100_000), [_Hostile([1])] * 5, object()):
        assert 0 < len(short_repr(value)) < 500


@settings(max_examples=20)
@given(st.recursive(st.text() | st.integers() | st.binary(), st.lists))
def test_no_value_is_shown_at_length(value: object) -> None:
    assert len(short_repr([value] * 3)) < 500


def test_the_first_of_many() -> None:
    assert first_few(["a", "b"], 2) == "'a', 'b'"
    assert first_few(range(10), 10) == "0, 1, 2, 3, 4 and 5 more"


def test_messages_have_a_bounded_length() -> None:
    message = "what is wrong: " + "x" * 10**6 + ": what to do"
    short = short_message(message)
    assert len(short) < 8_000
    assert short.startswith("what is wrong") and short.endswith("what to do")
    for made in (RequestError(message), DataError(message), ConfigError([message] * 100, "fg")):
        assert len(str(made)) < 8_000


def test_errors_travel_between_processes() -> None:
    for error in (UnknownIdError("an id"), DataError("a row"), ConfigError(["a", "b"], "fg.json")):
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
