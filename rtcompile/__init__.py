"""Compile ranking models: features, embeddings and the network in one module, and serve them.

from rtcompile import build, BuildOptions            # with the extra `compiler`
build("model.onnx", BuildOptions(target="host"), output="model.rtc")

import rtcompile                                     # numpy and apache-tvm-ffi are enough
ranker = rtcompile.load("model.rtc")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rtcompile.errors import RtcompileError
from rtcompile.options import BuildOptions

if TYPE_CHECKING:
    from rtcompile.driver import build
    from rtcompile.runtime import (
        ArtifactError,
        Column,
        Difference,
        InferenceError,
        KernelTime,
        Profile,
        Ranker,
        RequestError,
        TargetError,
        UnknownIdError,
        UnknownItemError,
        load,
    )
    from rtcompile.verification.api import verify

__all__ = [
    "ArtifactError",
    "BuildOptions",
    "Column",
    "Difference",
    "InferenceError",
    "KernelTime",
    "Profile",
    "Ranker",
    "RequestError",
    "RtcompileError",
    "TargetError",
    "UnknownIdError",
    "UnknownItemError",
    "build",
    "load",
    "verify",
]


# The compiler is heavy to import, and a service has no need of it.
_COMPILER = {"build": "rtcompile.driver", "verify": "rtcompile.verification.api"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'rtcompile' has no attribute {name!r}")
    if name not in _COMPILER:
        return getattr(import_module("rtcompile.runtime"), name)
    from rtcompile.extras import missing_extra

    try:
        return getattr(import_module(_COMPILER[name]), name)
    except ModuleNotFoundError as error:
        raise ImportError(f"rtcompile.{name}: {missing_extra(error) or error}") from error
