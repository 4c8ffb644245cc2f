"""Compare a compiled module with the original before the artifact is written.

The network runs beside ONNX Runtime on generated rows, at row counts below, at and above the size
of a tile, so that the tiling and the remainders are compared too. Ids are drawn from the range of
the tables that they look up. Where tables are in a lower precision, the original reads the values
that they hold, and the distance from the true original is reported beside (`stored_tables.py`).
"""

from __future__ import annotations

from functools import partial
from typing import Any

from rtcompile.frontends.onnx_import import ImportedGraph
from rtcompile.loaded import loaded
from rtcompile.verification.differences import ScoreDifference, Verification
from rtcompile.verification.draw_inputs import ROW_COUNTS, generate_inputs, ordinary
from rtcompile.verification.float64 import run_in_float64
from rtcompile.verification.judge import Judge
from rtcompile.verification.reference import open_session
from rtcompile.verification.stored_tables import Original

__all__ = ["verify_network"]


def verify_network(
    graph: ImportedGraph,
    stored: Original | None,
    manifest: dict[str, Any],
    sections: dict[str, bytes],
) -> Verification:
    """Run both on the same rows. Raises VerificationError that names the worst output.

    `stored`: the original on the tables as they are stored, where they are not in fp32.
    """
    original = stored.graph if stored else graph
    run, names = open_session(original), graph.outputs
    true = open_session(graph) if stored else None
    judge = Judge(names, partial(run, names), partial(run_in_float64, original.model))
    moved = ScoreDifference()
    with loaded(manifest, sections) as ranker:
        largest, total = 0.0, 0
        for rows in ROW_COUNTS:
            inputs = generate_inputs(graph.model, ranker.input_ports, rows, seed=rows)
            actual = ranker.predict(inputs)
            got = [actual[name] for name in names]
            largest = max(largest, judge.hold(ordinary(inputs, rows), got))
            if true is not None and rows > 1:  # see `Judge.hold` on one row
                moved.add(true(names, inputs), got)
            total += rows
    return Verification(largest, total, moved if true else None)
