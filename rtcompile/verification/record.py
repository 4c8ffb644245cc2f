"""Make what an artifact carries to be verified by later, of the original alone.

Nothing of it depends on the target or on this machine's CPU, so a build for another one carries the
same. It stays below a megabyte: rows of a wide graph are fewer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rtcompile.codegen.program.program import TILE
from rtcompile.features.plan import Side
from rtcompile.runtime.columns import Column
from rtcompile.verification.draw_inputs import Batch, InputPlan, ordinary
from rtcompile.verification.feature_scores import Referenced, Scores
from rtcompile.verification.hostile_rows import with_hostile_rows
from rtcompile.verification.judge import Judge
from rtcompile.verification.recorded import Case, pack_cases
from rtcompile.verification.requests import Request

__all__ = ["record_network", "record_ranking"]

_MOST_BYTES = 1_000_000
# Before compression; drawn numbers hardly compress, and answers are small.
_MOST_DRAWN = 600_000
_ROWS = TILE + 37


def record_network(
    judge: Judge, model: Any, ports: Any, exactly: bool, hostile: bool
) -> bytes | None:
    """The section for an onnx.ModelProto of inputs `ports`; None where one row is too large.

    `exactly`: see `Judge.expect`. `hostile`: rows out of the ordinary are among them.
    """
    plan = InputPlan.of(model, ports)
    each = sum(array.nbytes for array in plan.draw(1, seed=0).values())
    rows = min(_ROWS, _MOST_DRAWN // max(each, 1))
    while rows:
        cases = [_graph_case(judge, plan, count, exactly, hostile) for count in sorted({1, rows})]
        section = pack_cases([case for case in cases if case is not None])
        if len(section) <= _MOST_BYTES:
            return section
        rows //= 2
    return None


def _graph_case(
    judge: Judge, plan: InputPlan, rows: int, exactly: bool, hostile: bool
) -> Case | None:
    drawn = plan.draw(rows, seed=rows)
    mixed = hostile and rows > 2
    batch = with_hostile_rows(plan, drawn, rows, rows) if mixed else ordinary(drawn, rows)
    found = judge.expect(batch, exactly)
    if found is None:
        return None
    kept, answers = found
    return Case(kept.kinds, {"inputs": dict(kept.inputs)}, answers)


def record_ranking(generated: Sequence[Referenced], scores: Scores, exactly: bool) -> bytes | None:
    """The section for a ranking model; None where what was drawn is too large."""
    requests = list(generated)
    while requests:
        cases = [_ranking_case(scores, *one, exactly) for one in requests]
        section = pack_cases([case for case in cases if case is not None])
        if len(section) <= _MOST_BYTES:
            return section
        requests.pop()
    return None


def _ranking_case(
    scores: Scores, request: Request, columns: Mapping[str, Column], exactly: bool
) -> Case | None:
    inputs = scores.inputs(columns, request.count)
    batch = Batch(inputs, request.kinds, np.zeros(request.count, bool))
    found = scores.judge.expect(batch, exactly)
    if found is None or found[0] is not batch:  # the original refuses a row of it
        return None
    said = {
        "user": request.user,
        "items": request.sides[Side.ITEM],
        "context": request.sides[Side.CONTEXT],
    }
    return Case(request.kinds, said, found[1])
