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

An artifact for several targets has `variants` in its manifest, from the least to the most able
target. Each has a section `module.TARGET`, and either shares the first `constants_bytes` of
`constants` or has a section `constants.TARGET`. What else it says replaces what the manifest says;
the last one that this machine can run is read.
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
from runtime.machine import last_runnable

__all__ = ["HEADER", "MAGIC", "PAGE", "SCHEMA_VERSION", "Artifact", "read_artifact"]

MAGIC = b"RTCOMPIL"
SCHEMA_VERSION = 17
PAGE = 4096
HEADER = struct.Struct("<8sIIQ32s8s")

_LARGEST_MANIFEST = 256 << 20


@dataclass(frozen=True)
class Artifact:
    """A checked artifact. `constants` is mapped copy-on-write: pages load when they are touched.

    `targets`: all that it was compiled for, as manifests name them. Of several, the other members
    are those of the last that this machine can run, or of the very last.
    """

    path: Path
    manifest: dict[str, Any]
    module: bytes
    constants: npt.NDArray[np.uint8]
    targets: tuple[dict[str, Any], ...]


def read_artifact(path: str | Path) -> Artifact:
    """Read and check the artifact at `path`. Raises ArtifactError with the reason."""
    path = Path(path)
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            whole = _read_manifest(path, file, size)
            if whole["file_bytes"] != size:
                raise ArtifactError(
                    f"{path}: {size} bytes instead of {whole['file_bytes']}: the file was cut "
                    "short or appended to; copy it again"
                )
            sections = whole["sections"]
            variants = whole.pop("variants", [whole])
            targets = tuple(variant.get("target", {}) for variant in variants)
            manifest = {**whole, **variants[last_runnable(targets)]}
            chosen = manifest.pop("module", "module"), manifest.pop("constants", "constants")
            missing = [name for name in chosen if name not in sections]
            if missing:
                raise ArtifactError(f"{path}: section {missing[0]!r} is missing")
            for name in sections:
                _check_digest(path, name, sections[name])
            module, constants = (sections[name] for name in chosen)
            file.seek(module["offset"])
            library = file.read(module["length"])
        length = manifest.pop("constants_bytes", constants["length"])
        mapped = np.memmap(path, np.uint8, "c", constants["offset"], (length,))
    except OSError as error:
        raise ArtifactError(f"{path}: cannot be read: {error.strerror or error}") from error
    return Artifact(path, manifest, library, mapped, targets)


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


def _check_digest(path: Path, name: str, section: dict[str, Any]) -> None:
    data = np.memmap(path, np.uint8, "r", section["offset"], (section["length"],))
    if hashlib.sha256(data.data).hexdigest() != section["sha256"]:
        raise ArtifactError(
            f"{path}: section {name!r} does not match its digest; build or copy the artifact again"
        )
