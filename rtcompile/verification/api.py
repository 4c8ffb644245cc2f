"""`rtcompile.verify`: an artifact against what it carries, or scores recorded in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from rtcompile.errors import ConfigError
from rtcompile.verification.replay_recorded import TargetCheck, verify_recorded
from rtcompile.verification.replay_rows import RowsCheck, verify_rows

__all__ = ["verify"]


def verify(
    artifact: str | Path,
    rows: str | Path | None = None,
    scores: Mapping[str, str] | str | None = None,
    *,
    label: str | None = None,
    targets: Sequence[str] = (),
    tolerance: float = 1e-4,
) -> list[TargetCheck] | list[RowsCheck]:
    """Verify an artifact on this machine.

    Without `rows`, each of its targets, or those named, that this machine can run answers what the
    artifact carries: raises VerificationError where an answer is not the original's.

    With `rows` (.parquet, .csv, .jsonl), the target that is loaded here, or those named, scores
    them, and the scores are compared with recorded ones: `scores` names their column, or by output
    theirs; `label` a column of 0 and 1. Whether they agree is `RowsCheck.agrees`.

    Raises ConfigError, DataError, ArtifactError, TargetError.
    """
    if rows is None:
        if scores is not None or label is not None:
            raise ConfigError("scores and label are columns of rows: give rows too")
        return verify_recorded(Path(artifact), targets)
    if scores is None:
        raise ConfigError("rows are compared with recorded scores: name their column with scores")
    return verify_rows(Path(artifact), Path(rows), scores, label, targets, tolerance)
