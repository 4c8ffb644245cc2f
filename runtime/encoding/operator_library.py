"""Functions of shared libraries that kernels call: custom operators with a C interface.

The library's bytes are in the artifact. They are loaded from a temporary file, apart from all other
libraries, so that two artifacts may bring functions of one name.
"""

from __future__ import annotations

import ctypes
import functools
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from rtcompile.runtime.encoding.text_steps import Asset

__all__ = ["LibraryFunction", "address_of", "load_library"]


@dataclass(frozen=True)
class LibraryFunction:
    """A function of a library; `rtcompile/features/rtcompile_operator.h` declares its kind."""

    symbol: str
    library: Asset


@functools.cache
def load_library(library: Asset) -> ctypes.CDLL:
    """The loaded library; it stays loaded. Raises ValueError."""
    handle, name = tempfile.mkstemp(prefix="rtcompile-operator-", suffix=".so")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(library.data)
        return ctypes.CDLL(name, os.RTLD_NOW | os.RTLD_LOCAL)
    except OSError as error:
        reason = str(error).replace(name, "the library")
        raise ValueError(f"the operator library cannot be loaded: {reason}") from error
    finally:
        Path(name).unlink()


def address_of(function: LibraryFunction) -> int:
    """Where the function lies. Raises ValueError."""
    try:
        found = getattr(load_library(function.library), function.symbol)
    except AttributeError as error:
        raise ValueError(f"the operator library has no function {function.symbol!r}") from error
    return ctypes.cast(found, ctypes.c_void_p).value or 0
