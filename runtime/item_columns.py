"""Item tables as callers give them: columns of values, whatever holds them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from runtime.errors import RequestError
from runtime.shorten import first_few, short_repr

__all__ = ["columns_of"]

_FORMS = "a mapping of columns, a list of mappings or a pyarrow.Table is"


def columns_of(table: Any) -> dict[str, Sequence[object]]:
    """Column -> values, of any of the forms that `ItemTable.upsert` takes. Raises RequestError."""
    if hasattr(table, "to_pydict"):
        return dict(table.to_pydict())
    if isinstance(table, Mapping):
        return {name: _column(name, values) for name, values in table.items()}
    if isinstance(table, list | tuple) and all(isinstance(row, Mapping) for row in table):
        return _of_rows(table)
    raise RequestError(f"items: {type(table).__name__} is no table; {_FORMS}")


def _of_rows(rows: Sequence[Mapping[str, object]]) -> dict[str, Sequence[object]]:
    names = dict.fromkeys(name for row in rows for name in row)
    for number, row in enumerate(rows):
        missing = [name for name in names if name not in row]
        if missing:
            lacking = first_few(missing, len(missing))
            raise RequestError(f"items: row {number} lacks {lacking}")
    return {name: [row[name] for row in rows] for name in names}


def _column(name: object, values: Any) -> Any:
    """A column as a list, a tuple or an array: what it holds is counted, not what it promises."""
    if isinstance(values, list | tuple):
        return values
    if isinstance(values, np.ndarray) and values.ndim:
        return values
    single = isinstance(values, str | bytes | bytearray | Mapping | np.ndarray)
    if single or not isinstance(values, Iterable) or not hasattr(values, "__len__"):
        raise RequestError(
            f"items: column {short_repr(name)} is not a list of values but "
            f"{type(values).__name__} {short_repr(values)}; an item of its own goes in a list: "
            "[{...}]"
        )
    return list(values.to_pylist() if hasattr(values, "to_pylist") else values)
