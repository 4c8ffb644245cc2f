"""Hold a build of a model that came quantized to the scores of the file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.compile.load_build import loaded
from rtcompile.errors import VerificationError
from rtcompile.files.pieces import Sections
from rtcompile.frontends.onnx.import_onnx import ImportedGraph
from rtcompile.verification.differences import TOLERANCE, ScoreDifference, differences
from rtcompile.verification.draw_inputs import ROW_COUNTS, generate_inputs
from rtcompile.verification.reference import open_session

__all__ = ["ROUNDINGS", "RoundingCheck", "verify_rounding"]

# How many times what a quantized file's own rounding does to scores another rounding may do: both
# are sums of many small errors, of which the largest of a few hundred rows is seen.
ROUNDINGS = 3.0


class RoundingCheck:
    """Holds scores of a model that came quantized to those of the file in ONNX Runtime.

    The file rounds what flows between its layers. A build rounds in fewer places, or by other
    ranges where the file takes them from a whole batch; each step of each is as coarse. So scores
    may differ as the file's own rounding moves them: by `ROUNDINGS` times the largest difference
    between it and its float graph, on the same rows.
    """

    def __init__(self) -> None:
        self.moved, self.rounding, self.rows = ScoreDifference(), 0.0, 0

    def add(
        self,
        file: Sequence[npt.NDArray[Any]],
        exact: Sequence[npt.NDArray[Any]],
        scores: Sequence[npt.NDArray[Any]],
    ) -> None:
        """The outputs of the file, of its float graph, and of the build, for the same rows."""
        for one, other, got in zip(file, exact, scores, strict=True):
            if got.shape != one.shape:
                raise VerificationError(f"an output has shape {got.shape} instead of {one.shape}")
            rounded = float(np.max(differences(one, other), initial=0.0))
            self.rounding = max(self.rounding, rounded)
        self.moved.add(file, scores)
        self.rows += len(file[0]) if file else 0

    def hold(self) -> None:
        """Raises VerificationError where scores are further off than rounding explains."""
        allowed = TOLERANCE + ROUNDINGS * self.rounding
        if not self.moved.largest <= allowed:
            raise VerificationError(
                f"scores differ by {self.moved.largest:.3g} from those of the quantized model in "
                f"ONNX Runtime, whose own rounding moves them by {self.rounding:.3g}; up to "
                f"{allowed:.3g} is allowed: the artifact was not written"
            )


def verify_rounding(
    quantized: ImportedGraph,
    exact: ImportedGraph,
    manifest: dict[str, Any],
    sections: Sections,
) -> RoundingCheck:
    """Hold a build to a model that came quantized. `exact`: its float graph."""
    check, originals = RoundingCheck(), [open_session(graph) for graph in (quantized, exact)]
    names = list(exact.outputs)
    with loaded(manifest, sections) as ranker:
        for rows in ROW_COUNTS:
            inputs = generate_inputs(exact.model, ranker.input_ports, rows, seed=rows)
            file, floats = (run(names, inputs) for run in originals)
            scores = ranker.predict(inputs)
            check.add(file, floats, [scores[name] for name in names])
    check.hold()
    return check
