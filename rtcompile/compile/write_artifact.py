"""Write the artifact file. Its layout is described where it is read, in `runtime/artifact.py`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rtcompile.files.output_file import write_atomically
from rtcompile.files.pieces import Pieces, Sections
from rtcompile.runtime.artifact import HEADER, MAGIC, PAGE, SCHEMA_VERSION, VERIFICATION

__all__ = ["write_artifact", "write_variants"]

Parts = tuple[dict[str, Any], Sections]  # a manifest and the sections it is about

_PER_VARIANT = (
    "target",
    "stages",
    "serve",
    "tables",
    "assets",
    "tuning",
    "precision",
    "provenance",
    "verification",
)


def write_artifact(path: Path, manifest: dict[str, Any], sections: Sections) -> None:
    """Write `manifest` and `sections` to `path`: whole or not at all. Raises OutputError."""
    # Sections and manifest fill whole pages, so that the digests cover every byte of the file.
    padded = {name: _whole_pages(data) for name, data in sections.items()}
    described: dict[str, dict[str, Any]] = {
        name: {"offset": 0, "length": sum(map(len, data)), "sha256": _digest(data)}
        for name, data in padded.items()
    }
    manifest = {**manifest, "sections": described, "file_bytes": 0}
    # Offsets stand in the manifest, whose length moves them: leave room for their digits.
    digits = 20 * (len(sections) + 1)
    offset = _page(HEADER.size + len(json.dumps(manifest)) + digits)
    text_bytes = offset - HEADER.size
    for section in described.values():
        section["offset"] = offset
        offset += section["length"]
    manifest["file_bytes"] = offset
    text = json.dumps(manifest, sort_keys=True).encode().ljust(text_bytes)
    head = HEADER.pack(MAGIC, SCHEMA_VERSION, 0, len(text), hashlib.sha256(text).digest(), bytes(8))
    # Sections follow one another, from the end of the manifest on.
    write_atomically(path, [head + text, *(piece for data in padded.values() for piece in data)])


def write_variants(path: Path, variants: Sequence[Parts]) -> None:
    """Write one artifact for several targets, given from the least to the most able.

    Constants that begin as the last variant's do share its section. Raises OutputError.
    """
    if len(variants) == 1:
        write_artifact(path, *variants[0])
        return
    manifest = {k: v for k, v in variants[-1][0].items() if k not in _PER_VARIANT}
    shared = Pieces.of(variants[-1][1]["constants"])
    sections: Sections = {"constants": shared}
    described = []
    # The answers are the original's, whatever the target.
    if VERIFICATION in variants[-1][1]:
        sections[VERIFICATION] = variants[-1][1][VERIFICATION]
    for own, parts in variants:
        name, constants = own["target"]["name"], Pieces.of(parts["constants"])
        entry = {k: v for k, v in own.items() if k not in manifest or manifest[k] != v}
        entry["module"] = f"module.{name}"
        sections[entry["module"]] = parts["module"]
        if shared.begins_with(constants):
            entry["constants_bytes"] = len(constants)
        else:
            entry["constants"] = f"constants.{name}"
            sections[entry["constants"]] = constants
        described.append(entry)
    write_artifact(path, {**manifest, "variants": described}, sections)


def _whole_pages(data: bytes | Pieces) -> list[memoryview]:
    return [*Pieces.of(data), memoryview(bytes(_page(len(data)) - len(data)))]


def _digest(pieces: Sequence[memoryview]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _page(offset: int) -> int:
    return -(-offset // PAGE) * PAGE
