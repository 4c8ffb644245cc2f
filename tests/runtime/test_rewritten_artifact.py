"""An artifact that changes under a loaded ranker, and what a ranker leaves behind."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from rtcompile import runtime
from rtcompile.runtime import artifact as artifacts_module
from rtcompile.runtime.artifact import read_artifact
from tests.ranking_model import items
from tests.runtime.served_models import IDS, Artifacts, load_case, user_of


@pytest.fixture
def path(artifacts: Artifacts, tmp_path: Path) -> Path:
    copied = tmp_path / "m.rtc"
    copied.write_bytes(artifacts["plain"].read_bytes())
    return copied


def _truncated(path: Path) -> None:
    os.truncate(path, 8192)


def _overwritten(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(os.urandom(size))


@pytest.mark.parametrize("change", [_truncated, _overwritten, Path.unlink])
@pytest.mark.parametrize("copy", [True, False])
def test_what_was_read_stays(path: Path, copy: bool, change: Callable[[Path], object]) -> None:
    """Also without `copy`: the tables are small."""
    ranker = runtime.load(path, copy=copy)
    ranker.items.upsert(items(300), key="id")
    user = user_of(ranker)
    want = load_case(path).rank(user, IDS)["ctr"]
    change(path)
    np.testing.assert_array_equal(ranker.rank(user, IDS)["ctr"], want)
    ranker.items.upsert(items(300), key="id")
    np.testing.assert_array_equal(ranker.rank(user, IDS)["ctr"], want)


@pytest.fixture
def mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are mapped as large ones are."""
    monkeypatch.setattr(artifacts_module, "_SMALL", 0)


@pytest.mark.usefixtures("mapped")
def test_large_tables_are_mapped_unless_told_otherwise(path: Path) -> None:
    def maps() -> int:
        return Path("/proc/self/maps").read_text().count(str(path))

    assert maps() == 0
    ranker = runtime.load(path)
    assert maps() == 1
    copied = runtime.load(path, copy=True)
    assert maps() == 1
    user = user_of(ranker)
    ranker.items.upsert(items(300), key="id")
    copied.items.upsert(items(300), key="id")
    np.testing.assert_array_equal(ranker.rank(user, IDS)["ctr"], copied.rank(user, IDS)["ctr"])
    ranker.close()
    assert maps() == 0


@pytest.mark.usefixtures("mapped")
def test_a_change_of_items_notices_that_the_file_was_rewritten(path: Path) -> None:
    ranker = load_case(path)
    data = path.read_bytes()
    path.unlink()
    path.write_bytes(data)  # another file: deploying by rename is fine
    ranker.items.upsert(items(5), key="id")
    ranker = load_case(path)
    _overwritten(path)
    for write in (ranker.items.upsert, ranker.items.replace):
        with pytest.raises(runtime.ArtifactError, match="rewritten in place"):
            write(items(5), key="id")
    assert len(ranker.items) == 300


@pytest.mark.parametrize("when", range(1, 5))
def test_a_file_that_changes_while_it_is_read(
    path: Path, monkeypatch: pytest.MonkeyPatch, when: int
) -> None:
    """What is used is what was checked: a rename to another artifact has no effect."""
    original, taken = os.preadv, list[int]()
    other = path.with_name("other.rtc")
    other.write_bytes(b"something else")

    def reading(file: int, buffers: list[memoryview], offset: int) -> int:
        taken.append(offset)
        if len(taken) == when and other.exists():
            other.replace(path)
        return original(file, buffers, offset)

    want = read_artifact(path)
    monkeypatch.setattr(os, "preadv", reading)
    monkeypatch.setattr(artifacts_module, "_PIECE", 64 << 10)
    got = read_artifact(path)
    assert len(taken) >= when and not other.exists()
    assert (got.module, got.manifest) == (want.module, want.manifest)
    np.testing.assert_array_equal(got.constants, want.constants)


def test_a_file_that_is_written_to_while_it_is_read(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = os.preadv

    def reading(file: int, buffers: list[memoryview], offset: int) -> int:
        os.truncate(path, offset)
        return original(file, buffers, offset)

    monkeypatch.setattr(os, "preadv", reading)
    with pytest.raises(runtime.ArtifactError, match="cut short while it was read"):
        runtime.load(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    writes = os.open(tmp_path / "pipe", os.O_RDWR)
    for path in (Path("/dev/zero"), tmp_path / "pipe"):
        with pytest.raises(runtime.ArtifactError, match="not a file"):
            runtime.load(path)
    os.close(writes)
    with pytest.raises(runtime.ArtifactError, match="cannot be read"):
        runtime.load("a\0b")


def _mappings() -> int:
    return len(Path("/proc/self/maps").read_text().splitlines())


@pytest.mark.parametrize("threads", [1, 2])
def test_a_ranker_that_is_gone_leaves_nothing(artifacts: Artifacts, threads: int) -> None:
    def use() -> None:
        ranker = load_case(artifacts["plain"], threads)
        for _ in range(2):
            ranker.rank(user_of(ranker), IDS)

    for _ in range(3):
        use()
    gc.collect()
    before = _mappings()
    for _ in range(50):
        use()
    assert _mappings() < before + 25  # a library alone has five


def test_what_outlives_a_ranker_keeps_its_code(artifacts: Artifacts) -> None:
    ranker = load_case(artifacts["plain"])
    user, table, rank = user_of(ranker), ranker.items, ranker.rank
    want = rank(user, IDS)["ctr"]
    del ranker
    gc.collect()
    table.upsert(items(300), key="id")
    np.testing.assert_array_equal(rank(user, IDS)["ctr"], want)


def test_a_closed_ranker(artifacts: Artifacts) -> None:
    with load_case(artifacts["plain"]) as ranker:
        user, rank = user_of(ranker), ranker.rank
        want = rank(user, IDS)["ctr"]
    calls: list[Callable[[], object]] = [
        lambda: ranker.rank(user, IDS),
        lambda: ranker.items,
        lambda: ranker.predict({}),
        lambda: ranker.extract(user, IDS),
        lambda: ranker.input_ports,
        lambda: ranker.__enter__().rank(user, IDS),
    ]
    for call in calls:
        with pytest.raises(runtime.RequestError, match="the ranker was closed"):
            call()
    ranker.close()
    assert ranker.manifest["kind"] == "ranking"
    with pytest.raises(AttributeError, match="no attribute 'scores'"):
        ranker.scores  # type: ignore[attr-defined]  # noqa: B018
    np.testing.assert_array_equal(rank(user, IDS)["ctr"], want)  # as a request that runs has it
