"""The functions that read a request's values, compiled once a process."""

from __future__ import annotations

import functools
from typing import Any

from rtcompile.codegen.library.compile_units import compile_module
from rtcompile.codegen.library.module import values_unit
from rtcompile.targets import resolve_target

__all__ = ["value_functions"]


@functools.cache
def value_functions() -> Any:
    """The module of ENCODE, WRITE and ITEM_INDEX."""
    return compile_module(values_unit(), resolve_target("host"))
