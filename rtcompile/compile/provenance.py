"""What an artifact was made of: every file by its digest, the options, the versions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rtcompile.compile.embeddings import table_files
from rtcompile.files.input_files import (
    FEATURES,
    MODEL,
    InputFile,
    note_input,
)
from rtcompile.options import BuildOptions
from rtcompile.tuning.tuned.logs import log_files, packaged_logs

__all__ = ["describe_provenance", "note_files"]


def note_files(options: BuildOptions, target: str) -> None:
    """Note the files of a build that no one notes who reads them: all but the model and the feature
    config, and what they name. Raises OSError."""
    if options.embeddings is not None:
        for path in table_files(Path(options.embeddings)):
            note_input(path, "embeddings")
    if options.calibration is not None:
        note_input(Path(options.calibration), "calibration")
    logs = packaged_logs() if options.tuning_logs is None else Path(options.tuning_logs)
    for name, path in log_files(logs):
        if name == target:
            note_input(path, "tuning logs")


def describe_provenance(files: Sequence[InputFile], options: BuildOptions) -> dict[str, Any]:
    """For the manifest. `sha256` is of all the rest: equal where equal artifacts are made."""
    digests = {file.role: file for file in reversed(files)}
    model, features = digests[MODEL], digests.get(FEATURES)
    found = {
        "model": model.name,
        "model_sha256": model.sha256,
        "features_sha256": features.sha256 if features else None,
        "options_sha256": options.digest(),
        "files": [asdict(file) for file in sorted(files)],
        "rtcompile": version("rtcompile"),
        "tvm": version("apache-tvm"),
        "onnx": version("onnx"),
    }
    text = json.dumps(found, sort_keys=True)
    return {**found, "sha256": hashlib.sha256(text.encode()).hexdigest()}
