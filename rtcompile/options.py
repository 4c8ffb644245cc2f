"""Options of a build: frozen, hashable, with a digest that keys artifacts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rtcompile.errors import ConfigError

__all__ = ["ABLATIONS", "BuildOptions"]

# Parts that a build can go without, and what is built then. Scores stay the same.
ABLATIONS = {
    "staging": "the whole network runs for every row; features stay with their sides",
    "fusion": "bias, addends, activations and element-wise operators run as kernels of their own",
}


@dataclass(frozen=True)
class BuildOptions:
    """What `rtcompile build` can be told; the fields carry the command line's names.

    `features`: path of an fg.json, or None for a graph that takes its own inputs. `target`: a name
    of `rtcompile.targets.TARGETS`, or "host". `embeddings`: a safetensors file, or a folder of
    them, with the tables that are not in the graph. `embedding_dtype`: what tables are stored in,
    fp32, fp16, bf16, int8 or int4; small ones stay in fp32 (`rtcompile/table_dtypes.py`).
    `table_dtypes`: (table name, dtype) pairs that hold instead. `calibration`: real rows to verify
    on beside the generated ones, .parquet or .jsonl. `verify`: compare with the original before
    writing.

    For measurements: `profile` has the artifact count the time of each kernel, which
    `Ranker.profile` reports; `without` turns parts of the compiler off (see ABLATIONS).
    """

    features: str | Path | None = None
    target: str = "host"
    embeddings: str | Path | None = None
    embedding_dtype: str = "fp32"
    table_dtypes: tuple[tuple[str, str], ...] = ()
    calibration: str | Path | None = None
    verify: bool = True
    profile: bool = False
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        unknown = [part for part in self.without if part not in ABLATIONS]
        if unknown:
            raise ConfigError(
                f"without {unknown[0]!r}: no part of the compiler; known are {', '.join(ABLATIONS)}"
            )

    def digest(self) -> str:
        """SHA-256 over every field."""
        text = json.dumps(asdict(self), sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()
