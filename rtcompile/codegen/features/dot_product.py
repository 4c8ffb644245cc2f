"""kv_dot_product in TIR: for each key of the query, the first of its kind, find the document's."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import Cell, f64, i64
from rtcompile.codegen.features.inputs import InputView, Views
from rtcompile.codegen.features.maps import same_bytes

__all__ = ["emit_dot_product"]


def emit_dot_product(views: Views) -> tuple[Any, Any]:
    """(the sum, whether both sides have a key). The columns come as keys with weights."""
    query, document = views.inputs
    assert isinstance(query, InputView)
    assert isinstance(document, InputView)
    total = Cell("float64", f64(0.0))
    both = T.Bind(tirx.And(query.end > query.first, document.end > document.first))
    with T.serial(tirx.Select(both, query.end - query.first, i64(0))) as k:
        at = T.Bind(query.first + k)
        begin, end = query.column.bytes_of(at)
        key = (query.column.text, begin, T.Bind(end - begin))
        before = _find(query, query.first, at, key)
        with T.If(before < 0), T.Then():
            place = _find(document, document.first, document.end, key)
            with T.If(place >= 0), T.Then():
                product = query.column.number(at) * document.column.number(place)
                total.set(total.get() + product)
    return T.Bind(total.get()), both


def _find(view: InputView, first: Any, end: Any, key: Any) -> Any:
    """The first value between the two that equals the key; -1 for none."""
    found, at = Cell("int64", i64(-1)), Cell("int64", first)
    with T.While(tirx.And(at.get() < end, found.get() < 0)):
        begin, stop = view.column.bytes_of(T.Bind(at.get()))
        with T.If(same_bytes((view.column.text, begin, T.Bind(stop - begin)), key)), T.Then():
            found.set(at.get())
        at.add(1)
    return T.Bind(found.get())
