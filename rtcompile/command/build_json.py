"""`rtcompile build --json`: what a build did, or why there is none, as one JSON object for CI."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtcompile.errors import OutputError
from rtcompile.runtime.artifact import read_artifact

if TYPE_CHECKING:
    from rtcompile.driver import BuildResult

__all__ = ["describe_build", "errors_as_json"]


def describe_build(result: BuildResult, path: Path) -> dict[str, Any]:
    """The artifact at `path`, how it was checked, what the passes did, and what went in."""
    size, digest = _measure(path)
    manifest = result.manifest
    tuning = {key: value for key, value in manifest["tuning"].items() if key != "kernels"}
    return {
        "artifact": str(path),
        "sha256": digest,
        "bytes": size,
        "sections": {n: s["length"] for n, s in read_artifact(path).manifest["sections"].items()},
        "targets": list(result.targets),
        "verification": None if result.verification is None else asdict(result.verification),
        "unverified": list(result.unverified),
        "precision": manifest.get("precision"),
        "passes": [
            {
                "stage": one.stage or "all",
                "pass": one.name,
                "applied": one.applied,
                "refused": list(one.refused),
            }
            for one in result.report.passes
        ],
        "tuning": tuning,
        "log_notes": list(result.log_notes),
        "provenance": manifest["provenance"],
        "tags": manifest["tags"],
    }


def _measure(path: Path) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
                size += len(piece)
    except OSError as error:
        raise OutputError(f"{path}: cannot be read again: {error.strerror or error}") from error
    return size, digest.hexdigest()


@contextmanager
def errors_as_json(
    told: Callable[[Exception], tuple[str, int]], write: Callable[[str], None]
) -> Iterator[None]:
    """Have `write` an error as JSON before it ends the command. `told`: its message and code."""
    try:
        yield
    except Exception as error:
        message, code = told(error)
        described = {
            "class": type(error).__name__,
            "message": message.removeprefix("error: "),
            "exit_code": code,
        }
        write(json.dumps({"error": described}))
        raise
