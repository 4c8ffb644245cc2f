"""Where results go: a file that appears as a whole, or a stream that is written to as it is.

    a new name, a file        a temporary file beside it takes its name once all is written
    a link                    the same for what the link points to; the link stays
    a device, a pipe          written to, from the beginning to the end
    `-`, /dev/stdout,         the descriptor that the process has, shared with whoever else writes
    /dev/fd/N                 there: `>>` appends

Whatever ends the writing early, an error, Ctrl-C or SIGTERM, leaves no temporary file, and a file
of that name as it was.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from rtcompile.errors import OutputError

__all__ = ["STANDARD", "Output", "is_stream", "open_output", "write_atomically"]

# In place of a path: standard input or output.
STANDARD = Path("-")

_DESCRIPTOR = re.compile(r"/(?:dev|proc/self|proc/\d+)/fd/(\d+)")
_MODE = 0o644


class Output:
    """An open file or stream. Its methods raise OutputError; BrokenPipeError where no one reads."""

    def __init__(self, path: Path, file: BinaryIO, is_stream: bool) -> None:
        self.path, self.is_stream, self.file = path, is_stream, file

    def write(self, data: bytes | memoryview) -> None:
        """Append the bytes."""
        with _refusals(self.path):
            self.file.write(data)

    def flush(self) -> None:
        """Hand over what was written so far."""
        with _refusals(self.path):
            self.file.flush()


@contextlib.contextmanager
def _refusals(path: Path) -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except (OSError, ValueError) as error:  # a null byte in a path is a ValueError
        reason = getattr(error, "strerror", None) or error
        raise OutputError(f"{path}: cannot be written: {reason}") from error


def is_stream(path: Path) -> bool:
    """Whether a path is written to as it is, and not replaced by a file."""
    if path == STANDARD or _descriptor(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # there is none yet, or the opening says what is wrong
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


@contextlib.contextmanager
def open_output(path: Path) -> Iterator[Output]:
    """An output that is there, whole, once the `with` block is left without an error."""
    if path == STANDARD:
        output = Output(Path("standard output"), sys.stdout.buffer, True)
        yield output
        output.flush()
    elif is_stream(path):
        with _refusals(path):
            descriptor = _descriptor(path)
            file = path.open("wb") if descriptor is None else os.fdopen(os.dup(descriptor), "wb")
        output = Output(path, file, True)
        try:
            yield output
            output.flush()
        finally:
            with contextlib.suppress(OSError):  # of what could not be flushed
                file.close()
    else:
        yield from _new_file(path)


def _new_file(path: Path) -> Iterator[Output]:
    with _refusals(path):
        target = path.resolve()
        if target.is_dir():
            raise OutputError(f"{path}: cannot be written: it is a folder")
        mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else _MODE
        # The name may be as long as names can be: the temporary one takes the end of it only.
        handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name[-64:]}.")
    try:
        with os.fdopen(handle, "wb") as file:
            output = Output(path, file, False)
            yield output
            output.flush()
            with _refusals(path):
                os.fsync(file.fileno())
        with _refusals(path):
            Path(temporary).chmod(mode)
            Path(temporary).replace(target)
    except BaseException:  # Ctrl-C and SIGTERM too
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def _descriptor(path: Path) -> int | None:
    """The descriptor of this process that a path stands for, through links too."""
    for _ in range(8):
        match = _DESCRIPTOR.fullmatch(str(path))
        if match:
            own = str(path).startswith(("/dev/", "/proc/self/", f"/proc/{os.getpid()}/"))
            return int(match[1]) if own else None
        try:
            path = path.parent / path.readlink()
        except (OSError, ValueError):
            return None
    return None


def write_atomically(path: Path, pieces: Iterable[bytes | memoryview]) -> None:
    """Write `pieces` behind one another. Raises OutputError; then `path` is what it was."""
    with open_output(path) as output:
        for piece in pieces:
            output.write(piece)
