"""How commands end: an error of ours as one message and its exit code, a signal without a trace."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType
from typing import IO, NoReturn

import click

from rtcompile.errors import DataError, OutputError, RtcompileError
from rtcompile.extras import missing_extra
from rtcompile.runtime.errors import InferenceError
from rtcompile.runtime.shorten import short_message

__all__ = ["CommandGroup", "exit_codes", "told"]

_USAGE, _OWN_FAULT, _NO_MEMORY = 2, 100, 101
_INTERRUPTED, _NO_READER, _TERMINATED = (
    128 + int(signal.SIGINT),
    128 + int(signal.SIGPIPE),
    128 + int(signal.SIGTERM),
)

_OTHERS = {
    0: "All went well.",
    _USAGE: "The command line itself is wrong.",
    _OWN_FAULT: "A fault of rtcompile's own; --debug shows where.",
    _NO_MEMORY: "There is not enough memory.",
    _INTERRUPTED: "Interrupted (Ctrl-C).",
    _NO_READER: "Whoever read the output has closed it.",
    _TERMINATED: "Ended by SIGTERM.",
}


def exit_codes() -> dict[int, str]:
    """Every exit code of the command line, and what it says."""
    found = dict(_OTHERS)
    classes: list[type[RtcompileError] | type[InferenceError]] = [RtcompileError, InferenceError]
    for one in classes:  # grows while it is walked
        classes.extend(one.__subclasses__())
        summary = " ".join((one.__doc__ or "").split()).partition(". ")[0].rstrip(".")
        found.setdefault(one.exit_code, f"{one.__name__}: {summary}.")
    return dict(sorted(found.items()))


class CommandGroup(click.Group):
    """Prints errors of ours as one message, without a traceback unless --debug asks for it."""

    def invoke(self, ctx: click.Context) -> object:
        """Run the command, and end as its errors say."""
        try:
            with _sigterm_unwinds():
                return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except BrokenPipeError:
            _forget(sys.stdout)
            sys.exit(_NO_READER)
        except KeyboardInterrupt:
            _end("interrupted", _INTERRUPTED)
        except Exception as error:
            if ctx.params.get("debug"):
                raise
            _end(*told(error))

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The exit codes."""
        with formatter.section("Exit codes"):
            formatter.write_dl([(str(code), text) for code, text in exit_codes().items()])


def told(error: Exception) -> tuple[str, int]:
    """What to say of an error, and its exit code."""
    if isinstance(error, RtcompileError | InferenceError):
        return f"error: {error}", error.exit_code
    if isinstance(error, MemoryError):
        return (
            f"error: not enough memory: {short_message(str(error)) or 'none is left'}",
            _NO_MEMORY,
        )
    if isinstance(error, ModuleNotFoundError) and (extra := missing_extra(error)):
        return f"error: {extra}", RtcompileError.exit_code
    if isinstance(error, OSError) and error.strerror:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
        where = f"{error.filename}: " if error.filename else ""
        code = (OutputError if full else DataError).exit_code
        return f"error: {short_message(where + error.strerror)}", code
    what = short_message(f"{type(error).__name__}: {error}")
    return f"error: a fault of rtcompile's own: {what}; --debug shows where", _OWN_FAULT


def _end(message: str, code: int) -> NoReturn:
    # What could not be written must not be tried again as the process ends.
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            _forget(stream)
    with contextlib.suppress(OSError):
        click.echo(message, err=True)
    sys.exit(code)


def _forget(stream: IO[str]) -> None:
    """Have what is left in a stream's buffer go nowhere."""
    with contextlib.suppress(OSError, ValueError):  # a stream without a descriptor has no need
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(_TERMINATED)


@contextlib.contextmanager
def _sigterm_unwinds() -> Iterator[None]:
    """Let SIGTERM end a command as an exception does, so that temporary files and folders go."""
    try:
        before = signal.signal(signal.SIGTERM, _terminate)
    except ValueError:  # not the main thread, which alone may
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
