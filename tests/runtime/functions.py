"""The functions that read a request's values, compiled once a process."""

from __future__ import annotations

import functools
from typing import Any

import tvm

from rtcompile.codegen.features.encode_values import ENCODE_VALUES, encode_main, encode_values
from rtcompile.codegen.features.item_index import item_index_function
from rtcompile.codegen.module import compile_module
from rtcompile.codegen.wrapping import with_wrapping
from rtcompile.codegen.write_objects import OBJECTS_LLVM, write_function
from rtcompile.targets import resolve_target
from runtime.item_index_plan import ITEM_INDEX
from runtime.value_bytes import WRITE
from runtime.value_plan import ENCODE

__all__ = ["value_functions"]


@functools.cache
def value_functions() -> Any:
    """The module of ENCODE, WRITE and ITEM_INDEX."""
    values, function = tvm.ir.GlobalVar(ENCODE_VALUES), encode_values()
    main = with_wrapping(encode_main((values, function.ret_type)), OBJECTS_LLVM)
    functions = {ENCODE: main, WRITE: write_function(), ITEM_INDEX: item_index_function()}
    named = {tvm.ir.GlobalVar(name): f for name, f in functions.items()}
    return compile_module(tvm.IRModule({values: function, **named}), resolve_target("host"))
