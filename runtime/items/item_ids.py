"""Item ids as callers give them: one, several, or a column of an item table.

A text is one id, never the sequence of its characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from rtcompile.runtime.encoding.plain_values import is_list, parts_of
from rtcompile.runtime.errors import RequestError
from rtcompile.runtime.items.item_index import item_key
from rtcompile.runtime.shorten import short_repr

__all__ = ["as_ids", "ids_of", "keys_of"]

_SINGLE = (str, bytes, bytearray, int, np.integer)


def as_ids(items: object) -> Sequence[Any]:
    """The ids that a request ranks, as a list or tuple. Raises RequestError for a single id too."""
    if is_list(items) and getattr(items, "ndim", 1) == 1:
        try:
            return parts_of(items)
        except (TypeError, ValueError) as error:
            raise RequestError(f"items: {error}") from error
    hint = f": [{short_repr(items)}] for one" if isinstance(items, _SINGLE) else ""
    raise RequestError(f"items: a list of ids, not {type(items).__name__}{hint}")


def ids_of(ids: object) -> list[str]:
    """The keys of a single id, or of an iterable of them. Raises RequestError."""
    if isinstance(ids, _SINGLE):
        return keys_of([ids], "ids")
    if (
        isinstance(ids, Mapping | memoryview)
        or not isinstance(ids, Iterable)
        or not getattr(ids, "ndim", 1)
    ):
        raise RequestError(f"ids: an id or a list of ids, not {type(ids).__name__}")
    return keys_of(ids.to_pylist() if hasattr(ids, "to_pylist") else ids, "ids")


def keys_of(values: Iterable[object], where: str) -> list[str]:
    """Ids as they are compared. Raises RequestError that names the place."""
    try:
        given = parts_of(values) if is_list(values) else list(values)
    except Exception as error:  # whatever the code of a foreign object raises
        raise RequestError(f"{where}: {error}") from error
    keys: list[str] = []
    for row, value in enumerate(given):
        try:
            keys.append(item_key(value))
        except TypeError as error:
            raise RequestError(f"{where}: row {row}: {error}") from error
    return keys
