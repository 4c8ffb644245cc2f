"""Tables in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

__all__ = ["table"]

_CODE_OR_BAR = re.compile(r"`[^`]*`|\|")


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """The lines of a table, with an empty line on either side."""
    yield ""
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(map(_cell, row))} |"
    yield ""


def _cell(text: str) -> str:
    """The text on one line, where a bar outside of code ends no cell."""
    return _CODE_OR_BAR.sub(lambda m: "\\|" if m[0] == "|" else m[0], " ".join(text.split()))
