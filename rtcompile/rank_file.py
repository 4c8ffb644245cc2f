"""`rtcompile rank`: requests from a file, scores to a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import runtime
from rtcompile.artifact import write_atomically
from rtcompile.errors import DataError

__all__ = ["rank_file"]

_KEYS = ("user", "items", "context")


def rank_file(artifact: Path, items: Path, requests: Path, output: Path | None) -> int:
    """Score every request of a JSON-lines file; returns how many there were.

    A line of scores is {"items": [...], "scores": {output: [...]}}. With `output` the file appears
    whole or not at all. Raises DataError or an error of the runtime, which name the line.
    """
    ranker = runtime.load(artifact)
    ranker.items.replace(items)
    lines = [json.dumps(_rank(ranker, requests, *line)) for line in _lines(requests)]
    text = "".join(f"{line}\n" for line in lines).encode()
    if output is None:
        sys.stdout.write(text.decode())
    else:
        write_atomically(output, [(0, text)], len(text))
    return len(lines)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, _request(path, number, line)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8: {error.reason}") from error


def _request(path: Path, number: int, line: str) -> dict[str, Any]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}, line {number}: not JSON: {error}") from error
    if not isinstance(request, dict) or not {"user", "items"} <= set(request):
        raise DataError(f"{path}, line {number}: an object with user and items is needed")
    unknown = [key for key in request if key not in _KEYS]
    if unknown:
        raise DataError(
            f"{path}, line {number}: unknown key {unknown[0]!r}; allowed are {', '.join(_KEYS)}"
        )
    return request


def _rank(ranker: runtime.Ranker, path: Path, number: int, request: Any) -> dict[str, Any]:
    try:
        scores = ranker.rank(request["user"], request["items"], request.get("context"))
    except runtime.RequestError as error:
        # The same class, so that the exit code says what it was.
        raise type(error)(f"{path}, line {number}: {error}") from error
    listed = {name: array.tolist() for name, array in scores.items()}
    return {"items": request["items"], "scores": listed}
