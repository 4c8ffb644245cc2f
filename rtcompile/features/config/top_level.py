"""The keys of a feature config beside its features."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.dialect import DIALECTS, Dialect
from rtcompile.features.conversion.pipeline_config import PipelineConfig, read_pipeline_config
from rtcompile.features.conversion.schema import MOST_VALUES
from rtcompile.features.hashing import HASHES

__all__ = ["TopLevel", "read_top_level"]

_KEYS = ("features", "hash", "dialect", "pipeline_config")
# What to pass on from the data's columns, how a generator writes several values, and how EasyRec is
# to train.
_IGNORED = (
    *("reserves", "multi_val_sep", "embedding_dim", "label_fields", "model_dir", "model_path"),
    *("model_type", "num_steps", "train_path", "eval_path", "edit_config_json"),
)


@dataclass(frozen=True)
class TopLevel:
    """What the keys beside `features` say."""

    hash: str
    dialect: Dialect
    pipeline: PipelineConfig | None
    embedding_dim: int | None


def read_top_level(
    content: Mapping[str, Any], folder: Path, hash: str | None, problems: list[str]
) -> TopLevel:
    """Read them; `hash`, where given, stands for the config's own. Problems are appended."""
    for key in content:
        if key not in (*_KEYS, *_IGNORED):
            near = difflib.get_close_matches(str(key), _KEYS, n=1)
            problems.append(
                f"{key}: unknown key" + (f"; did you mean {near[0]!r}?" if near else "")
            )
    chosen = hash or content.get("hash", "murmur")
    spoken = content.get("dialect", "pyfg")
    for name, value, allowed in (("hash", chosen, HASHES), ("dialect", spoken, DIALECTS)):
        if not isinstance(value, str) or value not in allowed:
            problems.append(f"{name}: {value!r} is not allowed; use one of {', '.join(allowed)}")
    dialect = DIALECTS.get(str(spoken), DIALECTS["pyfg"])
    size = content.get("embedding_dim") if dialect.reads_pipeline else None
    if size is not None and (not isinstance(size, int) or not 1 <= size <= MOST_VALUES):
        problems.append(f"embedding_dim: {size!r} is not allowed: an integer from 1 is needed")
        size = None
    return TopLevel(str(chosen), dialect, _pipeline(content, folder, dialect, problems), size)


def _pipeline(
    content: Mapping[str, Any], folder: Path, dialect: Dialect, problems: list[str]
) -> PipelineConfig | None:
    """EasyRec's pipeline.config, where the config names one."""
    given = content.get("pipeline_config")
    if given is None:
        return None
    pipeline: PipelineConfig | None = None
    if not isinstance(given, str) or not given:
        problems.append(f"pipeline_config: {given!r} is not allowed; a file's path is needed")
    elif not dialect.reads_pipeline:
        problems.append('pipeline_config: only with "dialect": "easyrec"')
    else:
        context = Context("", folder, "", [])
        pipeline = context.attempt("pipeline_config", lambda: read_pipeline_config(folder / given))
        problems.extend(problem.removeprefix(".") for problem in context.problems)
    return pipeline
