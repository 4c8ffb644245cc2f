"""The thin runtime: load a compiled ranking model and answer requests.

    import runtime
    ranker = runtime.load("model.rtc")
    scores = ranker.predict({"X": array})

Needs numpy and apache-tvm-ffi only.
"""

from runtime.errors import (
    ArtifactError,
    InferenceError,
    RequestError,
    TargetError,
    UnknownIdError,
)
from runtime.ranker import Ranker, load

__all__ = [
    "ArtifactError",
    "InferenceError",
    "Ranker",
    "RequestError",
    "TargetError",
    "UnknownIdError",
    "load",
]
