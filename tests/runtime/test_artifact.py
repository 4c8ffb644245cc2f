from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcompile import runtime
from rtcompile.compile.write_artifact import write_artifact
from rtcompile.errors import OutputError
from rtcompile.runtime.artifact import MAGIC, SCHEMA_VERSION, read_artifact


def _copy(artifact: Path, folder: Path) -> tuple[Path, bytearray]:
    return folder / "copy.rtc", bytearray(artifact.read_bytes())


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.rtc"
    sections = {"module": b"library", "constants": b"\x01" * 5000}
    write_artifact(path, {"kind": "graph"}, sections)
    artifact = read_artifact(path)
    assert artifact.manifest["kind"] == "graph"
    assert artifact.module.startswith(b"library")
    assert bytes(artifact.constants[:5000]) == sections["constants"]


def test_every_flipped_bit_is_noticed(artifact_path: Path, tmp_path: Path) -> None:
    path, data = _copy(artifact_path, tmp_path)

    @given(bit=st.integers(0, len(data) * 8 - 1))
    def check(bit: int) -> None:
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        data[bit // 8] ^= 1 << bit % 8
        with pytest.raises(runtime.ArtifactError):
            runtime.load(path)

    check()


def test_every_truncation_is_noticed(artifact_path: Path, tmp_path: Path) -> None:
    path, data = _copy(artifact_path, tmp_path)

    @given(length=st.integers(0, len(data) - 1))
    def check(length: int) -> None:
        path.write_bytes(data[:length])
        with pytest.raises(runtime.ArtifactError):
            runtime.load(path)

    check()


def test_another_schema_version_is_refused(artifact_path: Path, tmp_path: Path) -> None:
    path, data = _copy(artifact_path, tmp_path)
    data[8] = SCHEMA_VERSION + 1
    path.write_bytes(data)
    with pytest.raises(runtime.ArtifactError, match="schema version"):
        runtime.load(path)


def test_foreign_and_missing_files(tmp_path: Path) -> None:
    path = tmp_path / "x.rtc"
    with pytest.raises(runtime.ArtifactError, match="No such file"):
        runtime.load(path)
    for content in (b"", b"hello", MAGIC):
        path.write_bytes(content)
        with pytest.raises(runtime.ArtifactError, match="not an rtcompile artifact"):
            runtime.load(path)
    with pytest.raises(runtime.ArtifactError, match="cannot be read"):
        runtime.load(tmp_path)


def test_an_artifact_for_another_machine_is_refused(artifact_path: Path, tmp_path: Path) -> None:
    artifact = read_artifact(artifact_path)
    sections = {"module": artifact.module, "constants": artifact.constants.tobytes()}
    for change, message in (
        ({"machine": "riscv64"}, "this machine is"),
        ({"features": ["quantum"]}, "this CPU lacks quantum"),
    ):
        manifest = json.loads(json.dumps(artifact.manifest))
        manifest["target"].update(change)
        path = tmp_path / "other.rtc"
        write_artifact(path, manifest, sections)
        with pytest.raises(runtime.TargetError, match=message):
            runtime.load(path)


def test_a_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.rtc"
    path.write_bytes(b"the old one")

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="No space left"):
        write_artifact(path, {}, {"module": b"m", "constants": b"c"})
    assert path.read_bytes() == b"the old one"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.rtc"]
