"""Compare a compiled module with the original before the artifact is written.

The network runs beside ONNX Runtime on generated rows, at row counts below, at and above the size
of a tile, so that the tiling and the remainders are compared too. Ids are drawn from the range of
the tables that they look up. Where tables are in a lower precision, the original reads the values
that they hold, and the distance from the true original is reported beside (`stored_tables.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtcompile import runtime
from rtcompile.codegen.program.program import TILE
from rtcompile.compile.load_build import loaded
from rtcompile.compile.stored_tables import Original
from rtcompile.errors import VerificationError
from rtcompile.files.pieces import Sections
from rtcompile.frontends.onnx.import_onnx import ImportedGraph
from rtcompile.verification.differences import ScoreDifference, Verification
from rtcompile.verification.draw_inputs import ROW_COUNTS, Batch, InputPlan, ordinary
from rtcompile.verification.guarded_values import Guarded, guarded_requests
from rtcompile.verification.hostile_rows import past_the_end, with_hostile_rows
from rtcompile.verification.judge import Judge, open_judge
from rtcompile.verification.reference import open_session

__all__ = ["verify_network"]


def verify_network(
    graph: ImportedGraph,
    stored: Original | None,
    manifest: dict[str, Any],
    sections: Sections,
    judge: Judge | None = None,
) -> Verification:
    """Run both on the same rows. Raises VerificationError that names the worst output.

    `stored`: the original on the tables as they are stored, where they are not in fp32. `judge`:
    of that one, if it is open.
    """
    names, judge = graph.outputs, judge or open_judge(stored.graph if stored else graph)
    true = open_session(graph) if stored else None
    moved, largest, total = ScoreDifference(), 0.0, 0
    with loaded(manifest, sections) as ranker:
        plan = InputPlan.of(graph.model, ranker.input_ports)
        for rows in ROW_COUNTS:
            asked = judge.ask(_batch(plan, rows))
            if asked is None:
                continue
            got = _answer(ranker, names, asked.batch)
            largest = max(largest, judge.hold(asked, got))
            total += rows
            if true is not None:
                usual = ~asked.batch.hostile
                want = true(names, asked.batch.inputs)
                moved.add([w[usual] for w in want], [g[usual] for g in got])
        _refuse_past_the_end(ranker, plan)
        for guarded in guarded_requests(graph.model, plan):
            _hold_guarded(ranker, names, judge, guarded)
    return Verification(largest, total, moved if true else None)


def _batch(plan: InputPlan, rows: int) -> Batch:
    """Usual rows, in the larger batches of part of a tile with hostile ones among them."""
    inputs = plan.draw(rows, seed=rows)
    if rows <= 2 or rows == TILE:
        return ordinary(inputs, rows)
    return with_hostile_rows(plan, inputs, rows, rows)


def _answer(ranker: runtime.Ranker, names: Sequence[str], batch: Batch) -> list[Any]:
    try:
        found = ranker.predict(batch.inputs)
    except runtime.InferenceError as error:
        raise VerificationError(
            f"{batch.rows} rows that the original answers are refused: {error}: the artifact was "
            "not written"
        ) from error
    return [found[name] for name in names]


def _hold_guarded(
    ranker: runtime.Ranker, names: Sequence[str], judge: Judge, guarded: Guarded
) -> None:
    """What the original answers for a value that its operators alone would not take."""
    asked = judge.ask(guarded.batch)
    if asked is None:
        return
    if guarded.may_refuse:
        try:
            ranker.predict(guarded.batch.inputs)
        except runtime.InferenceError:
            return
    judge.hold(asked, _answer(ranker, names, asked.batch))


def _refuse_past_the_end(ranker: runtime.Ranker, plan: InputPlan) -> None:
    """An id that no table has a row for is an error, never a score."""
    for what, inputs in past_the_end(plan, plan.draw(1, seed=0)):
        try:
            ranker.predict(inputs)
        except runtime.InferenceError:
            continue
        raise VerificationError(
            f"{what}, which is past the end of its table, gives a score instead of an error: the "
            "artifact was not written"
        )
