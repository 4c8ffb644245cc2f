"""Emit the public function around a private one: it takes tensors, and hands on pointers.

    def NAME(count, ..., array: tensor, ...):
        private(count, ..., &array[0], ...)

So other compiled functions can call the private one without tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tvm
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

__all__ = ["ANY", "Array", "tensor_main"]

# Elements of a private function's array whose size it is not told.
ANY = 1 << 40

# An array that is passed: (name, elements or None for any count, dtype).
Array = tuple[str, int | None, str]


def tensor_main(
    name: str, scalars: Sequence[str], arrays: Sequence[Array], private: tuple[Any, Any]
) -> Any:
    """The PrimFunc `name(scalars..., arrays...)`; scalars are int64.

    `private`: (GlobalVar, return type) of the function that takes the same.
    """
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name(name)
        attributes = {"global_symbol": name, "tirx.is_scheduled": True, "tirx.noalias": True}
        T.func_attr({**attributes, "s_tir": True})
        given: list[Any] = [T.arg(scalar, T.int64()) for scalar in scalars]
        for array, size, dtype in arrays:
            # The caller checks lengths.
            extent = tirx.Var(f"{array}_size", "int64") if size is None else size
            given.append(T.address_of(T.arg(array, T.buffer((extent,), dtype))[0]))
        function, return_type = private
        T.evaluate(tvm.ir.Call(function, given, ret_ty=return_type))
    return builder.get()
