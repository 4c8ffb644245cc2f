"""Lines of a JSON-lines file, a pipe or standard input, one at a time as they come."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from rtcompile.errors import DataError
from rtcompile.files.output_file import STANDARD
from rtcompile.runtime.shorten import short_repr

__all__ = ["LONGEST_LINE", "numbered_lines", "parse_object"]

# Bytes; what has no end of a line for longer is no such file, as /dev/zero is none.
LONGEST_LINE = 64 << 20


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank, with their numbers. `-` is standard input. Raises DataError."""
    try:
        with nullcontext(sys.stdin.buffer) if path == STANDARD else path.open("rb") as file:
            yield from _lines(path, file)
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"
        ) from error


def _lines(path: Path, file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise DataError(f"{path}, line {number}: longer than {LONGEST_LINE >> 20} MB")
        if line.strip():
            yield number, line


def parse_object(where: str, line: bytes, needed: str = "an object") -> dict[str, Any]:
    """The JSON object of a line in UTF-8. Raises DataError: `where`, and what is `needed`."""
    try:
        found = json.loads(line.decode())
    except UnicodeDecodeError as error:
        raise DataError(f"{where}: not UTF-8: {error.reason} at byte {error.start}") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise DataError(f"{where}: {needed} is needed, not {short_repr(found)}")
    return found
