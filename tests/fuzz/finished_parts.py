"""Which parts of the campaign over graphs ran on this code, and what failed, in a file."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from tests.code_digest import code_digest

__all__ = ["FinishedParts"]

_SOURCES = ("relay_passes", "rtcompile", "runtime", "tests/fuzz")
_PACKAGES = ("apache-tvm", "hypothesis", "numpy", "onnx", "onnxruntime")


class FinishedParts:
    """The failures of each finished part, by its number."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._parts: dict[int, list[str]] = {}
        text = path.read_text() if path.exists() else ""
        for line in text.splitlines(keepends=True):
            if line.endswith("\n"):  # a stopped run may leave half a line
                part, failures = json.loads(line)
                self._parts[part] = failures

    @staticmethod
    def of_this_code() -> FinishedParts:
        """In the temporary folder, under a digest of the compiler, the fuzzer and the libraries."""
        folder = Path(tempfile.gettempdir()) / f"rtcompile-fuzz-{os.getuid()}"
        folder.mkdir(exist_ok=True)
        return FinishedParts(folder / f"{code_digest(_SOURCES, _PACKAGES)}.jsonl")

    def __contains__(self, part: int) -> bool:
        return part in self._parts

    def __getitem__(self, part: int) -> list[str]:
        return self._parts[part]

    def add(self, part: int, failures: list[str]) -> None:
        """Note a part, at once."""
        self._parts[part] = failures
        with self._path.open("a") as file:
            file.write(json.dumps([part, failures]) + "\n")
