"""Values that no request should have, for every place of a request that takes one.

`hostile_value` and `hostile_column` draw them by a random generator; none draws the same object in
two requests, unless it cannot be changed.
"""

from __future__ import annotations

import datetime
import enum
import random
from collections import OrderedDict, UserDict, deque, namedtuple
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow
import pyarrow.compute

__all__ = ["hostile_column", "hostile_value"]


class Word(str, enum.Enum):
    RED = "red"

    def __str__(self) -> str:
        return "Word.RED"


class Level(enum.IntEnum):
    SEVEN = 7


class Text(str):
    """Says other things of itself than what it holds."""

    def __str__(self) -> str:
        return "green"

    def __len__(self) -> int:
        return 1 << 40

    def __hash__(self) -> int:
        return 1

    def __eq__(self, other: object) -> bool:
        return True

    def encode(self, *args: Any) -> bytes:
        return b"green" * 9

    def split(self, *args: Any) -> list[str]:  # type: ignore[override]
        return ["green"] * 9


class Number(int):
    def __int__(self) -> int:
        return 3

    __index__ = __int__

    def __repr__(self) -> str:
        return "3"

    __str__ = __repr__


class Real(float):
    def __float__(self) -> float:
        return 3.0

    def __eq__(self, other: object) -> bool:
        return False

    __hash__ = float.__hash__


class Lying(list):  # type: ignore[type-arg]
    """Promises 60 values, and gives one."""

    def __len__(self) -> int:
        return 60

    def __getitem__(self, at: Any) -> Any:
        return [1] if isinstance(at, slice) else 1


class Raising(list):  # type: ignore[type-arg]
    def __len__(self) -> int:
        raise MemoryError("no length")

    def __iter__(self) -> Any:
        raise RecursionError("no values")

    __getitem__ = __len__  # type: ignore[assignment]


class Foreign:
    """An object whose every method raises."""

    def __getattr__(self, name: str) -> Any:
        raise SystemError(name)

    def _raise(self, *args: Any) -> Any:
        raise OSError("nothing works")

    __len__ = __getitem__ = __hash__ = __eq__ = __iter__ = _raise  # type: ignore[assignment]
    __str__ = __repr__ = __float__ = __int__ = __index__ = __bool__ = _raise


class BadMap(UserDict):  # type: ignore[type-arg]
    def items(self) -> Any:
        raise KeyError("no items")


class LyingMap(dict):  # type: ignore[type-arg]
    def items(self) -> Any:
        return [("a", 1)] * 50

    def __len__(self) -> int:
        return 99


Pair = namedtuple("Pair", "key value")


_MAP = pyarrow.map_(pyarrow.string(), pyarrow.float64())


def _deep(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


DEEP = [_deep(3), _deep(30), _deep(100_000)]
TEXTS = [
    *("", " ", "a", "red", "red green", "a|b|c", "1,2,3", "a:1", "a:1\x1db:2", "red:x\x1dgreen:2"),
    *(
        "red=1",
        "red^0:4,1:5|green^2:6",
        "^",
        ":",
        "|",
        ";",
        "1;2;3",
        ";;;;;;;",
        "\x1d",
        "\0",
        "a\0b",
    ),
    *("nan", "inf", "-Infinity", "1e400", "1e-400", "0x1", "1_000", "١٢", "½", "9" * 400, "x" * 70),
    *("\ud800", "red\udfff", "ünï", "\U0001f600", "9223372036854775808", "-9223372036854775809"),
]
NUMBERS = [
    *(0, 1, -1, 3, 19, 20, 2**31, 2**32 + 1, 2**53 + 1, 2**63 - 1, -(2**63), 2**63, 2**64, 10**25),
    *(10**5000, -(10**5000), 0.0, -0.0, 0.5, 1.5, 1e16, 1e22, 1e300, 5e-324, float("inf")),
    *(float("-inf"), float("nan"), True, False, None),
]
OTHERS: list[Callable[[], Any]] = [
    lambda: Word.RED,
    lambda: Level.SEVEN,
    lambda: Text("red"),
    lambda: Number(7),
    lambda: Real(0.5),
    lambda: np.str_("red"),
    lambda: np.bytes_(b"red"),
    lambda: np.int8(-3),
    lambda: np.uint64(2**64 - 1),
    lambda: np.float16(0.1),
    lambda: np.float32(0.1),
    lambda: np.float64("nan"),
    lambda: np.longdouble(1) / 3,
    lambda: np.bool_(True),
    lambda: np.ma.masked,
    lambda: np.datetime64("2024-01-01"),
    lambda: np.timedelta64(5, "s"),
    lambda: Decimal("0.50"),
    lambda: Decimal("12"),
    lambda: Decimal("1E+99999"),
    lambda: Decimal("NaN"),
    lambda: Fraction(1, 3),
    lambda: 1j,
    lambda: b"red",
    lambda: b"\xff\xfe",
    lambda: bytearray(b"red"),
    lambda: memoryview(b"red"),
    lambda: datetime.date(2024, 1, 1),
    lambda: datetime.timedelta(1),
    Foreign,
    object,
    lambda: (x for x in (1, 2)),
    lambda: {1, 2},
    lambda: deque(["a"]),
    lambda: range(3),
    lambda: [None],
    lambda: [],
    lambda: (),
    lambda: {},
    lambda: [[]],
    lambda: [[None]],
    lambda: Raising(["a"]),
    lambda: Lying(["a", "b"]),
    lambda: Pair("a", 1),
    lambda: [Pair("a", 1), ("b", None)],
    lambda: [{"key": "a", "value": 1}, {"key": "red", "value": "x"}],
    lambda: [{"a": 1}],
    lambda: {"a": 0.5, "b": None, "c": "x", "red": float("nan")},
    lambda: {1: 1, "1": 2, None: 3},
    lambda: OrderedDict(red=1),
    lambda: LyingMap(red=0.25),
    lambda: BadMap(red=1),
    lambda: {"a": {"b": 1}},
    lambda: {"a": [1]},
    lambda: np.array(5),
    lambda: np.array([1.5, 2.5]),
    lambda: np.array([[1, 2], [3, 4]]),
    lambda: np.array(["a", "b"]),
    lambda: np.array([b"a\0", b"b"]),
    lambda: np.array(["ü", "b"]),
    lambda: np.array([1, 2], ">i4"),
    lambda: np.arange(9)[::2],
    lambda: np.array(["a", None, 3], object),
    lambda: np.array([0x110000, 65], np.uint32).view("U1"),
    lambda: np.ma.masked_array([1.5, 77.0], mask=[0, 1]),
    lambda: np.ma.masked_array(["a", "b"], mask=[1, 0]),
    lambda: np.array(["2024-01-01"], "M8[D]"),
    lambda: np.array([5], "m8[s]"),
    lambda: np.zeros(2, "i4,f4"),
    lambda: np.array([1j]),
    lambda: np.zeros((2, 0)),
    lambda: np.array([[1, 2]]).view(np.matrix),  # a call of the class warns
]


def hostile_value(rng: random.Random) -> Any:
    """A value for a field."""
    kind = rng.random()
    if kind < 0.3:
        return rng.choice(TEXTS)
    if kind < 0.5:
        return rng.choice(NUMBERS)
    if kind < 0.8:
        return rng.choice(OTHERS)()
    if kind < 0.82:
        return rng.choice(DEEP)
    if kind < 0.95:
        return [_part(rng) for _ in range(rng.randrange(6))]
    return {_key(rng): _part(rng) for _ in range(rng.randrange(4))}


def _part(rng: random.Random) -> Any:
    kind = rng.random()
    if kind < 0.45:
        return rng.choice(TEXTS)
    if kind < 0.8:
        return rng.choice(NUMBERS)
    return rng.choice(OTHERS)()


def _key(rng: random.Random) -> Any:
    return rng.choice([*TEXTS, *NUMBERS, Text("a"), Word.RED, Level.SEVEN, b"a", np.int8(3)])


def _of_arrow(rng: random.Random, good: list[Any]) -> Any:
    """The good column, or another of as many rows, in a form of Arrow's."""
    texts = pyarrow.array([rng.choice(["a", "red", None, "", "a|b", "7"]) for _ in good])
    forms: list[Callable[[], Any]] = [
        lambda: pyarrow.array(good),
        lambda: pyarrow.array([None, *good]).slice(1),
        lambda: texts,
        texts.dictionary_encode,
        lambda: pyarrow.compute.run_end_encode(texts),
        lambda: pyarrow.chunked_array([texts[:1], texts[:0], texts[1:]]),
        lambda: texts.cast(pyarrow.large_binary()),
        lambda: pyarrow.array([[one] * rng.randrange(3) for one in texts.to_pylist()]),
        lambda: pyarrow.array([Decimal("1.50")] * len(good)),
        lambda: pyarrow.array([5] * len(good), pyarrow.date32()),
        lambda: pyarrow.array([[("red", 0.5), ("a", None)]] * len(good), _MAP),
        lambda: pyarrow.array([{"red": 0.5, "a": None}] * len(good)),
        lambda: pyarrow.nulls(len(good)),
    ]
    try:
        return rng.choice(forms)()
    except pyarrow.ArrowException:  # what no column of Arrow holds
        return texts


def hostile_column(rng: random.Random, good: list[Any]) -> Any:
    """A column in place of a good one: a form of its own, or hostile cells in a good form."""
    count = len(good)
    forms: list[Callable[[], Any]] = [
        lambda: tuple(good),
        lambda: Lying(good),
        lambda: Raising(good),
        lambda: np.array(good, object),
        lambda: np.ma.masked_array(range(count), mask=[i % 2 for i in range(count)]),
        lambda: np.arange(count, dtype=rng.choice(["i1", "u8", "f2", "f4", ">i8"])),
        lambda: np.array([rng.choice(["a", "red", "é", ""]) for _ in range(count)]),
        lambda: np.array([b"a"] * count),
        lambda: np.zeros((count, 2)),
        lambda: np.zeros((count, 0)),
        lambda: np.full(count, 0x110001, np.uint32).view("U1"),
        lambda: good[:-1],
        lambda: [*good, None],
        lambda: good[:1],
        lambda: iter(good),
        lambda: range(count),
        lambda: dict.fromkeys(range(count)),
        lambda: "x" * count,
        lambda: None,
        Foreign,
        lambda: deque(good),
        lambda: np.array(5),
        lambda: memoryview(bytes(count)),
        lambda: np.array([str(i) for i in range(count)], rng.choice(["U", ">U3", "S2"])),
        lambda: _of_arrow(rng, good),
    ]
    if rng.random() < 0.4:
        return rng.choice(forms)()
    cells = list(good)
    for _ in range(rng.randrange(1, 3)):
        if cells:
            cells[rng.randrange(count)] = hostile_value(rng)
    return cells
