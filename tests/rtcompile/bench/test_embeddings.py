from __future__ import annotations

from rich.console import Console

from rtcompile.bench.embeddings import lookup_table, time_lookups
from rtcompile.codegen.program.table_format import DTYPES


def test_every_dtype_is_measured_beside_fp32() -> None:
    timings = time_lookups(rows=(100,), dimensions=(16,))
    assert [timing.dtype for timing in timings] == list(DTYPES)
    assert all(timing.nanoseconds > 0 for timing in timings)
    console = Console(width=80, record=True)
    console.print(lookup_table(timings))
    assert "1.00x" in console.export_text()
