"""Feature configs: parsed into a plan, defined in plain Python, compiled to kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rtcompile.compile.feature_extractor import FeatureExtractor, compile_features

__all__ = ["FeatureExtractor", "compile_features"]


def __getattr__(name: str) -> Any:
    # The compiler is heavy to import; plans are not.
    if name in __all__:
        from rtcompile.compile import feature_extractor as extractor

        return getattr(extractor, name)
    raise AttributeError(f"module 'rtcompile.features' has no attribute {name!r}")
