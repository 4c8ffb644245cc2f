"""Options of a build: frozen, hashable, with a digest that keys artifacts."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

from rtcompile.errors import ConfigError

__all__ = ["ABLATIONS", "CALIBRATION_METHODS", "PRECISIONS", "BuildOptions"]

# Of dense layers; int8 falls back to bf16 and float32 where scores cannot bear it.
PRECISIONS = ("none", "bf16", "int8")

_PATHS = ("features", "embeddings", "calibration", "tuning_logs")

# How the range of a layer's input is chosen; dynamic: each row has its own.
CALIBRATION_METHODS = ("minmax", "percentile", "entropy", "dynamic")

# Parts that a build can go without, and what is built then. Scores stay the same.
ABLATIONS = {
    "staging": "the whole network runs for every row; features stay with their sides",
    "trimming": "attention scores every position of a sequence, its padding too",
    "fusion": "bias, addends, activations and element-wise operators run as kernels of their own",
}


@dataclass(frozen=True)
class BuildOptions:
    """What `rtcompile build` can be told; the fields carry the command line's names.

    `features`: path of an fg.json, or None for a graph that takes its own inputs. `target`: a name
    of `rtcompile.targets.TARGETS`, or "host"; several for an artifact with a module for each.
    `embeddings`: a safetensors file, or a folder of them, with the tables that are not in the
    graph. `embedding_dtype`: what tables are stored in, fp32, fp16, bf16, int8 or int4; small ones
    stay in fp32 (`rtcompile/codegen/program/table_dtypes.py`). `table_dtypes`: (table name, dtype)
    pairs that hold instead. `outputs`: which of the graph's outputs to keep, in its order; none
    stands for all. Features that feed the others alone are extracted by `Ranker.extract` only.
    `tuning_logs`: a folder of tuning records, in place of those that come with the package.
    `verify`: compare with the original before writing. `tags`: (key, value) pairs for people and
    tools, kept with the artifact.

    `quantize`: the lowest precision of dense layers. `calibration`: real rows, .parquet or .jsonl,
    or .npz of a graph's inputs: to verify on, to see ranges on (`calibration_method`), to measure
    what lower precision costs. `label`: their column of 0 and 1, for AUC. `max_auc_drop`, or
    without a label `max_difference` and `max_mean_difference` of scores: what may be lost, else the
    build fails, unless `allow_over_budget`. Layers that are no faster than in float32, as timed
    here, stay in it; `keep_slower` leaves the timing out, and what is built does not depend on it.

    For measurements: `profile` has the artifact count the time of each kernel, which
    `Ranker.profile` reports; `without` turns parts of the compiler off (see ABLATIONS).
    """

    features: str | Path | None = None
    target: str | tuple[str, ...] = "host"
    embeddings: str | Path | None = None
    embedding_dtype: str = "fp32"
    table_dtypes: tuple[tuple[str, str], ...] = ()
    outputs: tuple[str, ...] = ()
    quantize: str = "none"
    calibration: str | Path | None = None
    calibration_method: str = "minmax"
    label: str | None = None
    max_auc_drop: float = 5e-4
    max_difference: float = 2e-2
    max_mean_difference: float = 4e-3
    allow_over_budget: bool = False
    keep_slower: bool = False
    tuning_logs: str | Path | None = None
    verify: bool = True
    tags: tuple[tuple[str, str], ...] = ()
    profile: bool = False
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, allowed in (
            ("quantize", PRECISIONS),
            ("calibration_method", CALIBRATION_METHODS),
        ):
            if getattr(self, name) not in allowed:
                raise ConfigError(
                    f"{name} {getattr(self, name)!r}: one of {', '.join(allowed)} is needed"
                )
        keys = [key for key, _ in self.tags]
        twice = [key for key in keys if keys.count(key) > 1 or not key]
        if twice:
            raise ConfigError(f"tag {twice[0]!r}: a key is not empty, and is given once")
        unknown = [part for part in self.without if part not in ABLATIONS]
        if unknown:
            raise ConfigError(
                f"without {unknown[0]!r}: no part of the compiler; known are {', '.join(ABLATIONS)}"
            )

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of all targets."""
        return (self.target,) if isinstance(self.target, str) else self.target

    def digest(self) -> str:
        """SHA-256 over every field but paths: what the files hold counts, not where they lie."""
        fields = {**asdict(self), "target": self.targets}
        for name in _PATHS:
            fields[name] = fields[name] is not None
        text = json.dumps(fields, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()
