"""Examples and requests out of the interactions: implicit feedback, split by time.

An event is positive from a rating of 4 on. The first 80% of the events in time train, the next 10%
validate, the last 10% test. A user's history is the items of the last positive events before, the
latest first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rtcompile.models.movielens.data import Interactions

__all__ = ["LENGTH", "Example", "Request", "examples", "item_fields", "requests", "split"]

LENGTH = 50  # items of a history
POSITIVE = 4.0
SPLITS = {"train": (0.0, 0.8), "validate": (0.8, 0.9), "test": (0.9, 1.0)}


@dataclass(frozen=True)
class Example:
    """One event: what was known before it, and whether it was positive."""

    user_id: str
    item_id: str
    history: tuple[str, ...]
    label: int


@dataclass(frozen=True)
class Request:
    """A user as known when the test period begins, and the items they met in it."""

    user: dict[str, Any]
    items: list[str]
    labels: list[int]


def examples(data: Interactions) -> list[Example]:
    """Every event, in the order of time. Events of one second do not see each other."""
    found = []
    for user, item, history, label in _walk(data):
        found.append(Example(user, item, history, label))
    return found


def split(found: list[Example], part: str) -> list[Example]:
    """The examples of "train", "validate" or "test"."""
    begin, end = SPLITS[part]
    return found[int(begin * len(found)) : int(end * len(found))]


def requests(data: Interactions, part: str = "test") -> list[Request]:
    """One request a user of a period, in the order of their first event in it."""
    events = split(examples(data), part)
    grouped: dict[str, list[Example]] = defaultdict(list)
    for example in events:
        grouped[example.user_id].append(example)
    return [
        Request(
            user_fields(data, user, group[0].history),
            [example.item_id for example in group],
            [example.label for example in group],
        )
        for user, group in grouped.items()
    ]


def user_fields(data: Interactions, user_id: str, history: tuple[str, ...]) -> dict[str, Any]:
    """The raw user fields of a request."""
    user = data.users[user_id]
    return {
        "user_id": user.user_id,
        "age": user.age,
        "gender": user.gender,
        "occupation": user.occupation,
        "zip_code": user.zip_code,
        "hist__item_id": list(history),
        "hist__genres": [list(data.items[item].genres) for item in history],
    }


def item_fields(data: Interactions) -> dict[str, list[Any]]:
    """The item table: raw column -> a value an item."""
    items = list(data.items.values())
    return {
        "item_id": [item.item_id for item in items],
        "year": [item.year for item in items],
        "genres": [list(item.genres) for item in items],
        "title": [list(item.title) for item in items],
    }


def _walk(data: Interactions) -> Iterator[tuple[str, str, tuple[str, ...], int]]:
    liked: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for event in data.events:
        before = [item for time, item in liked[event.user_id] if time < event.timestamp]
        label = int(event.rating >= POSITIVE)
        yield event.user_id, event.item_id, tuple(reversed(before[-LENGTH:])), label
        if label:
            liked[event.user_id].append((event.timestamp, event.item_id))
