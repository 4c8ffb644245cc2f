"""Functions of Python whose code is compiled: a call of one runs no bytecode."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["python_function"]

_FASTCALL, _KEYWORDS = 0x80, 0x02  # of Python's METH_ flags


class _Definition(ctypes.Structure):
    """Python's PyMethodDef."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def python_function(
    name: str, module: str, doc: str, at: int, words: npt.NDArray[np.int64], *kept: object
) -> Callable[..., Any]:
    """A function of `module` whose code lies at `at`. Of what kind that is,
    `rtcompile/codegen/entry/python_entry.py` says.

    Its first argument is a tuple of the array `words` and of what is `kept` as long as it.
    """
    definition = _Definition(name.encode(), at, _FASTCALL | _KEYWORDS, doc.encode())
    own = (words, definition, *kept)
    made: Callable[..., Any] = _new_function()(ctypes.addressof(definition), own, module)
    return made


@functools.cache
def _new_function() -> Callable[..., Any]:
    """Python's PyCFunction_NewEx: of a definition, the first argument, a name of a module."""
    types = (ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.py_object)
    return ctypes.PYFUNCTYPE(*types)(("PyCFunction_NewEx", ctypes.pythonapi))
