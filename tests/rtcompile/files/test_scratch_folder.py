"""Folders of a build go, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rtcompile.files.scratch_folder import remove_stale_folders, scratch_folder, sigterm_unwinds

_BUILDS = """
import time
from rtcompile.files.scratch_folder import scratch_folder, sigterm_unwinds
with sigterm_unwinds(), scratch_folder() as folder:
    (folder / "unit.o").write_bytes(b"x")
    print(folder, flush=True)
    time.sleep(60)
"""


def _killed(number: int) -> Path:
    """The folder of a process that was ended by a signal in the middle of a build."""
    with subprocess.Popen([sys.executable, "-c", _BUILDS], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        folder = Path(process.stdout.readline().decode().strip())
        assert folder.is_dir()
        process.send_signal(number)
    return folder


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_leaves_nothing(number: int) -> None:
    assert not _killed(number).exists()


def test_what_a_killed_process_left_goes_later() -> None:
    folder = _killed(signal.SIGKILL)
    assert folder.exists()
    with scratch_folder() as used:
        remove_stale_folders()
        assert used.is_dir()  # this process lives
    assert not folder.exists()
    assert not used.exists()


def test_a_folder_that_somebody_holds_stays(tmp_path: Path) -> None:
    folder = _killed(signal.SIGKILL)
    holds = f"import fcntl, os, time; h = os.open({str(folder)!r}, os.O_RDONLY);"
    holds += "fcntl.flock(h, fcntl.LOCK_SH); print(1, flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", holds], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        remove_stale_folders()
        assert folder.exists()
        process.kill()
    remove_stale_folders()
    assert not folder.exists()


def test_a_handler_of_somebody_else_stays() -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
    try:
        with sigterm_unwinds():
            os.kill(os.getpid(), signal.SIGTERM)
        assert seen == [signal.SIGTERM]
    finally:
        signal.signal(signal.SIGTERM, before)
