"""Vocabularies: from the three forms of a config to one table of codes.

- A list or dict without `default_bucketize_value` keeps code 0 for the default value and 1 for
  words that are not listed. List words count from 2 on; a default value that is itself listed keeps
  the code of its place. A dict entry equal to the default value becomes 0.
- With `default_bucketize_value`, words not listed get it and nothing is reserved: list words count
  from 0, dict codes are as given.
- The last of equal words counts.
- A file reserves nothing and needs `default_bucketize_value`; a line is a word (its code is its
  line number, from 0), or a word and a code with white space between.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from rtcompile.features.conversion.read_file import read_text
from rtcompile.features.plan import Vocabulary

__all__ = ["vocabulary_from_dict", "vocabulary_from_file", "vocabulary_from_list"]

_DEFAULT_CODE, _UNLISTED_CODE = 0, 1
_CODED_LINE = re.compile(r"(?P<word>.*?)\s+(?P<code>\d{1,18})")


def _make(entries: dict[str, int], unlisted: int) -> Vocabulary:
    size = max([unlisted, *entries.values()]) + 1
    return Vocabulary(tuple((w.encode(), c) for w, c in entries.items()), unlisted, size)


def vocabulary_from_list(words: Sequence[str], default: str, unlisted: int | None) -> Vocabulary:
    """Codes by place. The last of equal words counts. Raises ValueError for an empty list."""
    if not words:
        raise ValueError("at least one word is needed")
    first = 0 if unlisted is not None else 2
    entries: dict[str, int] = {} if unlisted is not None else {default: _DEFAULT_CODE}
    if unlisted is None and default in words:
        entries = {}
    for place, word in enumerate(words):
        entries[word] = place + first
    return _make(entries, _UNLISTED_CODE if unlisted is None else unlisted)


def vocabulary_from_dict(codes: dict[str, int], default: str, unlisted: int | None) -> Vocabulary:
    """Codes as given. Raises ValueError for an empty dict or a negative code."""
    if not codes:
        raise ValueError("at least one word is needed")
    for word, code in codes.items():
        if code < 0:
            raise ValueError(f"the code of {word!r} is {code}; codes are 0 or more")
    if unlisted is not None:
        return _make(dict(codes), unlisted)
    return _make({**codes, default: _DEFAULT_CODE}, _UNLISTED_CODE)


def vocabulary_from_file(path: Path, unlisted: int, coded: bool = True) -> Vocabulary:
    """Words, or where `coded`, words with codes. Raises OSError, ValueError."""
    entries: dict[str, int] = {}
    lines = read_text(path).split("\n")
    if lines and not lines[-1].strip():
        # The last line end is no empty word, nor is a last line of blanks.
        lines.pop()
    for number, line in enumerate(lines):
        match = _CODED_LINE.fullmatch(line.rstrip("\r")) if coded else None
        if match:
            entries[match["word"]] = int(match["code"])
        else:
            entries[line.rstrip("\r")] = number
    if not entries:
        raise ValueError("the file is empty")
    return _make(entries, unlisted)
