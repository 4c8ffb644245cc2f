"""Item tables as callers give them: columns of values, whatever holds them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rtcompile.runtime.encoding.arrow_values import arrow_table, table_column
from rtcompile.runtime.encoding.plain_values import parts_of
from rtcompile.runtime.errors import RequestError
from rtcompile.runtime.shorten import first_few, short_repr

__all__ = ["column_of", "columns_of"]

_FORMS = "a mapping of columns, a list of mappings, an Arrow table or a frame is"


def columns_of(table: Any) -> Mapping[str, Any]:
    """Column -> values, of any of the forms that `ItemTable.upsert` takes. Raises RequestError."""
    try:
        found = arrow_table(table)
        if found is None and isinstance(table, list | tuple):
            found = _of_rows(parts_of(table))
    except RequestError:
        raise
    except Exception as error:  # whatever the code of a foreign object raises
        raise RequestError(f"items: {error}") from error
    if found is None:
        raise RequestError(f"items: {type(table).__name__} is no table; {_FORMS}")
    return found if isinstance(found, Mapping) else _Named(found)


def column_of(columns: Mapping[str, Any], name: str) -> Sequence[Any]:
    """The values of a column, as many as it holds. Raises RequestError."""
    try:
        values = columns[name]
        single = isinstance(values, str | bytes | bytearray | Mapping)
        if single or not hasattr(values, "__len__"):
            raise RequestError(
                f"items: column {short_repr(name)} is not a list of values but "
                f"{type(values).__name__} {short_repr(values)}; an item of its own goes in a list: "
                "[{...}]"
            )
        return table_column(values)
    except RequestError:
        raise
    except Exception as error:  # whatever the code of a foreign object raises
        raise RequestError(
            f"items: column {short_repr(name)} is not a list of values: {error}"
        ) from error


def _of_rows(rows: Sequence[Any]) -> dict[str, Sequence[object]] | None:
    if not all(isinstance(row, Mapping) for row in rows):
        return None
    names = dict.fromkeys(name for row in rows for name in row)
    for number, row in enumerate(rows):
        missing = [name for name in names if name not in row]
        if missing:
            lacking = first_few(missing, len(missing))
            raise RequestError(f"items: row {number} lacks {lacking}")
    return {name: [row[name] for row in rows] for name in names}


class _Named(Mapping[str, Any]):
    """The columns of an Arrow table."""

    def __init__(self, table: Any) -> None:
        self._table, self._names = table, tuple(table.column_names)

    def __getitem__(self, name: str) -> Any:
        return self._table[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
