"""Values are written as `marshal` writes them, by compiled code that reads Python's objects."""

from __future__ import annotations

import gc
import marshal
import struct
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rtcompile.runtime.abi.value_bytes import WRITE, ValueBuffer
from rtcompile.runtime.encoding.value_bytes import ValueBytes, ValueWriter
from rtcompile.runtime.process import python_objects as python_objects_module
from rtcompile.runtime.process.python_objects import _ascii_text, python_objects
from tests.runtime.functions import value_functions

_VERSION = 2
_GUARD = 0xA5
_KNOWN = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.integers(-9, 9)
    | st.floats()
    | st.text(max_size=40)
    | st.text("abc", max_size=300)
)
_NESTED = st.recursive(
    _KNOWN, lambda v: st.lists(v, max_size=4) | st.lists(v, max_size=4).map(tuple), max_leaves=30
)


class _Text(str):
    __slots__ = ()


@pytest.fixture(scope="module")
def function() -> Any:
    found = value_functions()[WRITE]
    found.release_gil = False
    return found


def _written(function: Any, values: object, capacity: int) -> bytes:
    """What compiled code writes; nothing is written behind `capacity`."""
    room = ValueBytes(capacity)
    room.array[:] = _GUARD
    function(id(values), room.address)
    assert (room.array[capacity:] == _GUARD).all()
    return room.array[: room.words[ValueBuffer.WRITTEN]].tobytes()


@given(values=_NESTED)
@example(
    values=[[], (), [()], "", "\0", "裙", 1 << 62, -(1 << 63), (1 << 31) - 1, -(1 << 31), 1 << 31]
)
def test_as_marshal_writes(function: Any, values: object) -> None:
    assert _written(function, values, 1 << 14) == marshal.dumps(values, _VERSION)


def test_it_knows_where_a_text_lies() -> None:
    """Of this Python; of one that it does not know `_ascii_text` gives what no text is like."""
    mask, wanted, at = _ascii_text()
    assert wanted == mask and bin(mask).count("1") == 2 and at == sys.getsizeof("") - 1


@pytest.mark.parametrize("seen", [0, 0x20, 0x40, 0xFFFFFF9F])
def test_bits_that_it_does_not_find(monkeypatch: pytest.MonkeyPatch, seen: int) -> None:
    word = python_objects_module._word
    monkeypatch.setattr(
        python_objects_module,
        "_word",
        lambda at, place: (word(at, place) or 0) & (seen if place == 4 else -1),
    )
    assert _ascii_text() == (0, 1, 0)


def test_a_python_that_it_does_not_know_is_asked_for_texts(
    function: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = ["", "a", "ab" * 40, "é", "裙", "\0", sys.intern("user"), {"k": 1}.popitem()[0]]
    wanted = marshal.dumps(values, _VERSION)
    monkeypatch.setattr("rtcompile.runtime.process.python_objects._ascii_text", lambda: (0, 1, 0))
    python_objects.__wrapped__()
    try:
        found = _written(function, values, 1 << 10)
    finally:
        monkeypatch.undo()
        python_objects.__wrapped__()
    assert found == _written(function, values, 1 << 10) == wanted


@given(values=_NESTED, less=st.integers(0, 200))
def test_all_or_nothing_where_room_is_short(function: Any, values: object, less: int) -> None:
    wanted = marshal.dumps(values, _VERSION)
    found = _written(function, values, max(0, len(wanted) + 64 - less))
    assert found == wanted or (found == b"" and less > 0)


@pytest.mark.parametrize(
    "value",
    [
        1 << 63,
        -(1 << 63) - 1,
        "\ud800",
        _Text("a"),
        b"bytes",
        {"a": 1},
        {1},
        1j,
        ...,
        np.float64(1),
        np.int64(1),
        np.zeros(2, np.float16),
        np.zeros(2, np.complex128),
        np.zeros(2, ">i4"),
        np.zeros((2, 2)),
        np.zeros(()),
        np.array(["a", "é"]),
        np.array([None]),
        np.ma.zeros(2),
        [[[[[[[[["deep"]]]]]]]]],
        object(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_it_does_not_know_is_left(function: Any, value: object) -> None:
    assert _written(function, ["a", [value], "b"], 1 << 12) == b""
    assert str(value)  # no error of Python's is pending
    assert _written(function, ["a"], 1 << 12) == marshal.dumps(["a"], _VERSION)


@pytest.mark.parametrize("code", ["f4", "f8", "i1", "u2", "i4", "u8", "?", "S3", "S20", "U1", "U7"])
@pytest.mark.parametrize("rows", [0, 1, 7, 100])
def test_arrays_of_one_axis(function: Any, code: str, rows: int) -> None:
    table = np.arange(3 * rows).reshape(rows, 3).astype(code)
    for array in (np.arange(rows).astype(code), table[:, 1], table[::-1, 2]):
        told = array.astype(f"S{array.itemsize // 4}") if array.dtype.kind == "U" else array
        head = b"A" + struct.pack("<i", rows) + told.dtype.kind.encode()
        wanted = head + struct.pack("<i", told.itemsize) + told.tobytes()
        assert _written(function, array, 1 << 13) == wanted
        assert _written(function, ["a", array], 1 << 13)[11:] == wanted
        for less in (1, 20):  # there has to be room
            assert _written(function, array, len(wanted) - less) == b""


def test_an_array_that_repeats_one_value(function: Any) -> None:
    assert _written(function, np.broadcast_to(np.int32(5), (1 << 60,)), 1 << 12) == b""
    assert _written(function, np.broadcast_to(np.int8(5), (3,)), 1 << 12)[10:] == b"\5\5\5"


def test_what_is_left_is_written_by_marshal_where_that_can() -> None:
    writer, room = ValueWriter(value_functions()[WRITE]), ValueBytes(1 << 10)
    assert writer._is_used
    for values in ({"a": 1}, "\ud800", 1 << 70, [b"x"]):
        assert writer.write(values, room) is room
        wanted = marshal.dumps(values, _VERSION)
        assert room.array[: len(wanted)].tobytes() == wanted
    assert writer.write([object()], room) is None


def test_room_grows_to_what_compiled_code_needs() -> None:
    writer, room = ValueWriter(value_functions()[WRITE]), ValueBytes(1)
    values = ["x" * 1000] * 10
    grown = writer.write(values, room)
    assert grown is not None and grown is not room
    assert writer._compiled(values, grown) == len(marshal.dumps(values, _VERSION))
    assert writer.write(values, grown) is grown


def test_no_reference_is_kept_or_lost(function: Any) -> None:
    values = [object(), ["text", 1 << 40, 2.5, ("inner",)], "\ud800"]
    parts = [values, values[1], values[0], values[2], *values[1], values[1][3][0]]  # type: ignore[index]
    gc.collect()
    before = [sys.getrefcount(part) for part in parts]
    for _ in range(100):
        _written(function, values, 1 << 10)
        _written(function, values[1:], 1 << 10)
        _written(function, values[1], 1 << 10)
    assert [sys.getrefcount(part) for part in parts] == before


def test_without_pythons_objects_marshal_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtcompile.runtime.encoding.value_bytes.python_objects", lambda: None)
    writer, room = ValueWriter(value_functions()[WRITE]), ValueBytes(1 << 10)
    assert not writer._is_used
    values = ("a", [1, 2.5, None])
    assert writer.write(values, room) is room
    wanted = marshal.dumps(values, _VERSION)
    assert room.array[: len(wanted)].tobytes() == wanted


def test_a_function_that_writes_something_else_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtcompile.runtime.encoding.value_bytes._SAMPLE", (None, "other"))
    assert not ValueWriter(value_functions()[WRITE])._is_used
