"""`rtcompile bench WHAT --profile`: where the time of a request goes, by stage and by kernel.

From an artifact that was built with `profile`, whose kernels are timed one by one. That costs some
nanoseconds a call; the times are shares of what this build takes, not of what others do.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from rtcompile.bench.graphs import Say
from rtcompile.bench.peers import Call
from rtcompile.bench.subjects import Subject
from rtcompile.runtime import KernelTime, Profile

__all__ = ["RequestProfile", "profile_subject"]

_SECONDS, _FEWEST = 1.0, 5
_LOOKUP = "embedding_lookup"
_STAGES = {
    "user": "user features",
    "item": "item features",
    "context": "features of pairs",
    "user_network": "user network",
    "item_network": "item network",
    "cross": "cross network",
}


@dataclass(frozen=True)
class RequestProfile:
    """Microseconds a request of `rows` rows.

    `stages`: part of a request -> its share of `microseconds`. `kernels`: their calls and times in
    one request.
    """

    model: str
    rows: int
    microseconds: float
    stages: Mapping[str, float]
    kernels: Sequence[KernelTime]


def profile_subject(
    subject: Subject, rows: Sequence[int], folder: Path, progress: Say
) -> list[RequestProfile]:
    """Build it with counters, run its requests at each of `rows`."""
    path = subject.build(folder / f"{subject.name}.profile.rtc", progress, profile=True)
    ranker = subject.load(path)
    found = []
    for count in rows:
        calls = subject.calls(ranker, count)
        _run(calls, 0.1)
        ranker.profile()
        requests, taken = _run(calls, _SECONDS)
        profile = ranker.profile()
        found.append(_of_request(subject.name, count, requests, taken, profile))
    return found


def _run(calls: Sequence[Call], seconds: float) -> tuple[int, float]:
    """Requests in turn for a while: how many, and the microseconds they took in all."""
    begin = time.perf_counter()
    for done, call in enumerate(cycle(calls), 1):
        call()
        taken = time.perf_counter() - begin
        if taken >= seconds and done >= _FEWEST:
            return done, taken * 1e6
    raise AssertionError("no calls")


def _of_request(
    model: str, rows: int, requests: int, taken: float, profile: Profile
) -> RequestProfile:
    kernels = [
        KernelTime(one.stage, one.kernel, one.calls // requests, one.nanoseconds / requests)
        for one in profile.kernels
    ]
    stages: dict[str, float] = {}
    encoding = sum(profile.encoding.values()) / requests / 1e3
    if profile.encoding:
        stages["encoding"] = encoding
    for one in kernels:
        lookup = one.kernel.startswith(_LOOKUP)
        name = "look-ups" if lookup else _STAGES[one.stage]
        stages[name] = stages.get(name, 0.0) + one.nanoseconds / 1e3
    whole = taken / requests
    stages["around them, in Python"] = whole - sum(stages.values())
    kernels.sort(key=lambda one: -one.nanoseconds)
    return RequestProfile(model, rows, whole, stages, kernels)
