"""Compile for another target than this machine's best, and run it, AArch64 emulated.

`pytest --target NAME FILES` runs any tests so; see `tests/conftest.py`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import tvm_ffi

import rtcompile.driver
import rtcompile.runtime.ranker
import rtcompile.targets
from rtcompile.errors import ToolchainError
from rtcompile.targets import TARGETS, runs_here

__all__ = ["force_target", "why_not"]


def why_not(name: str) -> str | None:
    """Why this machine can neither run nor emulate the target; None if it can."""
    target = TARGETS[name]
    if target.machine != "aarch64":
        return None if runs_here(target) else f"this machine cannot run {name}"
    try:
        import elftools  # noqa: F401
        import unicorn  # noqa: F401

        from rtcompile.codegen.library.link import find_linker

        find_linker(target)
    except (ImportError, ToolchainError) as error:
        return str(error)
    return None


def force_target(patch: pytest.MonkeyPatch, name: str) -> None:
    """Until `patch` is undone, "host" is the target `name`, and its libraries run here."""
    for module in (rtcompile.targets, rtcompile.driver):
        patch.setattr(module, "runs_here", lambda target: target.name == name)
    if TARGETS[name].machine == "aarch64":
        from tests.emulation.aarch64 import Library

        patch.setattr(tvm_ffi, "load_module", lambda path, **_: Library(Path(path)))
        patch.setattr(rtcompile.runtime.ranker, "check_target", lambda path, targets: None)
        # Python's functions are not AArch64 code.
        for reader in ("encoding.value_bytes", "items.item_index", "request.serve"):
            patch.setattr(f"rtcompile.runtime.{reader}.python_objects", lambda: None)
