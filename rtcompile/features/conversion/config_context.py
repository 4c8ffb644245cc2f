"""Where a feature of a config stands: what its inputs name, and what is wrong with it."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtcompile.features.conversion.dialect import DIALECTS, Dialect
from rtcompile.features.conversion.pipeline_config import PipelineConfig
from rtcompile.features.conversion.schema import FeatureSchema
from rtcompile.features.operators import Values
from rtcompile.features.plan import Constant, Feature, Input, Side
from rtcompile.features.plan import (
    Sequence as PlanSequence,
)
from rtcompile.runtime.encoding.text_steps import MissingLibraryError

__all__ = ["Context", "Inputs"]

Inputs = tuple[Input | Constant | Feature, ...]

# Of features that read each other; kernels hold them inside each other.
MOST_LEVELS, MOST_FEATURES = 16, 64


@dataclass
class Context:
    """Where a feature stands and what its config says for all. Problems are collected."""

    path: str  # JSON path
    base_dir: Path
    hash: str
    problems: list[str]
    sequence: PlanSequence | None = None
    grouped: bool = False
    side: Side = Side.USER  # of a grouped sequence's columns
    known: Mapping[str, Feature] = field(default_factory=dict)  # features so far, by name
    broken: set[str] = field(default_factory=set)  # names of those that could not be read
    dialect: Dialect = DIALECTS["pyfg"]
    pipeline: PipelineConfig | None = None  # EasyRec's, where the config names it
    embedding_dim: int | None = None  # of all features that have none of their own

    def problem(self, key: str, message: str) -> None:
        """Note a problem of one key."""
        self.problems.append(f"{self.path}.{key}: {message}")

    def attempt(self, key: str, call: Callable[[], Any]) -> Any:
        """The result of `call`, or None and a problem for what it raises."""
        try:
            return call()
        except OSError as error:
            self.problem(key, f"{error.filename}: {error.strerror}")
        except (ValueError, MissingLibraryError) as error:
            self.problem(key, str(error))
        except (MemoryError, OverflowError, RecursionError) as error:
            self.problem(key, f"too large or too deep to be compiled ({type(error).__name__})")
        return None

    def inputs(
        self,
        schema: FeatureSchema,
        given: Sequence[tuple[str, str]],
        *,
        columns: Collection[str] = (),
        split_all: bool = False,
    ) -> Inputs:
        """What (key, "side:name") pairs name.

        The keys of `columns` take no other feature's values. `split_all`: in a sequence every
        column is one.
        """
        found: list[Input | Constant | Feature] = []
        for key, text in given:
            read = self._input(schema, key, text, len(given), split_all)
            if isinstance(read, Feature) and key in columns:
                self.problem(key, f"{text}: a column is needed, not another feature's values")
            if read is not None:
                found.append(read)
        self._check__nesting(schema.feature_name, given, found)
        if len(found) == len(given):
            self._check_sequence(schema, [text for _, text in given], found)
        return tuple(found)

    def _check__nesting(
        self, name: str, given: Sequence[tuple[str, str]], found: Sequence[Any]
    ) -> None:
        """A feature's kernel has those that it reads inside it, and those that they read."""
        for (key, text), read in zip(given, found, strict=False):
            levels, count = _nesting(read)
            if levels > MOST_LEVELS or count > MOST_FEATURES:
                self.problem(
                    key,
                    f"{text}: {levels} features read each other, {count} in all; at most "
                    f"{MOST_LEVELS} and {MOST_FEATURES} are supported",
                )
                self.broken.add(name)

    def _check_sequence(
        self, schema: FeatureSchema, texts: list[str], found: Sequence[Input | Constant | Feature]
    ) -> None:
        """The fields that are called a sequence's are inputs, and some input is a sequence."""
        names = [text.rpartition(":")[2] or schema.feature_name for text in texts]
        for name in schema.sequence_fields or ():
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                self.problem(
                    "sequence_fields",
                    f"{name!r} is none of the feature's inputs, {', '.join(names)}{hint}",
                )
        if schema.sequence_fields and self.sequence is None:
            self.problem("sequence_fields", "the feature is in no sequence")
        several = any(read.sequence for read in found if isinstance(read, Input | Feature))
        made_of_elements = self.sequence is not None and schema.makes_no_sequence
        if made_of_elements and found and not several:
            self.problem(
                "sequence_fields",
                f"none of the inputs {', '.join(names)} is a sequence; name those that are",
            )

    def _input(
        self, schema: FeatureSchema, key: str, text: str, count: int, split_all: bool
    ) -> Input | Constant | Feature | None:
        side, _, name = text.partition(":")
        if not text and count == 1:
            # A config for training alone leaves it out: the column has the feature's name.
            side, name = ("user" if self.sequence else "context"), schema.feature_name
        if side == "const" and name:
            return Constant(name.encode())
        if side == "feature" and name:
            return self._other(key, name)
        if side not in [s.value for s in Side] or not name:
            self.problem(
                key,
                f"{text!r} is not allowed; write user:NAME, item:NAME, context:NAME, feature:NAME "
                "or const:TEXT",
            )
            return None
        if "\0" in name:
            self.problem(key, "a name has no zero byte")
            return None
        listed = schema.sequence_fields
        marked = name in listed if listed else side == "item" or count == 1
        if self.sequence is not None and self.grouped and marked:
            return Input(self.side, f"{self.sequence.group}__{name}", True)
        sequence = self.sequence is not None and (marked or split_all)
        return Input(Side(side), name, sequence)

    def _other(self, key: str, name: str) -> Input | Feature | None:
        group = f"{self.sequence.group}__{name}" if self.sequence and self.grouped else name
        found = self.known.get(group) or self.known.get(name)
        if name in self.broken or group in self.broken:
            return None
        if found is None:
            self.problem(key, f"feature:{name} names no feature that stands before this one")
        if (
            found
            and isinstance(found.operator, Values)
            and not found.default
            and len(found.inputs) == 1
        ):
            column = found.inputs[0]
            if isinstance(column, Input) and column.steps:
                return column  # its texts, as whole as they came
        return found


def _nesting(read: Input | Constant | Feature) -> tuple[int, int]:
    """How many features read each other, from this one inward, and how many there are in all."""
    if not isinstance(read, Feature):
        return 0, 0
    inner = [_nesting(one) for one in read.inputs]
    levels, counts = max((n for n, _ in inner), default=0), sum(n for _, n in inner)
    return 1 + levels, 1 + counts
