"""Compile the parts of a library side by side, and what was compiled before not again.

A unit is an IRModule that becomes an object file. Its functions call those of others by symbols
(`linkage.py`). A build that tries several precisions compiles its feature kernels once.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tvm
import tvm_ffi

from rtcompile.codegen.library.tir_pipeline import PIPELINE
from rtcompile.errors import ToolchainError
from rtcompile.files.scratch_folder import scratch_folder
from rtcompile.targets import CpuTarget

__all__ = ["compile_module", "compile_units"]

_KEPT = 128  # object files of this process's last builds


def compile_module(module: Any, target: CpuTarget) -> Any:
    """The compiled functions, as a runtime module."""
    return tvm.compile(module, target=target.tvm_target(), tir_pipeline=PIPELINE).mod


def compile_units(units: Sequence[Any], target: CpuTarget) -> list[bytes]:
    """The object file of each unit. Raises ToolchainError."""
    workers = min(len(units), len(os.sched_getaffinity(0)))
    try:
        with ThreadPoolExecutor(workers) as pool:
            return list(pool.map(lambda unit: _object_file(unit, target), units))
    except (RuntimeError, ValueError, TypeError, OSError) as error:
        raise ToolchainError(f"compiling for {target.name} failed: {error}") from error


class _Compiled:
    """Object files by target and unit, the last `_KEPT`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: OrderedDict[tuple[str, int], tuple[Any, bytes]] = OrderedDict()

    def get(self, key: tuple[str, int], unit: Any) -> bytes | None:
        """That of an equal unit; None where there is none."""
        with self._lock:
            found = self._files.get(key)
            if found is None or not tvm_ffi.structural_equal(found[0], unit):
                return None
            self._files.move_to_end(key)
            return found[1]

    def put(self, key: tuple[str, int], unit: Any, file: bytes) -> None:
        """Keep one."""
        with self._lock:
            self._files[key] = unit, file
            while len(self._files) > _KEPT:
                self._files.popitem(last=False)


_compiled = _Compiled()


def _object_file(unit: Any, target: CpuTarget) -> bytes:
    key = target.name, int(tvm_ffi.structural_hash(unit))
    found = _compiled.get(key, unit)
    if found is None:
        with scratch_folder() as folder:
            path = folder / "unit.o"
            compile_module(unit, target).write_to_file(str(path), "o")
            found = path.read_bytes()
        _compiled.put(key, unit, found)
    return found
