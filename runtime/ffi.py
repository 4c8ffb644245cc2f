"""`tvm_ffi`, imported without torch: from here, and nowhere else in the runtime.

tvm_ffi imports torch wherever it finds one. The runtime never touches torch, and that import takes
seconds and hundreds of megabytes, fails where torch is broken, and takes a user's own `torch.py`
for it. So while tvm_ffi is imported here, torch is not there for the thread that imports it. Who
imported torch before keeps it. Who imports it later hands its tensors to tvm_ffi as ever, but not
its dtypes: a library that does that imports torch before this package.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["tvm_ffi"]


class _NoTorch:
    """A finder of modules that says to one thread that there is no torch."""

    def __init__(self, thread: int) -> None:
        self._thread = thread

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "torch" and threading.get_ident() == self._thread:
            raise ModuleNotFoundError("tvm_ffi is imported without torch", name="torch")


@contextmanager
def _without_torch() -> Iterator[None]:
    if hasattr(sys.modules.get("torch"), "Tensor"):
        yield
        return
    own = {name: sys.modules.pop(name) for name in ("torch",) if name in sys.modules}  # a user's
    finder = _NoTorch(threading.get_ident())
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        sys.modules.update(own)


with _without_torch():
    import tvm_ffi
