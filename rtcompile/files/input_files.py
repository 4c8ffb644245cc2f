"""The files that go into a build, each with its digest: what a provenance lists.

Whoever reads such a file notes it here; while `recorded` is on, its digest is kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

__all__ = ["FEATURES", "MODEL", "InputFile", "note_bytes", "note_input", "recorded"]

_PIECE = 1 << 20

# What files are for.
MODEL, FEATURES = "model", "features"


@dataclass(frozen=True, order=True)
class InputFile:
    """A file that was read: what for, its name without folders, its length and SHA-256."""

    role: str
    name: str
    bytes: int
    sha256: str


_files: ContextVar[list[InputFile] | None] = ContextVar("_files", default=None)


@contextmanager
def recorded() -> Iterator[list[InputFile]]:
    """The files that are read in the `with` block, as they come."""
    found: list[InputFile] = []
    token = _files.set(found)
    try:
        yield found
    finally:
        _files.reset(token)


def note_bytes(path: Path, role: str, data: bytes) -> None:
    """Note a file that was read whole."""
    files = _files.get()
    if files is not None:
        _add(files, InputFile(role, path.name, len(data), hashlib.sha256(data).hexdigest()))


def note_input(path: Path, role: str) -> None:
    """Note a file that is read elsewhere, as it is now. Raises OSError."""
    files = _files.get()
    if files is None:
        return
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    _add(files, InputFile(role, path.name, size, digest.hexdigest()))


def _add(files: list[InputFile], file: InputFile) -> None:
    if file not in files:
        files.append(file)
