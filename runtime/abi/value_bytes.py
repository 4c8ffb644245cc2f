"""Where a request's values are written, side by side, for the compiled function `write`.

    write(object, buffer)

`rtcompile/codegen/entry/value_bytes.py` emits it, `runtime/encoding/value_bytes.py` calls it.
"""

from __future__ import annotations

from rtcompile.runtime.abi.layout import BOTH, RUNTIME, Layout, pointer, word
from rtcompile.runtime.abi.python_objects import PythonApi

__all__ = ["WRITE", "ValueBuffer"]

WRITE = "write"  # the function's name in the module


class ValueBuffer(Layout, owner=RUNTIME):
    """Memory for the bytes of values."""

    PYTHON = pointer(to=PythonApi)
    BEGIN = pointer()
    END = pointer()  # of what may be written
    WRITTEN = word(owner=BOTH)  # bytes that were; 0 where they could not be
