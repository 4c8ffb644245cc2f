"""Files that a config names: read whole, if they are files, and of a size that can be meant."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from rtcompile.files.input_files import note_bytes

__all__ = ["MOST_BYTES", "NAMED", "read_bytes", "read_text"]

MOST_BYTES = 1 << 30
NAMED = "file of a feature"  # the role of what a config names


def read_bytes(path: Path, most: int = MOST_BYTES, role: str = NAMED) -> bytes:
    """The file's bytes. Raises OSError, or ValueError for what is no file or larger than `most`.

    A build's provenance lists it in its `role`. A pipe or a device may never end, or wait for
    somebody who writes, so it is not opened.
    """
    if "\0" in str(path):
        raise ValueError(f"{str(path)!r} is no file name")
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        what = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise ValueError(f"{path} is {what}; a file is needed")
    with os.fdopen(descriptor, "rb") as file:
        # A file may grow while it is read, and those of /proc say that they are empty.
        data = file.read(most + 1)
    if len(data) > most:
        raise ValueError(f"{path} has more than {most >> 20} MB; that cannot be meant")
    note_bytes(path, role, data)
    return data


def read_text(path: Path, most: int = MOST_BYTES, role: str = NAMED) -> str:
    """The file's text. Raises OSError, or ValueError as above or where it is not UTF-8."""
    try:
        return read_bytes(path, most, role).decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: {error.reason} at byte {error.start}") from error
