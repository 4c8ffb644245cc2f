"""The compiled encoder gives what `Encoder` does, whatever the values, and the same errors."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcompile.runtime.abi.encode_values import ENCODE
from rtcompile.runtime.abi.encoded import ColumnDescriptor, Mode
from rtcompile.runtime.abi.value_bytes import WRITE
from rtcompile.runtime.encoding.column_spec import ColumnSpec
from rtcompile.runtime.encoding.encode import Encoder
from rtcompile.runtime.encoding.encode_values import CompiledEncoder
from rtcompile.runtime.encoding.encoded import Encoded
from rtcompile.runtime.encoding.value_bytes import ValueWriter
from rtcompile.runtime.errors import RequestError
from tests.runtime.functions import value_functions

_KINDS = (
    "text",
    "terms",
    "places",
    "map",
    "map_number",
    "nested",
    "nested_text",
    "number",
    "present",
    "whole",
)
_TEXT = st.text("a;|:^,ü裙\x1d", max_size=5) | st.text(max_size=20)
_NUMBER = st.integers() | st.integers(-9, 9) | st.floats() | st.integers(-999, 999).map(float)
_PLAIN = st.none() | _TEXT | _NUMBER | st.booleans()
_ANY = _PLAIN | st.binary(max_size=3) | st.floats(width=32).map(np.float32)
_MAP = st.dictionaries(_TEXT, _PLAIN, max_size=2)
_VALUE = (
    _ANY
    | st.lists(_PLAIN, max_size=4)
    | st.lists(_ANY | st.lists(_PLAIN, max_size=3), max_size=4)
    | st.lists(st.lists(_TEXT, min_size=1, max_size=3), max_size=4)
    | st.tuples(_TEXT, _NUMBER)
    | _MAP
    | st.lists(_MAP, max_size=2)
    | st.sampled_from([object(), 1j, {1, 2}, [[[["deep"]]]], np.arange(3), [..., {"a": {"b": []}}]])
)


@pytest.fixture(scope="module", autouse=True)
def tight_memory() -> Iterator[None]:
    """No more memory than the values need, so that what is written behind a part shows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("rtcompile.runtime.encoding.encode_values.SMALLEST", 1)
        yield


@pytest.fixture(scope="module")
def module() -> Any:
    return value_functions()


def where(name: str) -> str:
    return f"field {name!r}"


def specs() -> list[ColumnSpec]:
    """All kinds, plain and in sequences; some that are always left to the runtime."""
    found = []
    for kind in _KINDS:
        found.append(ColumnSpec(kind, kind, b";"))
        found.append(ColumnSpec(f"{kind}_sequence", kind, b";", delimiter=b"|", length=3))
    found.append(ColumnSpec("long", "text", b"::", delimiter=b"||", length=2))
    found.append(ColumnSpec("prefix", "text", b";", prefix=b"p_"))
    found.append(ColumnSpec("weighted", "text", b";", pair=b":"))
    found.append(ColumnSpec("", "text", b";", constant=b"c"))
    return found


def parts(encoded: Encoded, columns: list[ColumnSpec]) -> list[Any]:
    """Everything that kernels read."""
    found: list[Any] = []
    for index, spec in enumerate(columns):
        part = encoded.part(index, spec)
        offsets = None if part.offsets is None else (part.offsets - part.offsets[0]).tolist()
        rows = None if part.rows is None else part.rows.tolist()
        words = encoded.columns.reshape(-1, ColumnDescriptor.WORDS)[index].tolist()
        text, numbers = part.text.tobytes(), repr(part.numbers.tolist())
        found.append((spec.name, rows, part.values.tolist(), offsets, text, numbers, part.split))
        found.append([words[ColumnDescriptor.MODE], words[ColumnDescriptor.PLACES]])
        if spec.is_text and not spec.pair:  # a map's table is entered there
            assert words[ColumnDescriptor.NUMBERS] == 0
        if spec.delimiter is None:
            assert words[ColumnDescriptor.ROWS] == 0
    return found


def outcome(run: Callable[[], Encoded], columns: list[ColumnSpec]) -> Any:
    """What is encoded, or what is said of it; with bounds that hold."""
    try:
        encoded = run()
    except RequestError as error:
        return str(error)
    found = parts(encoded, columns)
    bounds = [int(encoded.row_bounds(i, spec).max(initial=0)) for i, spec in enumerate(columns)]
    assert encoded.bound >= max(bounds, default=0)
    return found


def both(module: Any, columns: list[ColumnSpec]) -> tuple[CompiledEncoder, Encoder]:
    return _compiled(module, columns), Encoder(columns, where)


def _compiled(module: Any, columns: list[ColumnSpec]) -> CompiledEncoder:
    return CompiledEncoder(module[ENCODE], ValueWriter(module[WRITE]), columns, where)


@settings(max_examples=300)
@given(data=st.data(), mode=st.sampled_from([Mode.ROWS, Mode.ONE]))
def test_one_row(module: Any, data: st.DataObject, mode: int) -> None:
    columns = data.draw(st.lists(st.sampled_from(specs()), max_size=6))
    compiled, encoder = both(module, columns)
    for _ in range(2):  # in memory that was used before, too
        fields = {spec.name: data.draw(_VALUE) for spec in columns}
        wanted = outcome(partial(encoder.one, fields, mode), columns)
        assert outcome(partial(compiled.one, fields, mode), columns) == wanted
        if not isinstance(wanted, str):
            compiled.give_back(compiled.one(fields, mode))


@settings(max_examples=200)
@given(data=st.data(), rows=st.integers(0, 5))
def test_rows(module: Any, data: st.DataObject, rows: int) -> None:
    columns = data.draw(st.lists(st.sampled_from(specs()), max_size=5))
    compiled, encoder = both(module, columns)
    fields = {}
    for spec in columns:
        value = data.draw(st.sampled_from([_VALUE, _PLAIN, _TEXT, st.lists(_TEXT, max_size=3)]))
        count = data.draw(st.sampled_from([rows, rows, rows, 1, rows + 1]))
        fields[spec.name] = data.draw(st.lists(value, min_size=count, max_size=count))
    wanted = outcome(partial(encoder.rows, fields, rows), columns)
    assert outcome(partial(compiled.rows, fields, rows), columns) == wanted


_CODES = ("f4", "f8", "f2", "i1", "i2", "i4", "i8", "u1", "u4", "u8", "?", ">i4", ">U2", "O")
_CODES += ("S1", "S3", "S8", "S9", "S40", "U1", "U5", "U17")


@st.composite
def _arrays(draw: st.DrawFn, rows: int) -> np.ndarray:
    """Of `rows` values, or sometimes one more; side by side or not."""
    dtype = np.dtype(draw(st.sampled_from(_CODES)))
    count = draw(st.sampled_from([rows, rows, rows, rows, rows + 1]))
    words = st.text("a;:|\x00\x1d9", max_size=draw(st.sampled_from([1, 9, 40])))
    if dtype.kind in "SU":
        with_wide = words | st.text("aü裙", max_size=3) if dtype.kind == "U" else words
        values: list[Any] = draw(st.lists(with_wide, min_size=count, max_size=count))
        whole = np.array(values, dtype)
    elif dtype.kind in "fO":
        real = st.floats(width=16) | st.integers(-2000, 2000).map(float)
        whole = np.array(draw(st.lists(real, min_size=count, max_size=count)), dtype)
    else:
        bits = draw(st.lists(st.binary(min_size=8, max_size=8), min_size=count, max_size=count))
        cut = b"".join(value[: dtype.itemsize] for value in bits)
        whole = np.frombuffer(cut, dtype) if dtype.kind != "b" else np.array(bits) > b"a"
    table = np.zeros((count, 3), whole.dtype)
    table[:, 1] = whole
    return draw(st.sampled_from([whole, table[:, 1], table[::-1, 1][::-1], whole[::-1]]))


@settings(max_examples=150)
@given(data=st.data(), rows=st.sampled_from([1, 2, 3, 20]))
def test_rows_of_arrays(module: Any, data: st.DataObject, rows: int) -> None:
    columns = data.draw(st.lists(st.sampled_from(specs()), max_size=5))
    compiled, encoder = both(module, columns)
    for _ in range(2):
        fields: dict[str, Any] = {spec.name: data.draw(_arrays(rows)) for spec in columns}
        wanted = outcome(partial(encoder.rows, fields, rows), columns)
        assert outcome(partial(compiled.rows, fields, rows), columns) == wanted


@pytest.mark.parametrize("rows", [2, 300])
def test_arrays_are_encoded_by_compiled_code(module: Any, rows: int) -> None:
    columns = [spec for spec in specs() if spec.name in ("text", "places", "number", "whole")]
    compiled, encoder = both(module, columns)
    letters = np.array([f"a;{row}" for row in range(rows)])
    fields = {
        "text": letters,
        "places": letters.astype("S9"),
        "number": np.arange(rows, dtype=np.float32),
        "whole": np.arange(rows, dtype=np.int16),
    }
    for _ in range(2):
        found = compiled.rows(fields, rows)
        assert parts(found, columns) == parts(encoder.rows(fields, rows), columns)
        compiled.give_back(found)
    memory: Any = found.memory
    assert memory.left is None


_PACKED = np.zeros(2000, [("pad", "u1"), ("text", "U3"), ("real", "f4")])
_PACKED["text"], _PACKED["real"] = "a;b", 1.25


@pytest.mark.parametrize(
    "values",
    [
        np.full(2000, -(2.0**53) + 2.0**29, np.float32),  # 17 digits of four bytes
        np.full(2000, -128, np.int8),
        np.full(2000, -(1 << 63), np.int64),
        np.full(2000, b";"),
        np.full(2000, b"|"),  # two elements of a sequence
        np.full(2000, ";"),
        np.frombuffer(b"\x02\x01\x00\xff" * 500, np.bool_),
        _PACKED["text"],
        _PACKED["real"],
    ],
    ids=lambda values: f"{values.dtype} {values[0]}",
)
def test_arrays_that_grow(module: Any, values: np.ndarray) -> None:
    """What they become fits into memory that is sized by their bytes; where they lie unaligned, or
    have other bytes than usual, too."""
    for spec in specs():
        compiled, encoder = both(module, [spec])
        given, rows = {spec.name: values}, len(values)
        wanted = outcome(partial(encoder.rows, given, rows), [spec])
        assert outcome(partial(compiled.rows, given, rows), [spec]) == wanted


@pytest.mark.parametrize("more", [1, 100_000])
@pytest.mark.parametrize("short", [["a"] * 3, np.full(3, "a"), ["a"] * 5000])
def test_more_rows_than_values(module: Any, short: Any, more: int) -> None:
    """There is no room for so many."""
    columns = [spec for spec in specs() if spec.name in ("text", "text_sequence", "whole")]
    compiled, encoder = both(module, columns)
    rows = len(short) + more
    for wrong in columns:
        good = ["b"] * rows if more == 1 else short
        given = {spec.name: short if spec is wrong else good for spec in columns}
        wanted = outcome(partial(encoder.rows, given, rows), columns)
        assert isinstance(wanted, str)
        assert outcome(partial(compiled.rows, given, rows), columns) == wanted


@pytest.mark.parametrize("rows", [2, 300])
def test_arrays_beside_lists(module: Any, rows: int) -> None:
    columns = [ColumnSpec("a", "number", b";"), ColumnSpec("b", "number", b";")]
    columns += [ColumnSpec("c", "text", b";"), ColumnSpec("d", "text", b";")]
    compiled, encoder = both(module, columns)
    fields = {"a": np.arange(rows) / 3, "b": [0.5] * rows, "c": np.arange(rows), "d": ["xy"] * rows}
    assert parts(compiled.rows(fields, rows), columns) == parts(encoder.rows(fields, rows), columns)


@pytest.mark.parametrize(
    "fields",
    [
        {"text": "a;b", "text_sequence": "a|b", "number": 1.5, "whole": "x", "map": "k:v"},
        {"text": 7, "text_sequence": ["a", 5, None], "number": 3, "whole": None, "map": None},
        {"text": ["a", "b"], "text_sequence": [["a"], [], ["b", "c"]], "number": [1, 2.0]},
        {"text": 1 << 50, "text_sequence": [], "number": None, "whole": 3.0, "map": ""},
        {"text": -(1 << 31), "text_sequence": None, "number": True, "whole": math.nan},
    ],
)
def test_nothing_of_these_is_left_to_python(module: Any, fields: dict[str, Any]) -> None:
    columns = [spec for spec in specs() if spec.name in fields]
    memory: Any = _compiled(module, columns).one(fields).memory
    assert memory.left is None


def test_memory_grows_with_the_values(module: Any) -> None:
    columns = [ColumnSpec("a", "text", b";"), ColumnSpec("s", "text", b";", b"|", 100_000)]
    compiled, encoder = both(module, columns)
    for size in (1, 10_000, 10, 200_000):
        fields = {"a": "ü" * size, "s": "x|" * size}
        found = compiled.one(fields)
        assert parts(found, columns) == parts(encoder.one(fields), columns)
        compiled.give_back(found)


def test_threads_do_not_share_memory(module: Any) -> None:
    columns = [ColumnSpec("a", "text", b";"), ColumnSpec("n", "number", b";")]
    compiled, encoder = both(module, columns)

    def run(which: int) -> None:
        fields = {"a": f"text {which}" * which, "n": [float(which)] * which}
        wanted = parts(encoder.one(fields), columns)
        for _ in range(200):
            found = compiled.one(fields)
            assert parts(found, columns) == wanted
            compiled.give_back(found)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))


def test_another_format_of_marshal_is_not_read(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtcompile.runtime.encoding.encode_values.FORMAT_IS_KNOWN", False)
    columns = [ColumnSpec("a", "text", b";"), ColumnSpec("n", "number", b";")]
    compiled, encoder = both(module, columns)
    fields = {"a": "x", "n": 1.0}
    assert parts(compiled.one(fields), columns) == parts(encoder.one(fields), columns)


def test_calls_release_the_lock(module: Any) -> None:
    assert module[ENCODE].release_gil
