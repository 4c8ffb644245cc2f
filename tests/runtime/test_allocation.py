"""After the first requests, what a request allocates is its answer, and what Python cannot do
without while it reads the raw fields; nothing stays. Compiled code allocates nothing at all."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import rtcompile
from rtcompile import runtime
from rtcompile.runtime.artifact import read_artifact
from tests.onnx_models import two_input_model
from tests.ranking_model import USER, items, ranking_model

ROWS, REQUESTS = 100, 1000
# Names that a library must import to get memory from anywhere.
_ALLOCATORS = (
    *("malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign", "memalign", "mmap", "brk"),
    *("sbrk", "_Znwm", "_Znam", "TVMBackendAllocWorkspace", "TVMFFIEnvTensorAlloc"),
)


@pytest.fixture(scope="module")
def rank(tmp_path_factory: pytest.TempPathFactory) -> tuple[runtime.Ranker, Path]:
    folder = tmp_path_factory.mktemp("allocation")
    model, path = ranking_model(folder), folder / "r.rtc"
    options = rtcompile.BuildOptions(features=model.features, embeddings=model.embeddings)
    rtcompile.build(model.onnx, options, output=path)
    ranker = runtime.load(path)
    ranker.items.upsert(items(ROWS))
    return ranker, path


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> tuple[runtime.Ranker, Path]:
    folder = tmp_path_factory.mktemp("allocation")
    path = folder / "g.rtc"
    rtcompile.build(two_input_model(folder / "m.onnx"), output=path)
    return runtime.load(path), path


@pytest.mark.slow
@pytest.mark.parametrize("which", ["rank", "graph"])
def test_compiled_code_cannot_allocate(which: str, request: pytest.FixtureRequest) -> None:
    _, path = request.getfixturevalue(which)
    module = read_artifact(path).module
    # Names of dynamic symbols stand between zero bytes.
    assert b"\0TVMFFI" in module
    assert [name for name in _ALLOCATORS if b"\0" + name.encode() + b"\0" in module] == []


def _traced(call: Callable[[], object]) -> tuple[int, int]:
    """Bytes that stay after many calls, and the most that one has at a time."""
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(2 * REQUESTS):  # free lists of Python and numpy fill up
            call()
        before, peak = tracemalloc.get_traced_memory()[0], 0
        for _ in range(REQUESTS):
            tracemalloc.reset_peak()
            current = tracemalloc.get_traced_memory()[0]
            call()
            peak = max(peak, tracemalloc.get_traced_memory()[1] - current)
        return tracemalloc.get_traced_memory()[0] - before, peak
    finally:
        tracemalloc.stop()


def test_a_graph(graph: tuple[runtime.Ranker, Path]) -> None:
    ranker, _ = graph
    given = {"X": np.ones((ROWS, 5), np.float32), "ids": np.zeros(ROWS, np.int64)}
    kept, peak = _traced(lambda: ranker.predict(given))
    assert kept < 512
    # Inputs are read where they lie; the answer is a copy.
    assert peak < 4 * ROWS + 4096
    assert len(ranker._stage._idle) == len(ranker._stage._answers) == 1


@pytest.mark.slow
def test_a_ranking(rank: tuple[runtime.Ranker, Path]) -> None:
    ranker, _ = rank
    ids, context = ranker.items.ids() * 5, {"position": [0] * ROWS}
    kept, peak = _traced(lambda: ranker.rank(USER, ids, context))
    assert kept < 512
    assert peak < 32768
    assert len(ranker._stage._idle) == len(ranker._stage._answers) == 1


def test_answers_are_their_owners(graph: tuple[runtime.Ranker, Path]) -> None:
    ranker, _ = graph
    rng = np.random.default_rng(0)
    given = [
        {"X": rng.normal(size=(n, 5)).astype(np.float32), "ids": np.zeros(n, np.int64)}
        for n in (3, 500, 2)
    ]
    first = [ranker.predict(one)["Y"] for one in given]
    kept = [array.copy() for array in first]
    for one in reversed(given):
        ranker.predict(one)["Y"][:] = 7
    for array, want in zip(first, kept, strict=True):
        np.testing.assert_array_equal(array, want)
