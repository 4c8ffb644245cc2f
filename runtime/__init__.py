"""The thin runtime: load a compiled ranking model and answer requests.

    from rtcompile import runtime
    ranker = runtime.load("model.rtc")
    ranker.items.upsert(items)
    scores = ranker.rank(user={...}, items=["i1", "i2"], context={...})

Needs numpy and apache-tvm-ffi only.
"""

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
