"""Encoding: whatever form a column has, the kernels get the same values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcompile.runtime.abi.encoded import ColumnDescriptor, Mode, Split
from rtcompile.runtime.encoding.column_spec import ColumnSpec
from rtcompile.runtime.encoding.encode import Encoder
from rtcompile.runtime.encoding.encoded import ColumnPart
from rtcompile.runtime.errors import RequestError

_TEXTS = st.text(st.characters(exclude_characters="\x00"), max_size=6)
_NUMBERS = st.floats(width=32) | st.integers(-(2**31), 2**31 - 1) | st.none()


def spec_of(kind: str, name: str = "c", **keys: Any) -> ColumnSpec:
    return ColumnSpec(name, kind, b";", **keys)


def part_of(values: Any, rows: int, kind: str = "text", **keys: Any) -> ColumnPart:
    """Of a column among others."""
    specs = [spec_of("text", "a"), spec_of("number", "b"), spec_of(kind, **keys)]
    columns = {"a": ["xy"] * rows, "b": [0.5] * rows, "c": values}
    encoded = Encoder(specs, str).rows(columns, rows)
    assert encoded.part(1, specs[1]).numbers.tolist() == [0.5] * rows
    assert encoded.part(0, specs[0]).text.tobytes() == b"xy" * rows
    return encoded.part(2, specs[2])


def texts(part: ColumnPart) -> list[bytes]:
    assert part.offsets is not None
    ends = (part.offsets - part.offsets[0]).tolist()
    return [part.text.tobytes()[b:e] for b, e in pairwise(ends)]


def numbers(part: ColumnPart) -> list[list[float]]:
    """Of each row."""
    return [part.numbers[b:e].tolist() for b, e in pairwise(part.values)]


def same(one: list[list[float]], other: Sequence[Sequence[float]]) -> bool:
    return repr(one) == repr([list(map(float, row)) for row in other])


@given(st.lists(_TEXTS, min_size=1, max_size=90))
def test_texts_are_utf8_whatever_holds_them(values: list[str]) -> None:
    wanted = [value.encode("utf-8", "surrogatepass") for value in values]
    forms: list[Any] = [values, tuple(values), np.array(values, object), wanted, np.array(values)]
    for form in forms:
        part = part_of(form, len(values))
        assert texts(part) == wanted
        assert part.split == Split.TEXT
        assert part.values.tolist() == list(range(len(values) + 1))


@given(st.lists(_NUMBERS, min_size=1, max_size=90))
def test_a_number_a_row(values: list[float | None]) -> None:
    wanted = [[] if value is None else [value] for value in values]
    assert same(numbers(part_of(values, len(values), "number")), wanted)
    present = [[v for v in row if not math.isnan(v)] for row in wanted]
    assert same(numbers(part_of(values, len(values), "present")), present)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f8", "i1", "i8", "u4", "bool", "object"])
@pytest.mark.parametrize("rows", [1, 3, 80])
def test_arrays_of_numbers_equal_lists(dtype: str, rows: int) -> None:
    array = np.arange(2 * rows).astype(dtype)[::2]
    wanted = [[value] for value in array.tolist()]
    assert same(numbers(part_of(array, rows, "number")), wanted)
    assert texts(part_of(array, rows)) == texts(part_of(array.tolist(), rows))


def test_several_numbers_a_row() -> None:
    array = np.arange(6.0).reshape(2, 3)
    assert same(numbers(part_of(array, 2, "number")), array.tolist())
    assert same(numbers(part_of([[1, 2], [], ["3"]], 3, "number")), [[1, 2], [], [3]])


def test_texts_of_four_letters_do_not_pass_for_numbers() -> None:
    """In marshal's format they are as long as floats."""
    assert same(numbers(part_of(["1.25", 2.0], 2, "number")), [[1.25], [2.0]])
    assert same(numbers(part_of(["1.25", "1e+3"], 2, "number")), [[1.25], [1000.0]])


def test_an_array_is_copied() -> None:
    spec, array = spec_of("number"), np.array([1.0, 2.0])
    encoded = Encoder([spec], str).rows({"c": array}, 2)
    array[:] = 7.0
    assert encoded.part(0, spec).numbers.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("rows", [2, 100])
@pytest.mark.parametrize(
    ("values", "wanted"),
    [
        ([5, -7], [b"5", b"-7"]),
        ([5, True], [b"5", b"1"]),
        ([5, 1.0], [b"5", b"1"]),
        (["a", None], [b"a", b""]),
        ([b"\xff", "a"], [b"\xff", b"a"]),
        ([math.nan, 0.5], [b"", b"0.5"]),
        (["ü", "裙子"], ["ü".encode(), "裙子".encode()]),
    ],
)
def test_single_values_of_any_type(values: list[Any], wanted: list[bytes], rows: int) -> None:
    assert texts(part_of(values * (rows // 2), rows)) == wanted * (rows // 2)
    for value, text in zip(values, wanted, strict=True):
        assert texts(part_of([value], 1)) == [text]


@pytest.mark.parametrize("rows", [1, 4])
def test_sequences_as_text_and_as_lists(rows: int) -> None:
    for form in ("a|bc||d", ["a", "bc", "", "d"], b"a|bc||d"):
        part = part_of([form] * rows, rows, delimiter=b"|", length=3)
        assert texts(part) == [b"a", b"bc", b""] * rows
        assert part.rows is not None
        assert part.rows.tolist() == list(range(0, 3 * rows + 1, 3))


def test_a_value_for_all_rows() -> None:
    specs = [spec_of("text"), spec_of("number", "n"), spec_of("map", "m")]
    encoded = Encoder(specs, str).rows({"c": ["x"], "n": [2.0], "m": ["k:v"] * 3}, 3)
    modes = encoded.columns.reshape(len(specs), -1)[:, ColumnDescriptor.MODE].tolist()
    assert modes == [Mode.ONE, Mode.ONE, Mode.ROWS]
    assert texts(encoded.part(0, specs[0])) == [b"x"]
    assert encoded.part(1, specs[1]).numbers.tolist() == [2.0]
    assert 0 < encoded.shared < encoded.bound


@pytest.mark.parametrize("kind", ["text", "terms", "number", "present", "map", "nested", "whole"])
@pytest.mark.parametrize("values", [[object()], [object(), "a"], ["a", 1j], [[object()], "a"]])
def test_other_types_are_told(kind: str, values: list[Any]) -> None:
    encoder = Encoder([spec_of("text", "a"), spec_of(kind)], lambda name: f"field {name!r}")
    with pytest.raises(RequestError, match=r"^field 'c': (object|complex) is not a value"):
        encoder.rows({"a": ["x"] * len(values), "c": values}, len(values))


def test_columns_of_another_length_are_told() -> None:
    with pytest.raises(RequestError, match="c: 3 values, 4 rows"):
        Encoder([spec_of("text")], str).rows({"c": ["x"] * 3}, 4)


_WORDS = st.text(st.characters(max_codepoint=127), max_size=6) | st.just("ü")


@given(st.lists(_WORDS, min_size=1, max_size=9), st.sampled_from(["S", "U", ">U", "O"]))
def test_arrays_of_strings_equal_lists(values: list[str], dtype: str) -> None:
    """Both without NULs behind the text, which such arrays do not keep."""
    given = [v.encode() for v in values] if dtype == "S" else values
    array = np.array(given, object if dtype == "O" else None).astype(dtype)
    wanted = [v.encode() if dtype == "O" else v.encode().rstrip(b"\0") for v in values]
    assert texts(part_of(array, len(values))) == wanted
    assert texts(part_of(np.repeat(array, 2)[::2], len(values))) == wanted


@given(
    st.lists(st.integers(-(2**63), 2**64 - 1) | st.integers(-9, 9), min_size=1, max_size=9),
    st.sampled_from(["i1", "u1", "i4", "u4", "i8", ">i8", "u8", "bool"]),
)
def test_arrays_of_integers_are_their_digits(values: list[int], dtype: str) -> None:
    array = (np.array(values, object) & 2**64 - 1).astype(np.uint64).astype(dtype)
    wanted = [b"%d" % int(value) for value in array]
    assert texts(part_of(array, len(values))) == wanted


def test_columns_of_equal_arrays_beside_others() -> None:
    names = "abcdef"
    specs = [spec_of("text", name) for name in names]
    columns = [np.array([1, -22]), ["x", "yz"], np.array([333, 4]), np.array(["p", "q"])]
    columns += [np.array([2**63, 1], np.uint64), np.array([b"s", b"tt"])]
    encoded = Encoder(specs, str).rows(dict(zip(names, columns, strict=True)), 2)
    found = [texts(encoded.part(i, spec)) for i, spec in enumerate(specs)]
    assert found[:3] == [[b"1", b"-22"], [b"x", b"yz"], [b"333", b"4"]]
    assert found[3:] == [[b"p", b"q"], [b"9223372036854775808", b"1"], [b"s", b"tt"]]
