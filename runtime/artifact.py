"""The artifact file: one header, one manifest, aligned sections.

    0     8   magic "RTCOMPIL"
    8     4   schema version, little-endian
    12    4   reserved, zero
    16    8   length of the manifest in bytes
    24    32  SHA-256 of the manifest
    56    8   reserved, zero
    64    -   the manifest, JSON in UTF-8
    then      the sections, each from a multiple of 4096: `module`, a shared library, and
              `constants`, which is memory-mapped or read; `verification`, if there is one, says
              what scores must be, and is read by `rtcompile verify` alone

The manifest names each section with offset, length and SHA-256, so that a file that was cut short
or altered anywhere is refused.

An artifact for several targets has `variants` in its manifest, from the least to the most able
target. Each has a section `module.TARGET`, and either shares the first `constants_bytes` of
`constants` or has a section `constants.TARGET`. What else it says replaces what the manifest says;
the last one that this machine can run is read.
"""

from __future__ import annotations

import errno
import hashlib
import json
import mmap
import os
import stat
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.errors import ArtifactError
from rtcompile.runtime.machine import last_runnable
from rtcompile.runtime.manifest_schema import ManifestError, check_manifest, check_whole

__all__ = [
    "HEADER",
    "MAGIC",
    "PAGE",
    "SCHEMA_VERSION",
    "VERIFICATION",
    "Artifact",
    "FileState",
    "damaged",
    "read_artifact",
    "read_section",
]

MAGIC = b"RTCOMPIL"
SCHEMA_VERSION = 17
VERIFICATION = "verification"  # the section's name
PAGE = 4096
HEADER = struct.Struct("<8sIIQ32s8s")

_LARGEST_MANIFEST = 256 << 20
_SMALL = 16 << 20  # bytes of constants that are read rather than mapped
_PIECE = 1 << 20  # bytes that are read and checked at once


@dataclass(frozen=True)
class Artifact:
    """A checked artifact.

    `constants` are memory of this process, or mapped copy-on-write: then pages load when they are
    touched, and `check_unchanged` says whether the file is still what was read. `targets`: all that
    it was compiled for, as manifests name them. Of several, the other members are those of the last
    that this machine can run, or of the very last.
    """

    path: Path
    manifest: dict[str, Any]
    module: bytes
    constants: npt.NDArray[np.uint8]
    targets: tuple[dict[str, Any], ...]
    mapped: FileState | None = None

    def check_entries(self) -> None:
        """Raise ArtifactError where the manifest lacks what a ranker reads, or says it wrongly."""
        try:
            check_manifest(self.manifest, self.constants.size)
        except ManifestError as error:
            raise damaged(self.path, error) from error

    def check_unchanged(self) -> None:
        """Raise ArtifactError where the mapped file was written to since it was read."""
        if self.mapped is not None and self.mapped.was_rewritten(self.path):
            raise ArtifactError(
                f"{self.path}: was rewritten in place while it was loaded: load it again; deploy "
                "by writing a new file and renaming it, or load with copy=True"
            )


@dataclass(frozen=True)
class FileState:
    """Which file was read, and as it was then."""

    device: int
    inode: int
    size: int
    modified: int

    @staticmethod
    def of(stat: os.stat_result) -> FileState:
        """As the system describes it."""
        return FileState(stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns)

    def was_rewritten(self, path: Path) -> bool:
        """Whether the same file is another now; that the path has a new one is no matter."""
        try:
            now = FileState.of(path.stat())
        except OSError:
            return False
        return (now.device, now.inode) == (self.device, self.inode) and now != self


def read_artifact(path: str | Path, copy: bool = False, target: str = "") -> Artifact:
    """Read and check the artifact at `path`. Raises ArtifactError with the reason.

    `target`: the one of several to read, in place of the last that this machine can run.

    The file is opened once: what is checked is what is used, whatever the path names meanwhile.
    `copy`: read the constants into memory of this process, so that nothing that happens to the file
    matters from then on; small ones are read in any case.
    """
    path = Path(path)
    with _opened(path) as file:
        return _read(path, file, copy, target)


def read_section(path: str | Path, name: str) -> bytes | None:
    """A section that a ranker does not use; None where there is none. Raises ArtifactError."""
    path = Path(path)
    with _opened(path) as file:
        whole = _read_manifest(path, file, os.fstat(file).st_size)
        check_whole(whole)
        section = whole["sections"].get(name)
        return section and _read_section(path, file, name, section, True).tobytes()


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The descriptor of the file; what goes wrong while it is read is an ArtifactError."""
    try:
        with path.open("rb", buffering=0) as file:
            yield file.fileno()
    except ManifestError as error:
        raise damaged(path, error) from error
    except (OSError, ValueError) as error:  # of a path with a null byte
        reason = getattr(error, "strerror", None) or error
        raise ArtifactError(f"{path}: cannot be read: {reason}") from error


def damaged(path: Path, error: Exception) -> ArtifactError:
    """What to raise for a manifest that cannot be used."""
    return ArtifactError(f"{path}: damaged manifest: {error}; build the artifact again")


def _read(path: Path, file: int, copy: bool, target: str) -> Artifact:
    status = os.fstat(file)
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(status.st_mode):
        raise ArtifactError(f"{path}: not a file, and so no rtcompile artifact")
    state = FileState.of(status)
    whole = _read_manifest(path, file, state.size)
    check_whole(whole)
    if whole["file_bytes"] != state.size:
        raise ArtifactError(
            f"{path}: {state.size} bytes instead of {whole['file_bytes']}: the file was cut "
            "short or appended to; copy it again"
        )
    sections = whole["sections"]
    variants = whole.pop("variants", [whole])
    targets = tuple(variant.get("target", {}) for variant in variants)
    named = [index for index, one in enumerate(targets) if one.get("name") == target]
    manifest = {**whole, **variants[named[0] if named else last_runnable(targets)]}
    chosen = manifest.pop("module", "module"), manifest.pop("constants", "constants")
    missing = [name for name in chosen if name not in sections]
    if missing:
        raise ArtifactError(f"{path}: section {missing[0]!r} is missing")
    length = manifest.pop("constants_bytes", sections[chosen[1]]["length"])
    if not isinstance(length, int) or not 0 <= length <= sections[chosen[1]]["length"]:
        raise ManifestError("constants_bytes: is not the length of a section's beginning")
    kept = {chosen[0]}
    copy = copy or length <= _SMALL
    if copy:
        kept.add(chosen[1])
    data = {
        name: _read_section(path, file, name, sections[name], name in kept) for name in sections
    }
    library = data[chosen[0]]
    constants = data[chosen[1]] if copy else _mapped(file, sections[chosen[1]], length)
    if FileState.of(os.fstat(file)) != state:
        raise ArtifactError(f"{path}: was written to while it was read; load it again")
    return Artifact(
        path, manifest, library.tobytes(), constants[:length], targets, None if copy else state
    )


def _read_manifest(path: Path, file: int, size: int) -> dict[str, Any]:
    head = os.pread(file, HEADER.size, 0)
    if len(head) < HEADER.size or not head.startswith(MAGIC):
        raise ArtifactError(f"{path}: not an rtcompile artifact")
    _, version, reserved, length, digest, padding = HEADER.unpack(head)
    if version != SCHEMA_VERSION:
        raise ArtifactError(
            f"{path}: schema version {version} is not {SCHEMA_VERSION}, the one this runtime "
            "reads; build the artifact again with the matching rtcompile"
        )
    if length > min(size, _LARGEST_MANIFEST) or reserved or any(padding):
        raise ArtifactError(f"{path}: damaged header; build or copy the artifact again")
    text = os.pread(file, length, HEADER.size)
    if hashlib.sha256(text).digest() != digest:
        raise ArtifactError(f"{path}: damaged manifest; build or copy the artifact again")
    try:
        manifest: dict[str, Any] = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ManifestError(f"not JSON: {error}") from error
    return manifest


def _read_section(
    path: Path, file: int, name: str, section: dict[str, Any], kept: bool
) -> npt.NDArray[np.uint8]:
    """The bytes of a section, checked as they are read; none where they are not to be kept."""
    length, digest = section["length"], hashlib.sha256()
    # Whole pages of this process, which begin at one, as those of a mapping do.
    memory = mmap.mmap(-1, max(length if kept else min(length, _PIECE), 1))
    view = memoryview(memory)
    for begin in range(0, length, _PIECE):
        size, at = min(_PIECE, length - begin), begin if kept else 0
        piece = view[at : at + size]
        if os.preadv(file, [piece], section["offset"] + begin) != size:
            raise ArtifactError(f"{path}: was cut short while it was read; load it again")
        digest.update(piece)
    if digest.hexdigest() != section["sha256"]:
        raise ArtifactError(
            f"{path}: section {name!r} does not match its digest; build or copy the artifact again"
        )
    return np.frombuffer(memory, np.uint8, length if kept else 0)


def _mapped(file: int, section: dict[str, Any], length: int) -> npt.NDArray[np.uint8]:
    if not length:
        return np.zeros(0, np.uint8)
    memory = mmap.mmap(file, length, access=mmap.ACCESS_COPY, offset=section["offset"])
    return np.frombuffer(memory, np.uint8)
