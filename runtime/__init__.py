"""The thin runtime: load a compiled ranking model and answer requests.

    import runtime
    ranker = runtime.load("model.rtc")
    ranker.items.upsert(items)
    scores = ranker.rank(user={...}, items=["i1", "i2"], context={...})

Needs numpy and apache-tvm-ffi only.
"""

from runtime.columns import Column
from runtime.errors import (
    ArtifactError,
    InferenceError,
    RequestError,
    TargetError,
    UnknownIdError,
    UnknownItemError,
)
from runtime.log_lines import Difference
from runtime.profile import KernelTime, Profile
from runtime.ranker import Ranker, load

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
