"""The functions that read a request's values, compiled once a process."""

from __future__ import annotations

import functools
from typing import Any

import tvm

from rtcompile.codegen.features.encode_values import ENCODE_VALUES, encode_main, encode_values
from rtcompile.codegen.features.item_index import LOOK_UP_ITEMS, item_index_main, look_up_items
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
    look_up, looks = tvm.ir.GlobalVar(LOOK_UP_ITEMS), look_up_items()
    index = item_index_main((look_up, looks.ret_type))
    functions = {ENCODE: main, WRITE: write_function(), ITEM_INDEX: index}
    named = {tvm.ir.GlobalVar(name): f for name, f in functions.items()}
    module = tvm.IRModule({values: function, look_up: looks, **named})
    return compile_module(module, resolve_target("host"))
