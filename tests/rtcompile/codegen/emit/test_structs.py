"""Structs in emitted code: a field's load and store, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T  # noqa: N812

from rtcompile.codegen.emit.structs import Struct, field_at, struct_at
from rtcompile.runtime.abi.layout import (
    BOTH,
    COMPILED,
    RUNTIME,
    Layout,
    pointer,
    structs,
    word,
    words,
)


class _Item(Layout, owner=COMPILED):
    KEY, VALUE = word(), word()


class _Head(Layout, owner=RUNTIME):
    COUNT = word(owner=BOTH)
    LIMIT = word()
    ITEM = pointer(to=_Item)
    ITEMS = structs(_Item, 2)
    REST = words(owner=COMPILED)


class _LongHead(_Head, owner=COMPILED):
    pass


def _emitted(emit: Callable[[Struct], None]) -> str:
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name("f")
        emit(struct_at(_Head, T.arg("at", T.int64())))
    return str(builder.get().script())


def _store(value: int) -> Any:
    return tirx.const(value, "int64")


def test_fields_are_where_the_layout_has_them() -> None:
    def emit(head: Struct) -> None:
        head[_Head.COUNT] = head[_Head.LIMIT]
        head.inner(_Head.ITEMS, 1)[_Item.VALUE] = head.follow(_Head.ITEM)[_Item.KEY]
        head.set_element(_Head.REST, T.Bind(head[_Head.COUNT]), _store(5))
        head.set_element(_Head.REST, 2, head.element_before(_Head.REST, head[_Head.COUNT]))

    stores = [line.strip() for line in _emitted(emit).split("\n") if line.startswith("    buffer[")]
    assert stores == [
        "buffer[0] = buffer[1]",
        "buffer[6] = buffer_1[0]",
        "buffer[T.int64(7) + v_3] = T.int64(5)",
        "buffer[9] = buffer[T.int64(7) - buffer[0]]",
    ]


def test_a_struct_that_begins_with_another_has_its_fields() -> None:
    def emit(head: Struct) -> None:
        longer = Struct(_LongHead, head.buffer)
        longer[_Head.COUNT] = field_at(longer[_Head.ITEM], _Item.VALUE)

    assert "buffer[0] = buffer_1[1]" in _emitted(emit)


@pytest.mark.parametrize(
    ("emit", "message"),
    [
        (lambda head: head[_Item.KEY], "_Item.KEY is no field of _Head"),
        (lambda head: head[1], "1 is no field of _Head"),
        (lambda head: head.__setitem__(_Head.LIMIT, _store(1)), "_Head.LIMIT: .* only reads it"),
        (lambda head: head.set_element(_Item.KEY, 1, _store(1)), "_Item.KEY is no field of _Head"),
        (lambda head: head.follow(_Head.LIMIT), "_Head.LIMIT points to no struct"),
        (lambda head: head.inner(_Head.ITEM), "_Head.ITEM holds no struct"),
    ],
)
def test_what_is_refused(emit: Callable[[Struct], None], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        _emitted(emit)
