"""Compare a ranking artifact with the original: features with the plain-Python reference, scores
with the reference's features through ONNX Runtime.

Both on generated rows, at item counts around the size of a tile, and on real rows where given.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile import runtime
from rtcompile.compile.load_build import loaded
from rtcompile.compile.stored_tables import Original
from rtcompile.errors import VerificationError
from rtcompile.features.plan import ITEM_KEY, Feature, FeaturePlan, Side
from rtcompile.files.pieces import Sections
from rtcompile.runtime.columns import Column
from rtcompile.verification.differences import ScoreDifference, Verification
from rtcompile.verification.draw_inputs import Batch
from rtcompile.verification.feature_scores import Referenced, Scores, references
from rtcompile.verification.requests import (
    Columns,
    Request,
    generated_requests,
    real_requests,
)
from rtcompile.verification.rounding import RoundingCheck

__all__ = ["verify_ranking", "verify_ranking_rounding"]


def verify_ranking(
    plan: FeaturePlan,
    original: Original,
    stored: Original | None,
    manifest: dict[str, Any],
    sections: Sections,
    requests: Iterable[Referenced],
    kernels: Scores,
) -> Verification:
    """Raises VerificationError that names the worst output or feature.

    `stored`: the original on the tables as they are stored, where they are not in fp32. `kernels`:
    the scores of that one, or else of the original.
    """
    with loaded(manifest, sections) as ranker:
        check = _Check(plan, original, stored, ranker, kernels)
        for one in requests:
            check.request(*one)
    return Verification(check.largest, check.rows, check.moved if stored else None)


def verify_ranking_rounding(
    plan: FeaturePlan,
    quantized: Original,
    exact: Original,
    manifest: dict[str, Any],
    sections: Sections,
    rows: Columns | None,
) -> RoundingCheck:
    """Hold a build to a model that came quantized. `exact`: its float graph."""
    check, file = RoundingCheck(), Scores(quantized)
    with loaded(manifest, sections) as ranker:
        run = _Check(plan, exact, None, ranker)
        every = (*generated_requests(plan), *real_requests(plan, rows))
        for request, columns in references(plan, every):
            scores, count = run.scores(request, columns), request.count
            check.add(file.of(columns, count), run.want(columns, count), scores)
    check.hold()
    return check


class _Check:
    """Runs requests through both; keeps the largest difference."""

    def __init__(
        self,
        plan: FeaturePlan,
        original: Original,
        stored: Original | None,
        ranker: runtime.Ranker,
        kernels: Scores | None = None,
    ) -> None:
        self._plan, self._ranker = plan, ranker
        self._names = original.graph.outputs
        self._kernels = kernels or Scores(stored or original)
        self._true = Scores(original) if stored else None
        self.largest, self.rows, self.moved = 0.0, 0, ScoreDifference()

    def request(self, request: Request, columns: Mapping[str, Column]) -> None:
        """Compare features and scores. `columns`: the features as the reference has them."""
        scores = self.scores(request, columns)
        inputs, count = self._kernels.inputs(columns, request.count), request.count
        asked = self._kernels.judge.ask(Batch(inputs, request.kinds, np.zeros(count, bool)))
        if asked is None:
            return
        if asked.kept is not None:
            scores = [array[list(asked.kept)] for array in scores]
        self.largest = max(self.largest, self._kernels.judge.hold(asked, scores))
        if self._true is not None:
            self.moved.add(self._true.of(columns, count), scores)
        self.rows += count

    def want(self, columns: Mapping[str, Column], count: int) -> list[npt.NDArray[Any]]:
        """What the kernels should compute."""
        return self._kernels.of(columns, count)

    def scores(self, request: Request, columns: Mapping[str, Column]) -> list[npt.NDArray[Any]]:
        """The scores, once the compiled features are compared with `columns`."""
        ids = [str(row) for row in range(request.count)]
        user, context = request.user, request.sides[Side.CONTEXT]
        table = {name: list(values) for name, values in request.sides[Side.ITEM].items()}
        self._ranker.items.replace({**table, ITEM_KEY: ids}, key=ITEM_KEY)
        compiled = self._ranker.extract(user, ids, context)
        for feature in self._plan.features:
            _compare(feature, columns[feature.name], compiled[feature.name])
        scores = self._ranker.rank(user, ids, context)
        return [scores[name] for name in self._names]


def _compare(feature: Feature, want: Column, got: Column) -> None:
    for part in ("lengths", "key_lengths", "seq_lengths", "values", "weights"):
        one, other = getattr(want, part), getattr(got, part)
        if (one is None) != (other is None) or (one is not None and not _same(one, other)):
            raise VerificationError(
                f"feature {feature.name!r}: its {part} differ from the reference's: the artifact "
                "was not written"
            )


def _same(one: Any, other: Any) -> bool:
    if one.shape != other.shape:
        return False
    if np.issubdtype(one.dtype, np.floating):
        return bool(np.allclose(one, other, rtol=1e-6, atol=1e-7, equal_nan=True))
    return bool(np.array_equal(one, other))
