"""Reference features, and what an original makes of them in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.compile.reference_inputs import graph_inputs
from rtcompile.compile.stored_tables import Original
from rtcompile.features.plan import Feature, FeaturePlan, Side
from rtcompile.features.reference.reference_features import extract_feature
from rtcompile.runtime.columns import Column
from rtcompile.verification.judge import open_judge
from rtcompile.verification.requests import Columns, Request

__all__ = ["Referenced", "Scores", "references"]

# A request, and its features as the plain-Python reference has them.
Referenced = tuple[Request, dict[str, Column]]


def references(plan: FeaturePlan, requests: Iterable[Request]) -> Iterator[Referenced]:
    """Each request, and every feature of it."""
    for request in requests:
        yield (
            request,
            {
                feature.name: extract_feature(feature, *_columns_of(feature, request.sides))
                for feature in plan.features
            },
        )


def _columns_of(feature: Feature, sides: Mapping[Side, Columns]) -> tuple[Columns, int]:
    """The raw columns of a feature, as many rows as its side has, and how many that is."""
    found = {c.name: sides[c.side][c.name] for c in feature.columns}
    rows = max((len(values) for values in found.values()), default=1)
    return {n: list(v) * rows if len(v) == 1 else v for n, v in found.items()}, rows


class Scores:
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
