"""Compare a ranking artifact with the original: features with the plain-Python reference, scores
with the reference's features through ONNX Runtime.

Both on generated rows, at item counts around the size of a tile, and on real rows where given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import runtime
from rtcompile.codegen.program import TILE
from rtcompile.errors import VerificationError
from rtcompile.features.generate import generate_columns
from rtcompile.features.graph_inputs import graph_inputs
from rtcompile.features.plan import ITEM_KEY, Feature, FeaturePlan, Side
from rtcompile.features.reference import extract_feature
from rtcompile.loaded import loaded
from rtcompile.verification.differences import ScoreDifference, Verification
from rtcompile.verification.draw_inputs import ordinary
from rtcompile.verification.network import open_judge
from rtcompile.verification.rounding import RoundingCheck
from rtcompile.verification.stored_tables import Original
from runtime.columns import Column

__all__ = ["verify_ranking", "verify_ranking_rounding"]

_ITEM_COUNTS = (1, 7, TILE, TILE + 37)
_REAL_REQUESTS = 50

Columns = Mapping[str, Sequence[Any]]


def verify_ranking(
    plan: FeaturePlan,
    original: Original,
    stored: Original | None,
    manifest: dict[str, Any],
    sections: dict[str, bytes],
    rows: Columns | None,
) -> Verification:
    """Raises VerificationError that names the worst output or feature.

    `stored`: the original on the tables as they are stored, where they are not in fp32.
    """
    with loaded(manifest, sections) as ranker:
        check = _Check(plan, original, stored, ranker)
        for user, items, context, count in _requests(plan, rows):
            check.request(user, items, context, count)
    return Verification(check.largest, check.rows, check.moved if stored else None)


def verify_ranking_rounding(
    plan: FeaturePlan,
    quantized: Original,
    exact: Original,
    manifest: dict[str, Any],
    sections: dict[str, bytes],
    rows: Columns | None,
) -> RoundingCheck:
    """Hold a build to a model that came quantized. `exact`: its float graph."""
    check, file = RoundingCheck(), _Scores(quantized)
    with loaded(manifest, sections) as ranker:
        run = _Check(plan, exact, None, ranker)
        for user, items, context, count in _requests(plan, rows):
            columns, scores = run.scores(user, items, context, count)
            check.add(file.of(columns, count), run.want(columns, count), scores)
    check.hold()
    return check


def _requests(
    plan: FeaturePlan, rows: Columns | None
) -> Iterator[tuple[Columns, Columns, Columns, int]]:
    """(user, items, context, how many items), generated and then real."""
    for count in _ITEM_COUNTS:
        rng = np.random.default_rng(count)
        user, items, context = (
            generate_columns(plan, side, 1 if side is Side.USER else count, rng)
            for side in (Side.USER, Side.ITEM, Side.CONTEXT)
        )
        yield user, items, context, count
    for row in range(min(len(next(iter(rows.values()), ())) if rows else 0, _REAL_REQUESTS)):
        assert rows is not None
        user, items, context = (
            {name: [rows[name][row]] for name in plan.columns(side)}
            for side in (Side.USER, Side.ITEM, Side.CONTEXT)
        )
        yield user, items, context, 1


class _Check:
    """Runs requests through both; keeps the largest difference."""

    def __init__(
        self,
        plan: FeaturePlan,
        original: Original,
        stored: Original | None,
        ranker: runtime.Ranker,
    ) -> None:
        self._plan, self._ranker = plan, ranker
        self._names = original.graph.outputs
        self._kernels = _Scores(stored or original)
        self._true = _Scores(original) if stored else None
        self.largest, self.rows, self.moved = 0.0, 0, ScoreDifference()

    def request(self, user: Columns, items: Columns, context: Columns, count: int) -> None:
        """One user, `count` items."""
        columns, scores = self.scores(user, items, context, count)
        inputs = self._kernels.inputs(columns, count)
        asked = self._kernels.judge.ask(ordinary(inputs, count))
        if asked is None:
            return
        self.largest = max(self.largest, self._kernels.judge.hold(asked, scores))
        if self._true is not None:
            self.moved.add(self._true.of(columns, count), scores)
        self.rows += count

    def want(self, columns: Mapping[str, Column], count: int) -> list[npt.NDArray[Any]]:
        """What the kernels should compute."""
        return self._kernels.of(columns, count)

    def scores(
        self, user: Columns, items: Columns, context: Columns, count: int
    ) -> tuple[dict[str, Column], list[npt.NDArray[Any]]]:
        """The reference's features, which the compiled ones are compared with, and the scores."""
        columns = self._reference({Side.USER: user, Side.ITEM: items, Side.CONTEXT: context})
        ids = [str(row) for row in range(count)]
        one = {name: values[0] for name, values in user.items()}
        table = {name: list(values) for name, values in items.items()}
        self._ranker.items.replace({**table, ITEM_KEY: ids}, key=ITEM_KEY)
        compiled = self._ranker.extract(one, ids, context)
        for feature in self._plan.features:
            _compare(feature, columns[feature.name], compiled[feature.name])
        scores = self._ranker.rank(one, ids, context)
        return columns, [scores[name] for name in self._names]

    def _reference(self, sides: Mapping[Side, Columns]) -> dict[str, Column]:
        return {
            feature.name: extract_feature(feature, *_columns_of(feature, sides))
            for feature in self._plan.features
        }


class _Scores:
    """An original in ONNX Runtime, on features."""

    def __init__(self, original: Original) -> None:
        self._bound, self.judge = original.bound, open_judge(original.graph)

    def of(self, columns: Mapping[str, Column], count: int) -> list[npt.NDArray[Any]]:
        """Every output for `count` rows; features of one row count for all."""
        return list(self.judge.run(self.inputs(columns, count)))

    def inputs(self, columns: Mapping[str, Column], count: int) -> dict[str, npt.NDArray[Any]]:
        """What the graph reads."""
        return {
            name: np.repeat(array, count, 0) if len(array) != count else array
            for name, array in graph_inputs(self._bound, columns).items()
        }


def _columns_of(feature: Feature, sides: Mapping[Side, Columns]) -> tuple[Columns, int]:
    """The raw columns of a feature, as many rows as its side has, and how many that is."""
    found = {c.name: sides[c.side][c.name] for c in feature.columns}
    rows = max((len(values) for values in found.values()), default=1)
    return {n: list(v) * rows if len(v) == 1 else v for n, v in found.items()}, rows


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
