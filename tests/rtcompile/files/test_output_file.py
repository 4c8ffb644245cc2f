"""Outputs: files that appear whole, links that stay, streams that are written to."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from rtcompile.errors import OutputError
from rtcompile.files.output_file import (
    STANDARD,
    is_stream,
    open_output,
    write_atomically,
)


def _write(path: Path, data: bytes = b"new") -> None:
    with open_output(path) as output:
        output.write(data)


def _names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    with open_output(path) as output:
        output.write(b"a" * 10**6)
        assert not path.exists()
    assert path.read_bytes() == b"a" * 10**6
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert _names(tmp_path) == ["scores.jsonl"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_whatever_ends_the_writing_leaves_what_was(
    tmp_path: Path, error: type[BaseException]
) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_bytes(b"old")
    with pytest.raises(error), open_output(path) as output:
        output.write(b"new")
        raise error
    assert path.read_bytes() == b"old"
    assert _names(tmp_path) == ["scores.jsonl"]


def test_a_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_bytes(b"old")
    path.chmod(0o600)
    _write(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path, there: bool) -> None:
    target, link = tmp_path / "real" / "scores", tmp_path / "link"
    target.parent.mkdir()
    if there:
        target.write_bytes(b"old")
    link.symlink_to(target)
    _write(link)
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert _names(tmp_path) == ["link", "real"] and _names(target.parent) == ["scores"]


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    path, found = tmp_path / "pipe", list[bytes]()
    os.mkfifo(path)
    reader = threading.Thread(target=lambda: found.append(path.read_bytes()))
    reader.start()
    write_atomically(path, [b"one", memoryview(b"two")])
    reader.join()
    assert found == [b"onetwo"]
    assert stat.S_ISFIFO(path.stat().st_mode)


def test_devices_are_written_to() -> None:
    _write(Path("/dev/null"))
    assert stat.S_ISCHR(Path("/dev/null").stat().st_mode)
    if Path("/dev/full").exists():
        with pytest.raises(OutputError, match="/dev/full: cannot be written: No space left"):
            _write(Path("/dev/full"))


def test_a_descriptor_is_the_one_that_the_process_has(tmp_path: Path) -> None:
    """Written to where it stands: what others wrote there before and after stays."""
    path, link = tmp_path / "log", tmp_path / "link"
    with path.open("wb") as file:
        file.write(b"before|")
        file.flush()
        link.symlink_to(f"/dev/fd/{file.fileno()}")
        for place in (
            Path(f"/dev/fd/{file.fileno()}"),
            Path(f"/proc/self/fd/{file.fileno()}"),
            link,
        ):
            assert is_stream(place)
            _write(place, b"new|")
        file.write(b"after")
    assert path.read_bytes() == b"before|new|new|new|after"


def test_standard_output(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    _write(STANDARD)
    assert capfdbinary.readouterr().out == b"new"


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    for path, reason in (
        (tmp_path, "it is a folder"),
        (tmp_path / "no" / "file", "No such file"),
        (tmp_path / ("x" * 300), "File name too long"),
        (Path("/dev/fd/9999"), "Bad file descriptor"),
    ):
        with pytest.raises(OutputError, match=reason):
            _write(path)
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="Not a directory"):
        _write(tmp_path / "file" / "below")
    assert _names(tmp_path) == ["file"]


def test_a_pipe_that_no_one_reads_is_no_refusal() -> None:
    reads, writes = os.pipe()
    os.close(reads)
    with pytest.raises(BrokenPipeError):
        _write(Path(f"/dev/fd/{writes}"), b"x" * 10**6)
    os.close(writes)
