"""Which dtype each embedding table is stored in.

A table named in the options has the dtype given there. The others have the default's, but for

    a table of fewer than 64 rows            nothing is gained
    one that would not become half as large  int8 and int4 of one column: a scale a value
    one that is no table of the model        folded out of its constants; it has no name

which stay in fp32. `inspect` and `--explain` say so of each.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rtcompile.codegen.program.table_format import DTYPES, TableFormat
from rtcompile.errors import ConfigError, EmbeddingsError

__all__ = ["SMALL_ROWS", "TableDtypes", "table_dtypes"]

SMALL_ROWS = 64


@dataclass(frozen=True)
class TableDtypes:
    """`default` for all tables, `named` for single ones: table name -> dtype."""

    default: str = "fp32"
    named: Mapping[str, str] = field(default_factory=dict)

    def choose(self, name: str | None, rows: int, dimension: int) -> tuple[str, str]:
        """(dtype, why it is not the default) of a table; None for one without a name."""
        if name is not None and name in self.named:
            return self.named[name], "chosen by name"
        if self.default == "fp32":
            return "fp32", ""
        if name is None:
            return "fp32", "folded out of the model's constants"
        if rows < SMALL_ROWS:
            return "fp32", f"fewer than {SMALL_ROWS} rows"
        if 2 * TableFormat(self.default, dimension).row_bytes > 4 * dimension:
            return "fp32", f"not half as large in {self.default}"
        return self.default, ""

    def check_names(self, tables: Iterable[str]) -> None:
        """Raises EmbeddingsError where a named table is none of `tables`."""
        known = sorted(tables)
        for name in self.named:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise EmbeddingsError(
                    f"table {name!r} has a dtype of its own, but the model has no such table{hint} "
                    f"Tables: {', '.join(known) or 'none'}"
                )


def table_dtypes(default: str, named: Iterable[tuple[str, str]]) -> TableDtypes:
    """Of options. Raises ConfigError for a dtype that is not known, or a table named twice."""
    pairs = tuple(named)
    for dtype in (default, *(dtype for _, dtype in pairs)):
        if dtype not in DTYPES:
            raise ConfigError(
                f"embedding dtype {dtype!r} is not known; known are {', '.join(DTYPES)}"
            )
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise ConfigError(f"table {twice!r} is given a dtype more than once")
    return TableDtypes(default, dict(pairs))
