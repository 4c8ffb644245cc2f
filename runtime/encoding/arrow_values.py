"""Columns of Arrow, and of what can hand Arrow over (polars, pandas, DuckDB), as Python values.

| Arrow                                         | values                                      |
|-----------------------------------------------|---------------------------------------------|
| null                                          | None                                        |
| bool, int, uint, float16 to float64           | numbers                                     |
| decimal                                       | numbers, exact where they are whole         |
| string, binary, also large, view, fixed size  | texts                                       |
| list, also large, view, fixed size            | lists                                       |
| struct; map; list of structs of key and value | maps; a key without a value is no entry     |
| dictionary, run-end encoded                   | what they hold                              |

Dates, times, durations, unions and extension types are refused by name: what number or text they
should be is for the caller to say.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rtcompile.runtime.encoding.plain_values import column_values

__all__ = ["arrow_table", "table_column"]


_PLAIN = frozenset((list, tuple, np.ndarray))


def arrow_table(table: Any) -> Any:
    """A mapping of column to values, or something that has `column_names` and gives columns by
    them; None where `table` is no table.

    A frame becomes an Arrow table, of pandas' and polars' column by column. Raises TypeError,
    ValueError.
    """
    if isinstance(table, Mapping) or hasattr(table, "column_names"):
        return table
    library = _made_by(table)
    if (library == "pandas" or (library == "polars" and hasattr(table, "get_column"))) and hasattr(
        table, "columns"
    ):
        return {str(name): table[name] for name in table.columns}
    if hasattr(table, "__arrow_c_stream__"):
        return _library().table(table)
    return None


def table_column(column: Any) -> Sequence[Any]:
    """A column's values, of Arrow or of Python. Raises TypeError, ValueError."""
    if type(column) in _PLAIN:
        return column_values(column)
    library = _made_by(column)
    if library == "pandas":
        column = _of_pandas(column)
    elif library == "polars" and str(column.dtype) == "Object":
        column = column.to_list()  # Arrow would have their addresses
    elif not hasattr(column, "to_pylist") and hasattr(column, "__arrow_c_stream__"):
        column = _library().chunked_array(column)
    if not hasattr(column, "to_pylist"):
        return column_values(column)
    column = _plain_array(column)
    try:
        found: list[Any] = column.to_pylist()
    except UnicodeDecodeError:
        # Bytes are texts as they are; within lists and maps they have to be UTF-8.
        found = column.cast(_library().large_binary()).to_pylist()
    return found


def _made_by(value: object) -> str:
    return type(value).__module__.partition(".")[0]


def _library(name: str = "pyarrow") -> Any:
    """Who has something of Arrow's has this too; of a frame, perhaps not. Raises TypeError."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise TypeError("reading a frame needs pyarrow; install it") from error


def _of_pandas(column: Any) -> Any:
    """As Arrow, so that what pandas puts for a missing value is none; else as Python has it."""
    pyarrow = _library()
    try:
        return pyarrow.array(column, from_pandas=True)
    except (pyarrow.ArrowException, TypeError, ValueError):
        return column.tolist()


def _plain_array(column: Any) -> Any:
    """A column of types that values can have. Raises TypeError."""
    pyarrow = _library()
    kind = column.type
    _check(kind)
    while isinstance(kind, pyarrow.DictionaryType) or _is_run_end(kind):
        chunks = column.chunks if hasattr(column, "chunks") else [column]
        try:
            decoded = [_decoded(chunk) for chunk in chunks]
        except pyarrow.ArrowNotImplementedError:
            break  # of views, as polars has categories: value by value, then
        kind = kind.value_type
        column = pyarrow.chunked_array(decoded, kind)
    return column


def _decoded(chunk: Any) -> Any:
    if _is_run_end(chunk.type):
        return _library("pyarrow.compute").run_end_decode(chunk)
    return chunk.dictionary_decode()


def _is_run_end(kind: Any) -> bool:
    return isinstance(kind, getattr(_library(), "RunEndEncodedType", ()))


def _check(kind: Any) -> None:
    """Raise TypeError for a type without a reading."""
    pyarrow = _library()
    types = pyarrow.types
    if isinstance(kind, pyarrow.BaseExtensionType):
        raise TypeError(f"{kind} is not a value; cast it to {kind.storage_type}")
    if types.is_temporal(kind):
        raise TypeError(f"{kind} is not a value; cast it to an integer or a string")
    if types.is_union(kind):
        raise TypeError(f"{kind} is not a value; give a column a type")
    if isinstance(kind, pyarrow.DictionaryType) or _is_run_end(kind):
        _check(kind.value_type)
        return
    for index in range(kind.num_fields):
        _check(kind.field(index).type)
