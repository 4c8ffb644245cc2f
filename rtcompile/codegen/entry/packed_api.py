"""Emit the public function around an internal one: it takes tensors, and hands on pointers.

    def NAME(count, ..., array: tensor, ...):
        give_turn(array[place])  # where it takes turns with others that run Python
        internal(count, ..., &array[0], ...)
        take_turn(array[place])

So other compiled functions can call the internal one without tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.linkage import call_internal
from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.entry.python_turn import give_turn, take_turn
from rtcompile.runtime.abi.layout import Field

__all__ = ["Array", "tensor_main"]

# An array that is passed: (name, elements or None for any count, dtype).
Array = tuple[str, int | None, str]


def tensor_main(
    name: str,
    scalars: Sequence[str],
    arrays: Sequence[Array],
    internal: str,
    turn: tuple[str, Field] | None = None,
) -> Any:
    """The PrimFunc `name(scalars..., arrays...)`; scalars are int64.

    `internal`: the name of the function that takes the same. `turn`: the array that is a
    struct with the address of a Turn, and the field with it.
    """
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name(name)
        attributes = {"global_symbol": name, "tirx.is_scheduled": True, "tirx.noalias": True}
        T.func_attr({**attributes, "s_tir": True})
        given: list[Any] = [T.arg(scalar, T.int64()) for scalar in scalars]
        buffers: dict[str, Any] = {}
        for array, size, dtype in arrays:
            # The caller checks lengths.
            extent = tirx.Var(f"{array}_size", "int64") if size is None else size
            buffers[array] = T.arg(array, T.buffer((extent,), dtype))
            given.append(T.address_of(buffers[array][0]))
        word = T.Bind(Struct(turn[1].layout, buffers[turn[0]])[turn[1]]) if turn else None
        if turn:
            give_turn(word)
        call_internal(internal, given)
        if turn:
            take_turn(word)
    return builder.get()
