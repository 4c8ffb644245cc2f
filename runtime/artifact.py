"""The artifact file: one header, one manifest, aligned sections.

    0     8   magic "RTCOMPIL"
    8     4   schema version, little-endian
    12    4   reserved, zero
    16    8   length of the manifest in bytes
    24    32  SHA-256 of the manifest
    56    8   reserved, zero
    64    -   the manifest, JSON in UTF-8
    then      the sections, each from a multiple of 4096: `module`, a shared library, and
              `constants`, which is memory-mapped

The manifest names each section with offset, length and SHA-256, so that a file that was cut short
or altered anywhere is refused.
"""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.errors import ArtifactError

__all__ = ["HEADER", "MAGIC", "PAGE", "SCHEMA_VERSION", "Artifact", "read_artifact"]

MAGIC = b"RTCOMPIL"
SCHEMA_VERSION = 5
PAGE = 4096
HEADER = struct.Struct("<8sIIQ32s8s")

_SECTIONS = ("module", "constants")
_LARGEST_MANIFEST = 256 << 20


@dataclass(frozen=True)
class Artifact:
    """A checked artifact. `constants` is mapped copy-on-write: pages load when they are touched."""

    path: Path
    manifest: dict[str, Any]
    module: bytes
    constants: npt.NDArray[np.uint8]


def read_artifact(path: str | Path) -> Artifact:
    """Read and check the artifact at `path`. Raises ArtifactError with the reason."""
    path = Path(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            manifest = _read_manifest(path, file, size)
            _check_sections(path, manifest, size)
            at = manifest["sections"]["module"]
            file.seek(at["offset"])
            module = file.read(at["length"])
        at = manifest["sections"]["constants"]
        constants = np.memmap(path, np.uint8, "c", at["offset"], (at["length"],))
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror or error}") from error
    _check_digest(path, "module", module, manifest)
    _check_digest(path, "constants", constants.data, manifest)
    return Artifact(path, manifest, module, constants)


def _read_manifest(path: Path, file: Any, size: int) -> dict[str, Any]:
    head = file.read(HEADER.size)
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
    text = file.read(length)
    if hashlib.sha256(text).digest() != digest:
        raise ArtifactError(f"{path}: damaged manifest; build or copy the artifact again")
    manifest: dict[str, Any] = json.loads(text)
    return manifest


def _check_sections(path: Path, manifest: dict[str, Any], size: int) -> None:
    if manifest["file_bytes"] != size:
        raise ArtifactError(
            f"{path}: {size} bytes instead of {manifest['file_bytes']}: the file was cut short or "
            "appended to; copy it again"
        )
    missing = [name for name in _SECTIONS if name not in manifest["sections"]]
    if missing:
        raise ArtifactError(f"{path}: section {missing[0]!r} is missing")


def _check_digest(path: Path, name: str, data: Any, manifest: dict[str, Any]) -> None:
    if hashlib.sha256(data).hexdigest() != manifest["sections"][name]["sha256"]:
        raise ArtifactError(
            f"{path}: section {name!r} does not match its digest; build or copy the artifact again"
        )
