"""MovieLens-100K, read out of the wheel of RecBole that carries it; a synthetic sample without.

The wheel is fetched with pip and cached; the data is read from it and never unpacked.
"""

from __future__ import annotations

import csv
import io
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rtcompile.errors import NetworkError

__all__ = ["Event", "Interactions", "Item", "User", "load", "synthetic"]

_PACKAGE = "recbole==1.2.1"
_WHEEL = "recbole-1.2.1-py3-none-any.whl"
_FOLDER = "recbole/dataset_example/ml-100k/ml-100k"
_TIMEOUT = 120  # seconds


@dataclass(frozen=True)
class User:
    """Who rates."""

    user_id: str
    age: int
    gender: str
    occupation: str
    zip_code: str


@dataclass(frozen=True)
class Item:
    """A movie. `title`: lower-case words without the year."""

    item_id: str
    title: tuple[str, ...]
    year: int | None
    genres: tuple[str, ...]


@dataclass(frozen=True)
class Event:
    """A rating from 1 to 5, at a Unix time in seconds."""

    user_id: str
    item_id: str
    rating: float
    timestamp: int


@dataclass(frozen=True)
class Interactions:
    """Users and items by id, and the events in the order of time. `source` names the data."""

    users: dict[str, User]
    items: dict[str, Item]
    events: tuple[Event, ...]
    source: str


def load() -> Interactions:
    """MovieLens-100K. Raises NetworkError where the wheel is not cached and cannot be fetched."""
    with zipfile.ZipFile(_wheel()) as wheel:
        tables = {part: _rows(wheel, part) for part in ("user", "item", "inter")}
    users = {
        row["user_id"]: User(
            row["user_id"], int(row["age"]), row["gender"], row["occupation"], row["zip_code"]
        )
        for row in tables["user"]
    }
    items = {row["item_id"]: _item(row) for row in tables["item"]}
    events = [
        Event(row["user_id"], row["item_id"], float(row["rating"]), int(float(row["timestamp"])))
        for row in tables["inter"]
    ]
    # Ratings share seconds; ids break the ties, so that the order never depends on the file's.
    events.sort(key=lambda e: (e.timestamp, int(e.user_id), int(e.item_id)))
    return Interactions(users, items, tuple(events), "MovieLens-100K")


def _wheel() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "rtcompile"
    path = cache / _WHEEL
    if path.exists() and zipfile.is_zipfile(path):
        return path
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", _PACKAGE]
        try:
            subprocess.run(
                [*command, "--dest", folder], check=True, capture_output=True, timeout=_TIMEOUT
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise NetworkError(
                f"{_PACKAGE}, which carries MovieLens-100K, could not be fetched with pip: {error}"
            ) from error
        (Path(folder) / _WHEEL).replace(path)
    return path


def _rows(wheel: zipfile.ZipFile, part: str) -> list[dict[str, str]]:
    """Rows of a tab-separated file whose header is name:type."""
    text = io.TextIOWrapper(wheel.open(f"{_FOLDER}.{part}"), "utf-8")
    reader = csv.reader(text, delimiter="\t", quoting=csv.QUOTE_NONE)
    names = [field.partition(":")[0] for field in next(reader)]
    return [dict(zip(names, row, strict=True)) for row in reader]


def _item(row: dict[str, str]) -> Item:
    year = row["release_year"]
    return Item(
        row["item_id"],
        tuple(re.findall(r"\w+", row["movie_title"].lower())),
        int(year) if year.isdigit() else None,
        tuple(row["class"].split()),
    )


_GENRES = ("Action", "Comedy", "Drama", "Horror", "Romance", "Thriller")
_WORDS = ("night", "day", "love", "war", "house", "river", "king", "last")


def synthetic(seed: int = 0) -> Interactions:
    """A small made-up sample of the same form: each user likes two genres."""
    rng = np.random.default_rng(seed)
    users = {
        str(u): User(
            str(u),
            int(rng.integers(15, 70)),
            str(rng.choice(["M", "F"])),
            str(rng.choice(["student", "writer", "engineer"])),
            f"{rng.integers(10000, 99999)}",
        )
        for u in range(1, 61)
    }
    items = {
        str(i): Item(
            str(i),
            tuple(rng.choice(_WORDS, 2)),
            int(rng.integers(1950, 1998)),
            tuple(sorted(set(rng.choice(_GENRES, 2)))),
        )
        for i in range(1, 201)
    }
    taste = {user: set(rng.choice(_GENRES, 2)) for user in users}
    events = []
    for second in range(3000):
        user, item = str(rng.integers(1, 61)), str(rng.integers(1, 201))
        liked = len(taste[user] & set(items[item].genres)) + rng.normal(scale=0.7) > 0.5
        events.append(Event(user, item, 5.0 if liked else 2.0, 880_000_000 + second))
    return Interactions(users, items, tuple(events), "a synthetic sample")
