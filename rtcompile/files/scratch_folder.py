"""Folders for files that live as long as a step of a build.

They go when their step ends, also by an exception, an interrupt, or SIGTERM where a build runs
(`sigterm_unwinds`). What a process left that was killed outright is taken away by the next one:
the name of a folder holds the number of its process.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from types import FrameType
from typing import NoReturn

__all__ = ["remove_stale_folders", "scratch_folder", "sigterm_unwinds"]

_PREFIX = "rtcompile-"
_NAME = re.compile(rf"{_PREFIX}(\d+)-")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder, which goes in the end."""
    _remove_stale_folders_once()
    with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as folder:
        held = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_SH)
            yield Path(folder)
        finally:
            os.close(held)


def remove_stale_folders() -> None:
    """Remove the folders of this user's processes that are gone."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        named = _NAME.match(path.name)
        with suppress(OSError):
            if named and not _is_alive(int(named[1])) and _is_left(path):
                shutil.rmtree(path, ignore_errors=True)


_remove_stale_folders_once = cache(remove_stale_folders)


def _is_left(path: Path) -> bool:
    """Whether a folder is this user's, and no process holds it: one of another container may,
    whose number says nothing here."""
    if path.is_symlink() or path.stat().st_uid != os.getuid():
        return False
    held = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(held)
    return True


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # another user's
    return True


@contextmanager
def sigterm_unwinds() -> Iterator[None]:
    """Have SIGTERM raise SystemExit, where nobody else handles it: so that what a build opened is
    closed, and its folders go. A second one ends the process at once."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _unwind)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _unwind(number: int, frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    raise SystemExit(128 + number)
