"""Memory that compiled code and the runtime share is declared once, and nobody counts its words."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import pytest

import rtcompile.runtime.abi
from rtcompile.runtime.abi.encoded import ColumnDescriptor
from rtcompile.runtime.abi.layout import (
    BOTH,
    COMPILED,
    RUNTIME,
    Field,
    Kind,
    Layout,
    float32,
    pointer,
    structs,
    uint32s,
    word,
)
from rtcompile.runtime.abi.layout import words as words_field
from rtcompile.runtime.encoding.encode_block import Place
from tests.architecture.struct_words import counted_words, numbered_layouts, stores_by_field

_ROOT = Path(__file__).parents[2]
_MODULES = [
    name for _, name, _ in pkgutil.iter_modules(rtcompile.runtime.abi.__path__) if name != "layout"
]
_SHARING = [*(_ROOT / "runtime").rglob("*.py"), *(_ROOT / "rtcompile" / "codegen").rglob("*.py")]
# Values that compiled code is given the addresses of, one each: no structs.
_SINGLE = {
    "answer.py": {"T.buffer_store(values_at(extents, 'int64'), rows, [0])"},
    "object_writer.py": {"values_at(item, 'int64')[0]"},
    "select_rows.py": {"word[0]"},
    "trim_rows.py": {
        "length[0]",
        "T.buffer_store(length, tirx.const(1, 'int64'), [0])",
        "T.buffer_store(length, tirx.Select(counts(j), j + 1, length[0]), [0])",
    },
    "write_array.py": {
        "place[0]",
        "T.buffer_store(place, i64(-1), [0])",
        "T.buffer_store(place, tirx.Select(done != 0, end, i64(-1)), [0])",
    },
}
_WITHOUT_A_FILE = {"extract"}  # the kernels of features write it


def _layouts() -> list[type[Layout]]:
    for name in _MODULES:
        importlib.import_module(f"rtcompile.runtime.abi.{name}")
    found, waiting = list[type[Layout]](), [Layout]
    while waiting:
        more = [
            one
            for one in waiting.pop().__subclasses__()
            if "rtcompile.runtime.abi" in one.__module__
        ]
        found, waiting = found + more, waiting + more
    return found


@pytest.mark.parametrize("path", _SHARING, ids=lambda path: str(path.relative_to(_ROOT)))
def test_no_word_is_counted_by_hand(path: Path) -> None:
    source, single = path.read_text(), _SINGLE.get(path.name, set())
    found = counted_words(source)
    assert [place for place in found if place.split(": ", 1)[1] not in single] == []
    assert numbered_layouts(source) == []


def test_names_of_structs_and_their_places() -> None:
    names = [layout.__name__ for layout in _layouts()]
    assert len(names) == len(set(names)) > 30
    # What the runtime does and what compiled code does carry the same name.
    compiled = _ROOT / "rtcompile" / "codegen"
    for name in _MODULES:
        files = (_ROOT / "runtime").rglob(f"{name}.py")
        assert any(path.parent.name != "abi" for path in files), name
        rooms = (compiled / room / f"{name}.py" for room in ("emit", "entry", "features"))
        assert name in _WITHOUT_A_FILE or any(path.exists() for path in rooms), name


def test_a_place_is_a_descriptor() -> None:
    assert [name.upper() for name in Place._fields] == [f.name for f in ColumnDescriptor.FIELDS]


def test_the_runtime_leaves_to_compiled_code_what_is_its_own() -> None:
    layouts = {layout.__name__: layout for layout in _layouts()}
    for path in (_ROOT / "runtime").rglob("*.py"):
        for layout, field in stores_by_field(path.read_text()):
            if layout in layouts:
                assert getattr(layouts[layout], field).owner in (RUNTIME, BOTH), (path, field)


@pytest.mark.parametrize(
    "source",
    [
        "words = values_at(address, 'int64')\nx = words[3]",
        "status = T.decl_buffer((6,), 'int64', data=at)\nT.buffer_store(status, zero, [0])",
        "self._words = memory.words\nself._words[1 + Request.ROWS] = 3",
        "a, b = allocate(Current), 1\nb = a.words[0]",
        "helper + 8 * Worker.STATE",
        "values_at(address, 'int64')[Part.NAMES + 2]",
        "request.array[:4] = 0",
    ],
)
def test_a_counted_word_is_found(source: str) -> None:
    assert len(counted_words(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "class Word:\n    OUTCOME = 0\n    ROWS = 1\n    WORDS = 2",
        "class Word(Layout):\n    OUTCOME = word()\n    ROWS = 1",
    ],
)
def test_a_numbered_layout_is_found(source: str) -> None:
    assert len(numbered_layouts(source)) == 1


class _Inner(Layout, owner=COMPILED):
    A, B = word(), pointer()


class _Narrow(Layout, owner=COMPILED):
    FIRST = word()
    LOW, HIGH = float32(), float32()
    COUNTS = uint32s(3)
    LAST = word()


class _Outer(Layout, owner=RUNTIME):
    FIRST = word(owner=BOTH)
    PAIR = structs(_Inner, 2)
    LAST = words_field()


def test_offsets_follow_from_the_order() -> None:
    assert _Inner.WORDS == 2 and _Outer.WORDS == 5
    assert [int(field) for field in _Outer.FIELDS] == [0, 1, 5]
    assert _Outer.PAIR.of(_Inner.B, 1) == 4 and _Outer.PAIR.of(_Inner.B, 1).byte == 32
    assert _Outer.LAST.at(3) == 8 and _Outer.LAST.slice(2) == slice(5, 7)
    assert _Outer.FIRST.owner is BOTH and _Outer.LAST.owner is RUNTIME
    assert (_Inner.B.name, _Inner.B.layout, _Inner.B.kind) == ("B", _Inner, Kind.POINTER)


def test_narrow_fields_lie_two_a_word() -> None:
    assert [int(field) for field in _Narrow.FIELDS] == [0, 2, 3, 4, 4]
    assert [field.byte for field in _Narrow.FIELDS] == [0, 8, 12, 16, 32]
    assert _Narrow.WORDS == 5 and _Narrow.COUNTS.slice() == slice(4, 7)


def test_a_layout_that_cannot_be() -> None:
    with pytest.raises(TypeError, match="has no owner"):
        type("Nobody", (Layout,), {"A": word()})
    with pytest.raises(TypeError, match="follows an array of any length"):
        type("Behind", (_Outer,), {"A": word(owner=BOTH)})
    assert isinstance(_Outer.FIRST, Field)
