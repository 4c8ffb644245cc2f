"""Verdicts on ONNX's node tests in parts, each kept in a file until the code changes.

A run that was stopped goes on where it was: the files lie in the temporary folder, under a digest
of the compiler, of the judge and of the libraries that it asks. A lock a part keeps two processes
from judging the same.
"""

from __future__ import annotations

import fcntl
import functools
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.code_digest import code_digest
from tests.onnx_nodes.judge import Outcome, Verdict
from tests.onnx_nodes.sweep import node_tests, sweep

__all__ = ["PARTS", "verdicts_of_part"]

PARTS = 16
_SOURCES = ("relay_passes", "rtcompile", "runtime", "tests/onnx_nodes")


def verdicts_of_part(part: int) -> dict[str, Verdict]:
    """By name, of every `PARTS`th test from the one numbered `part` on."""
    folder = Path(tempfile.gettempdir()) / f"rtcompile-onnx-nodes-{os.getuid()}" / _digest()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{part}.jsonl").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        found = dict(_read(file.read()))
        for name, verdict in sweep([c for c in _cases()[part::PARTS] if c.name not in found]):
            found[name] = verdict
            told = [name, verdict.outcome.value, verdict.independent, verdict.detail]
            file.write(json.dumps(told) + "\n")
            file.flush()
    return found


@functools.cache
def _cases() -> list[object]:
    return node_tests()


@functools.cache
def _digest() -> str:
    return code_digest(_SOURCES, ("onnx", "onnxruntime", "numpy", "apache-tvm"))


def _read(text: str) -> Iterator[tuple[str, Verdict]]:
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):  # a stopped run may leave half a line
            name, outcome, independent, detail = json.loads(line)
            yield name, Verdict(Outcome(outcome), independent, detail)
