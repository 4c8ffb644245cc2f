"""The keys of look-ups, split and hashed once a row for all features that look the same up.

    for i in range(rows):                          # of this tile, before the feature kernels
        one token in each key column:  keys[i] = hash, (first byte << 32) + size of each key
        any other count:               keys[i] = 0: each feature splits and hashes for itself

Features share keys where their key columns and separators are the same; the keys of a tile are in
the workspace. A thousand maps may be looked up by sixteen columns.
"""

from __future__ import annotations

from typing import Any

from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.features.columns import EncodedColumn
from rtcompile.codegen.features.inputs import InputView, Views
from rtcompile.codegen.features.probe_table import Key, hash_keys, pack, unpack
from rtcompile.codegen.features.tir import Cell, i64
from rtcompile.codegen.features.tokens import each_token
from rtcompile.codegen.program import TILE
from rtcompile.features.operators import Lookup, Match
from rtcompile.features.plan import Feature

__all__ = ["BYTES_A_TILE", "RowKeys", "has_row_keys", "row_keys_kernel", "row_keys_kernel_name"]

_WORDS = 4
BYTES_A_TILE = 8 * _WORDS * TILE
_ANY = 1 << 40


def has_row_keys(feature: Feature) -> bool:
    """Whether its kernel reads them: a look-up of exact keys that are raw columns, a row each."""
    operator = feature.operator
    exact = isinstance(operator, Lookup) or (isinstance(operator, Match) and not operator.wild)
    raw = not any(isinstance(read, Feature) for read in feature.inputs)
    return exact and raw and feature.sequence is None


def row_keys_kernel_name(count: int) -> str:
    """One kernel for one key, one for two."""
    return f"row_keys_{count}"


def row_keys_kernel(count: int) -> Any:
    """A PrimFunc (columns*, keys*, rows, start, separator, column...)."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(row_keys_kernel_name(count))
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        columns_at = T.arg("columns", T.handle("int64"))
        keys_at = T.arg("keys", T.handle("int64"))
        rows, start = T.arg("rows", T.int64()), T.arg("start", T.int64())
        separator = T.arg("separator", T.int64())
        numbers = [T.arg(f"column_{k}", T.int64()) for k in range(count)]
        columns = T.decl_buffer((_ANY,), "int64", data=columns_at)
        keys = T.decl_buffer((_ANY,), "int64", data=keys_at)
        views = [InputView(EncodedColumn(columns, n, start), False, False) for n in numbers]
        with T.serial(rows) as i:
            _row(keys, i, views, separator)
    return builder.get()


def _row(keys: Any, row: Any, views: list[InputView], separator: Any) -> None:
    at = T.Bind(row * _WORDS)
    single = Cell("int32", 1)
    found: list[Key] = []
    for view in views:
        view.at_row(row)
        text, begin, size = view.column.text, Cell("int64", i64(0)), Cell("int64", i64(0))
        count = Cell("int64", i64(0))

        _first_token(view, separator, begin, size, count)
        with T.If(count.get() != 1), T.Then():
            single.set(0)
        found.append((text, T.Bind(begin.get()), T.Bind(size.get())))
    T.buffer_store(keys, i64(0), [at])
    with T.If(single.get() != 0), T.Then():
        T.buffer_store(keys, hash_keys(found), [at])
        for place, (_, begin, size) in enumerate(found):
            T.buffer_store(keys, pack((begin, size)), [at + 1 + place])


def _first_token(view: InputView, separator: Any, begin: Cell, size: Cell, count: Cell) -> None:
    """A token, and how many there are, at most two."""

    def token(value: Any, at: Any, length: Any) -> None:
        begin.set(at)
        size.set(length)
        count.add(1)

    each_token(view, separator, lambda: count.get() < 2, token)


class RowKeys:
    """The keys of the row at hand, in a feature kernel. `hash` is 0 where it must split itself."""

    def __init__(self, views: Views) -> None:
        words, at = views.kernel.row_keys, T.Bind(views.row * _WORDS)
        self.hash = T.Bind(words[at])
        self.keys: list[Key] = []
        for place, read in enumerate(views.inputs[1:]):
            assert isinstance(read, InputView)
            self.keys.append((read.column.text, *unpack(T.Bind(words[at + 1 + place]))))
