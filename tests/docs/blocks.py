"""The code blocks of README and docs, and how they run.

| language | what becomes of it |
|---|---|
| `python` | runs in the page's folder; a page's blocks share their names |
| `sh` | runs in the page's folder, by bash that ends at the first command that fails |
| `json` | is read; an object with features must be a config that rtcompile takes |
| `yaml` | is read |
| `c` | is a file that the page compiles |
| `text`, `console` | shows what cannot run here, or what was printed |

A block with a `title` is the file of that name, and is written to the page's folder.
"""

from __future__ import annotations

import linecache
import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any

__all__ = ["RUN", "SHOWN", "Block", "Page", "blocks_of", "pages"]

ROOT = Path(__file__).parents[2]
RUN, SHOWN = ("python", "sh", "json", "yaml", "c"), ("text", "console")

_FENCE = re.compile(
    r"^(?P<indent> *)```(?P<language>\w*)(?P<rest>[^\n]*)\n(?P<body>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
_TITLE = re.compile(r'title="([^"]+)"')


@dataclass(frozen=True)
class Block:
    """A block of `page` that begins in `line`."""

    page: Path
    line: int
    language: str
    title: str | None
    text: str

    @property
    def place(self) -> str:
        """Where to look when it fails."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """README and every page of the docs that has a block."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if blocks_of(page)]


def blocks_of(page: Path) -> list[Block]:
    """The fenced blocks of a page, in order."""
    text = page.read_text("utf-8")
    found = []
    for match in _FENCE.finditer(text):
        title = _TITLE.search(match["rest"])
        line = text.count("\n", 0, match.start()) + 1
        body = dedent(match["body"])
        found.append(Block(page, line, match["language"], title and title[1], body))
    return found


@dataclass
class Page:
    """Runs the blocks of one page in `folder`, in order."""

    folder: Path
    names: dict[str, Any] = field(default_factory=lambda: {"__name__": "__main__"})

    def run(self, block: Block) -> None:
        """Run a block. Fails as its code does, with the page's line in the traceback."""
        if block.title:
            path = self.folder / block.title
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, "utf-8")
        elif block.language == "python":
            self._python(block)
        elif block.language == "sh":
            self._shell(block)

    def _python(self, block: Block) -> None:
        lines = "\n" * block.line + block.text
        name = str(block.page)
        linecache.cache[name] = (len(lines), None, lines.splitlines(keepends=True), name)
        exec(compile(lines, name, "exec"), self.names)

    def _shell(self, block: Block) -> None:
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.text],
            cwd=self.folder,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block.place}\n{done.stdout}\n{done.stderr}"
