"""A feature config's JSON, and what no part of any config may be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rtcompile.errors import ConfigError
from rtcompile.features.conversion.read_file import read_text

__all__ = ["read_config", "text_problems"]

_MOST_BYTES = 1 << 28
_NAMES = ("feature_name", "sequence_name")


def read_config(path: Path) -> Any:
    """The file's content. Raises ConfigError."""
    try:
        text = read_text(path, _MOST_BYTES, "features")
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror or error}", str(path)) from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ConfigError(f"not JSON: {error.msg} at {where}", str(path)) from error
    except _DuplicateKeyError as error:
        raise ConfigError(f"key {error} is given twice in one object", str(path)) from error
    except (RecursionError, MemoryError) as error:
        raise ConfigError("not a feature config: nested too deeply", str(path)) from error
    except ValueError as error:  # of the file, or an integer of thousands of digits
        raise ConfigError(str(error).removeprefix(f"{path} is "), str(path)) from error


class _DuplicateKeyError(Exception):
    pass


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    counts = Counter(key for key, _ in pairs)
    for key, count in counts.items():
        if count > 1:
            raise _DuplicateKeyError(repr(key))
    return dict(pairs)


def text_problems(content: Any) -> Iterator[str]:
    """A line for each text that cannot be written as UTF-8, and each name with a zero byte."""
    waiting: list[tuple[str, str, Any]] = [("", "", content)]
    seen = set[int]()
    while waiting:
        path, key, value = waiting.pop()
        if isinstance(value, str):
            if not _is_unicode(value):
                yield f"{path}: half of a surrogate pair; texts are Unicode"
            elif key in _NAMES and "\0" in value:
                yield f"{path}: a name has no zero byte"
            continue
        if not isinstance(value, Mapping | list) or id(value) in seen:
            continue
        seen.add(id(value))
        if isinstance(value, list):
            waiting += [(f"{path}[{i}]", key, one) for i, one in enumerate(value)]
            continue
        for name, one in value.items():
            if isinstance(name, str) and not _is_unicode(name):
                yield f"{path}: a key with half of a surrogate pair; texts are Unicode"
                continue
            waiting.append((f"{path}.{name}" if path else str(name), str(name), one))


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
