"""What a value of any class is: Python's own, by its content, whatever the class overrides."""

from __future__ import annotations

import enum
import math
from collections import OrderedDict, UserDict, namedtuple
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from rtcompile.runtime.encoding.plain_values import column_values, plain, scalar
from rtcompile.runtime.encoding.raw_values import (
    keys_and_values,
    number_of,
    pairs_of,
    text_of,
)
from rtcompile.runtime.errors import RequestError
from rtcompile.runtime.items.item_index import item_key
from rtcompile.runtime.stages.feature_stage import check_fields


class Gender(str, enum.Enum):
    F = "female"

    def __str__(self) -> str:
        return "Gender.F"


class Level(enum.IntEnum):
    HIGH = 7


class Text(str):
    __slots__ = ()

    def __str__(self) -> str:
        return "another"

    def __len__(self) -> int:
        return 1000

    def __hash__(self) -> int:
        return 3

    def encode(self, *args: Any) -> bytes:
        return b"another"


class Number(int):
    def __int__(self) -> int:
        return 99

    __index__ = __str__ = __repr__ = __int__  # type: ignore[assignment]


class Real(float):
    def __float__(self) -> float:
        return 99.0


class Raw(bytes):
    def __bytes__(self) -> bytes:
        return b"another"


class Short(list):  # type: ignore[type-arg]
    """Promises 60 values."""

    def __len__(self) -> int:
        return 60

    def __iter__(self) -> Any:
        raise OSError("no iteration")

    def __getitem__(self, at: Any) -> Any:
        return [7]


Pair = namedtuple("Pair", "a b")

SCALARS: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (Gender.F, "female"),
    (Level.HIGH, 7),
    (Text("abc"), "abc"),
    (Number(5), 5),
    (Real(0.5), 0.5),
    (Raw(b"abc"), b"abc"),
    (bytearray(b"abc"), b"abc"),
    (np.str_("abc"), "abc"),
    (np.bytes_(b"abc"), b"abc"),
    (np.bool_(True), True),
    (np.int8(-3), -3),
    (np.uint64(2**64 - 1), 2**64 - 1),
    (np.float16(1.5), 1.5),
    (np.float32(0.1), float(np.float32(0.1))),
    (np.float64(0.1), 0.1),
    (np.longdouble(0.5), 0.5),
    (np.ma.masked, None),
    (Decimal("12"), 12),
    (Decimal("12.00"), 12),
    (Decimal("0.50"), 0.5),
    (Decimal("NaN"), None),
    (Decimal("-Infinity"), -math.inf),
    (Decimal(10) ** 30, 10**30),
]


@pytest.mark.parametrize(("value", "wanted"), SCALARS, ids=lambda one: type(one).__name__)
def test_single_values(value: Any, wanted: Any) -> None:
    found = scalar(value)
    assert found == wanted
    assert type(found) is type(wanted)
    assert plain(value) == wanted
    assert plain([value]) == [wanted]
    assert text_of(value) == text_of(wanted)


@pytest.mark.parametrize(
    "value",
    [
        object(), 1j, {1}, memoryview(b"a"), np.datetime64("2024-01-01"), np.timedelta64(3, "s"),
        np.array(3), np.void(b"ab"), np.longdouble(1) / 3, Decimal("1E+100000"), iter([1]), range,
    ],
    ids=lambda one: type(one).__name__,
)  # fmt: skip
def test_what_is_no_value(value: Any) -> None:
    with pytest.raises(TypeError):
        scalar(value)
    with pytest.raises(TypeError):
        plain([value])


def test_several_values_by_their_content() -> None:
    assert plain(Short([1, 2])) == [1, 2]
    assert plain(Pair(1, Text("b"))) == (1, "b")
    assert plain(np.ma.masked_array([1.5, 7.0], mask=[0, 1])) == [1.5, None]
    assert plain(np.ma.masked_array([[1, 2], [3, 4]], mask=[[0, 1], [0, 0]])) == [[1, None], [3, 4]]
    assert plain(np.array(["a", None], object)) == ["a", None]
    assert plain(OrderedDict(a=Level.HIGH)) == {"a": 7}
    # Keys of other classes than their equals.
    assert plain({Text("a"): 1, "a": 2}) == [("a", 1), ("a", 2)]


@pytest.mark.parametrize("deep", [6, 100_000])
def test_lists_in_lists_have_an_end(deep: int) -> None:
    value: list[Any] = []
    for _ in range(deep):
        value = [value]
    with pytest.raises(TypeError, match="more than 4 deep"):
        plain(value)


def test_arrays_of_what_are_no_characters() -> None:
    array = np.array([0x110000, 65], np.uint32).view("U1")
    with pytest.raises(ValueError, match="0x110000"):
        plain(array)
    for bad in (np.array(["2024-01-01"], "M8[D]"), np.array([1j]), np.zeros(2, "i4,i4")):
        with pytest.raises(TypeError):
            plain(bad)


def test_columns() -> None:
    assert column_values(Short([1, 2])) == [1, 2]
    assert column_values(range(3)) == [0, 1, 2]
    assert column_values(np.ma.masked_array(["a", "b"], mask=[1, 0])) == [None, "b"]
    assert type(column_values(np.ma.masked_array([1, 2]))) is np.ndarray
    for bad in (
        "abc",
        b"abc",
        memoryview(b"abc"),
        iter([1]),
        {1, 2},
        {"a": 1},
        np.array(1),
        None,
        7,
    ):
        with pytest.raises(TypeError):
            column_values(bad)


def test_a_key_without_a_value_is_no_entry() -> None:
    seen: list[object] = []
    for given in (
        {"a": 0.5, "b": None, "c": math.nan, "d": ""},
        [("a", 0.5), ("b", None)],
        [{"key": "a", "value": Decimal("0.5")}, {"key": "b", "value": None}],
    ):
        assert pairs_of(given, b"\x1d", b":", seen.append) == [(b"a", 0.5)]
        assert keys_and_values(given) == [b"a", b"0.5"]
    assert not seen
    found = pairs_of("a:0.5\x1db\x1dc:x\x1d:2", b"\x1d", b":", seen.append)
    assert found == [(b"a", 0.5), (b"b", 1.0), (b"c", 1.0)]
    assert seen == [b"x", b":2"]


def test_integers_without_end() -> None:
    assert number_of(10**5000) == math.inf
    assert number_of(-(10**5000)) == -math.inf
    with pytest.raises(ValueError, match="digits"):
        text_of(10**5000)
    with pytest.raises(TypeError, match="no item id"):
        item_key(10**5000)


def test_ids() -> None:
    assert item_key(Gender.F) == "female"
    assert item_key(Level.HIGH) == "7"
    assert item_key(Text("abc")) == "abc"
    assert item_key(Number(5)) == "5"
    assert item_key(Decimal("5")) == "5"
    for bad in (None, True, np.bool_(True), 1.5, [1], object()):
        with pytest.raises(TypeError, match="no item id"):
            item_key(bad)


def test_fields_of_a_mapping_of_any_class() -> None:
    class Broken(UserDict):  # type: ignore[type-arg]
        def __iter__(self) -> Any:
            raise SystemError("no keys")

    class Lying(dict):  # type: ignore[type-arg]
        def __getitem__(self, name: Any) -> Any:
            raise OSError(name)

    wanted = {"a": None}
    found = check_fields("user", Lying(a=1), wanted)
    assert type(found) is dict and found == {"a": 1}
    assert check_fields("user", UserDict(a=1), wanted) == {"a": 1}
    for bad in (Broken(a=1), {"a": 1, 10**5000: 2}, {"a": 1, Text("x"): 2}, {Number(3): 1}, [1]):
        with pytest.raises(RequestError, match="user: "):
            check_fields("user", bad, wanted)
