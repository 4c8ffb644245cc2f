"""The thin runtime: load a compiled ranking model and answer requests.

    import rtcompile
    ranker = rtcompile.load("model.rtc")
    ranker.items.upsert(items)
    scores = ranker.rank(user={...}, items=["i1", "i2"], context={...})

Needs numpy and apache-tvm-ffi only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtcompile.runtime.columns import Column
    from rtcompile.runtime.errors import (
        ArtifactError,
        InferenceError,
        RequestError,
        TargetError,
        UnknownIdError,
        UnknownItemError,
    )
    from rtcompile.runtime.ranker import Ranker, load
    from rtcompile.runtime.request.log_lines import Difference
    from rtcompile.runtime.stages.profile import KernelTime, Profile

__all__ = [
    "ArtifactError",
    "Column",
    "Difference",
    "InferenceError",
    "KernelTime",
    "Profile",
    "Ranker",
    "RequestError",
    "TargetError",
    "UnknownIdError",
    "UnknownItemError",
    "load",
]

# Imported when they are asked for: errors and versions need no numpy.
_MODULES = {
    "ArtifactError": "errors",
    "Column": "columns",
    "Difference": "request.log_lines",
    "InferenceError": "errors",
    "KernelTime": "stages.profile",
    "Profile": "stages.profile",
    "Ranker": "ranker",
    "RequestError": "errors",
    "TargetError": "errors",
    "UnknownIdError": "errors",
    "UnknownItemError": "errors",
    "load": "ranker",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'rtcompile.runtime' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"rtcompile.runtime.{_MODULES[name]}"), name)
    return value
