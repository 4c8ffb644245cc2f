"""The entries of a manifest, out of the checks that the runtime makes of them.

A check is a closure over what it asks for, and that is read here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import Any

from markdown_table import table

import rtcompile

__all__ = ["manifest_page"]

_NOUNS = ("integer", "number", "object", "source", "step", "text")


def manifest_page() -> Iterator[str]:
    """The lines of the page."""
    # The module, by whatever name the runtime is installed.
    package = rtcompile.load.__module__.rpartition(".")[0]
    schema = import_module(f"{package}.manifest_schema")
    yield "# The manifest"
    yield ""
    yield (
        "`rtcompile inspect ART --json` prints it. The runtime checks these entries when it loads "
        "an artifact, and refuses one that is missing or wrong by its path. Entries that are not "
        "listed are for people and tools."
    )
    parts = {
        "The file": schema._FILE,
        "The module that is loaded": schema._CHOSEN,
        "A stage": schema._record(schema._NETWORK, schema._PROBES),
        "A stage of the network, besides": schema._record(schema._SOURCES),
        "A stage of features, besides": schema._record(schema._COLUMNS),
    }
    for title, check in parts.items():
        yield f"## {title}"
        yield from table(("entry", "value"), list(_entries(check, "")))


def _entries(check: Callable[..., None], path: str) -> Iterator[tuple[str, str]]:
    """(path, what it must be) of all that a check of `manifest_schema` looks at."""
    kind, held = _closure(check)
    if kind == "_record":
        for name, one in held["known"].items():
            below = f"{path}.{name}" if path else name
            suffix = "" if name in held["required"] else " (optional)"
            yield f"`{below}`{suffix}", _said(one)
            yield from _entries(one, below)
    elif kind == "_list":
        yield from _entries(held["check"], f"{path}[i]")
    elif kind == "_table":
        yield from _entries(held["check"], f"{path}.NAME")
    elif kind == "_optional":
        yield from _entries(held["check"], path)


def _said(check: Callable[..., None]) -> str:
    """What a check asks for, in words."""
    kind, held = _closure(check)
    if kind == "_whole":
        return f"integer from {held['least']} on"
    if kind == "_text":
        return " or ".join(f"`{one}`" for one in held["allowed"]) or "text"
    if kind == "_list":
        count = f"{held['count']} " if held["count"] is not None else ""
        return f"list of {count}{_several(held['check'])}"
    if kind == "_table":
        return f"object of {_several(held['check'])} by name"
    if kind == "_optional":
        return f"{_said(held['check'])}, or null"
    return {"_record": "object", "_flag": "true or false", "_bytes": "text of bytes"}.get(
        kind, kind.strip("_")
    )


def _several(check: Callable[..., None]) -> str:
    """What a check asks for, as more than one of them."""
    said = _said(check)
    first, blank, rest = said.partition(" ")
    return f"{first}s{blank}{rest}" if first in _NOUNS else said


def _closure(check: Callable[..., None]) -> tuple[str, Mapping[str, Any]]:
    """The function that made a check, and what it was given."""
    return check.__qualname__.partition(".")[0], inspect.getclosurevars(check).nonlocals
