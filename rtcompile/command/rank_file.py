"""`rtcompile rank`: requests from a file or a stream, scores to a file or a stream.

One request is read, scored and written before the next is read: memory does not grow with their
count, and a program on the other end of a pipe has each answer before it asks again.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rtcompile import runtime
from rtcompile.command.counts_summary import Counters
from rtcompile.errors import DataError
from rtcompile.files.input_lines import numbered_lines, parse_object
from rtcompile.files.output_file import STANDARD, open_output
from rtcompile.runtime.items.read_items import read_json_lines
from rtcompile.runtime.shorten import short_repr

__all__ = ["Ranked", "rank_file"]

_KEYS = ("user", "items", "context")
_NEEDED = "an object with user and items"


@dataclass
class Ranked:
    """How many requests a run read, how many of them were refused, and what became of values."""

    requests: int = 0
    refused: int = 0
    counters: Counters = field(default_factory=dict)


def rank_file(
    artifact: Path,
    items: Path,
    requests: Path,
    output: Path = STANDARD,
    *,
    on_error: str = "fail",
    strict: bool = False,
    report: Callable[[str], None] = lambda message: None,
) -> Ranked:
    """Score every request of JSON lines, in their order.

    A line of scores is {"items": [...], "scores": {output: [...]}}. `-` is standard input and
    output. An output that is a file appears whole or not at all; to a stream each line goes at
    once. `on_error`: a request that is refused ends the run, or with "skip" has the line
    {"line": its number, "error": why} in place of scores, which `report` is told too. `strict`: a
    value that cannot be read is an error.

    Raises DataError, OutputError or an error of the runtime, which name the line.
    """
    if items == requests == STANDARD:
        raise DataError("items and requests cannot both come from standard input")
    ranker = runtime.load(artifact, strict=strict)
    ranker.items.replace(_item_table(items))
    done = Ranked()
    with open_output(output) as out:
        for number, line in numbered_lines(requests):
            done.requests += 1
            try:
                answer = _answer(ranker, f"{requests}, line {number}", line)
            except (DataError, runtime.RequestError) as error:
                if on_error == "fail":
                    raise
                done.refused += 1
                report(str(error))
                answer = {"line": number, "error": str(error)}
            out.write(json.dumps(answer).encode() + b"\n")
            if out.is_stream:
                out.flush()
    done.counters = ranker.counters()
    return done


def _item_table(path: Path) -> Any:
    """A path that the runtime reads, or the rows of a stream, which are JSON lines."""
    if path == STANDARD:
        return read_json_lines(sys.stdin.buffer, "standard input")
    return path


def _answer(ranker: runtime.Ranker, where: str, line: bytes) -> dict[str, Any]:
    request = parse_object(where, line, _NEEDED)
    if not {"user", "items"} <= set(request):
        raise DataError(f"{where}: {_NEEDED} is needed")
    unknown = [key for key in request if key not in _KEYS]
    if unknown:
        raise DataError(
            f"{where}: unknown key {short_repr(unknown[0])}; allowed are {', '.join(_KEYS)}"
        )
    try:
        scores = ranker.rank(request["user"], request["items"], request.get("context"))
    except runtime.RequestError as error:
        # The same class, so that the exit code says what it was.
        raise type(error)(f"{where}: {error}") from error
    listed = {name: array.tolist() for name, array in scores.items()}
    return {"items": request["items"], "scores": listed}
