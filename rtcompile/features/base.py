"""What every feature type's conversion shares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtcompile.features.plan import Bucketizer, Embedding, InputColumn, Sequence, Side
from rtcompile.features.schema import FeatureSchema

__all__ = ["Context", "embedding_of", "input_column", "split_default"]


@dataclass
class Context:
    """Where a feature stands and what its config says for all. Problems are collected."""

    path: str  # JSON path
    base_dir: Path
    hash: str
    problems: list[str]
    sequence: Sequence | None = None
    grouped: bool = False

    def problem(self, key: str, message: str) -> None:
        """Note a problem of one key."""
        self.problems.append(f"{self.path}.{key}: {message}")

    def attempt(self, key: str, call: Callable[[], Any]) -> Any:
        """The result of `call`, or None and a problem for a ValueError or OSError."""
        try:
            return call()
        except OSError as error:
            self.problem(key, f"{error.filename}: {error.strerror}")
        except ValueError as error:
            self.problem(key, str(error))
        return None


def input_column(schema: FeatureSchema, context: Context) -> InputColumn:
    """The raw column behind `expression`: user:NAME, item:NAME or context:NAME."""
    side, _, name = schema.expression.partition(":")
    known = [s.value for s in Side]
    if side in ("feature", "const"):
        context.problem("expression", f"{side}: inputs are not supported yet")
    elif side not in known or not name:
        context.problem(
            "expression",
            f"{schema.expression!r} is not allowed; write user:NAME, item:NAME or context:NAME",
        )
    if context.grouped and context.sequence is not None:
        name = f"{context.sequence.group}__{name}"
    return InputColumn(Side(side) if side in known else Side.USER, name)


def embedding_of(
    schema: FeatureSchema, name: str, bucketizer: Bucketizer | None
) -> Embedding | None:
    """How ids are pooled, where a graph input wants them so."""
    if bucketizer is None:
        return None
    return Embedding(schema.embedding_name or name, schema.embedding_dim, schema.pooling)


def split_default(text: str, separator: str) -> tuple[bytes, ...]:
    """The default's values; an empty default has none."""
    return tuple(part.encode() for part in text.split(separator) if part)
