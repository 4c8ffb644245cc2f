"""Options of a build: frozen, hashable, with a digest that keys artifacts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["BuildOptions"]


@dataclass(frozen=True)
class BuildOptions:
    """What `rtcompile build` can be told; the fields carry the command line's names.

    `features`: path of an fg.json, or None for a graph that takes its own inputs. `target`: a name
    of `rtcompile.targets.TARGETS`, or "host". `embeddings`: a safetensors file, or a folder of
    them, with the tables that are not in the graph. `calibration`: real rows to verify on beside
    the generated ones, .parquet or .jsonl. `verify`: compare with the original before writing.
    """

    features: str | Path | None = None
    target: str = "host"
    embeddings: str | Path | None = None
    calibration: str | Path | None = None
    verify: bool = True

    def digest(self) -> str:
        """SHA-256 over every field."""
        text = json.dumps(asdict(self), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()
