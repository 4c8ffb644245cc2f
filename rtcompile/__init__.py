"""Compile ranking models: features, embeddings and the network in one module.

from rtcompile import build, BuildOptions
build("model.onnx", BuildOptions(target="host"), output="model.rtc")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rtcompile.errors import RtcompileError
from rtcompile.options import BuildOptions

if TYPE_CHECKING:
    from rtcompile.conductor import build
    from rtcompile.verification.api import verify

__all__ = ["BuildOptions", "RtcompileError", "build", "verify"]


def __getattr__(name: str) -> Any:
    # The compiler is heavy to import; the errors and options are not.
    if name == "build":
        from rtcompile.extras import missing_extra

        try:
            from rtcompile.conductor import build
        except ModuleNotFoundError as error:
            raise ImportError(f"rtcompile.build: {missing_extra(error) or error}") from error
        return build
    if name == "verify":
        from rtcompile.verification.api import verify

        return verify
    raise AttributeError(f"module 'rtcompile' has no attribute {name!r}")
