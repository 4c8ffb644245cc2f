"""Verify an artifact by what it carries, for each of its targets that this machine can run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rtcompile import runtime
from rtcompile.errors import DataError, VerificationError
from rtcompile.runtime.artifact import VERIFICATION, read_artifact, read_section
from rtcompile.runtime.machine import what_lacks
from rtcompile.runtime.ranker import load_target
from rtcompile.verification.compare import differ
from rtcompile.verification.recorded import Case, unpack_cases

__all__ = ["ITEM_KEY", "TargetCheck", "chosen_targets", "verify_recorded"]

# The column of items' ids, which no config can have a field of.
ITEM_KEY = "\x00item"


@dataclass(frozen=True)
class TargetCheck:
    """What came of one target. `lacks`: why this machine cannot run it, "" where it can."""

    target: str
    lacks: str = ""
    rows: int = 0
    largest_difference: float = 0.0


def verify_recorded(path: Path, targets: Sequence[str] = ()) -> list[TargetCheck]:
    """Run each target of the artifact at `path`, or those named, on what it carries.

    Raises VerificationError where a score is not what it must be, TargetError where this machine
    can run none of them, DataError where the artifact carries nothing, ArtifactError.
    """
    section = read_section(path, VERIFICATION)
    if section is None:
        raise DataError(
            f"{path}: carries nothing to be verified by, as it was built with --no-verify; give "
            "rows with the scores of training (--rows, --scores), or build it without --no-verify"
        )
    try:
        cases = unpack_cases(section)
    except ValueError as error:
        raise runtime.ArtifactError(f"{path}: section {VERIFICATION!r} {error}") from error
    checks = [
        TargetCheck(name, lacks) if lacks else _verify_target(path, name, cases)
        for name, lacks in chosen_targets(path, targets).items()
    ]
    if all(check.lacks for check in checks):
        listed = "; ".join(f"{check.target}: {check.lacks}" for check in checks)
        raise runtime.TargetError(f"{path}: nothing can be verified on this machine: {listed}")
    return checks


def chosen_targets(path: Path, targets: Sequence[str]) -> dict[str, str]:
    """The artifact's targets, or those named, and what this machine lacks for each, or ''.

    Raises DataError for one that it does not have.
    """
    known = {target["name"]: what_lacks(target) for target in read_artifact(path).targets}
    unknown = [name for name in targets if name not in known]
    if unknown:
        raise DataError(f"{path}: has no module for {unknown[0]!r}; it has {', '.join(known)}")
    return {name: lacks for name, lacks in known.items() if not targets or name in targets}


def _verify_target(path: Path, target: str, cases: list[Case]) -> TargetCheck:
    ranker = load_target(path, target)
    slack = float(ranker.manifest.get("verification", {}).get("slack", 0.0))
    rows, largest = 0, 0.0
    for number, case in enumerate(cases):
        try:
            got = _answer(ranker, case)
        except runtime.InferenceError as error:
            raise VerificationError(
                f"{path}, {target}: a request that the original answers is refused: {error}"
            ) from error
        for name in case.outputs:
            where = f"{path}, {target}: request {number}, output {name!r}"
            largest = max(largest, _hold(where, case, name, got[name], slack))
        rows += len(case.kinds)
    return TargetCheck(target, "", rows, largest)


def _answer(ranker: runtime.Ranker, case: Case) -> dict[str, Any]:
    if "inputs" in case.request:
        return dict(ranker.predict(case.request["inputs"]))
    ids = [str(row) for row in range(len(case.kinds))]
    ranker.items.replace({**case.request["items"], ITEM_KEY: ids}, key=ITEM_KEY)
    return dict(ranker.rank(case.request["user"], ids, case.request["context"]))


def _hold(where: str, case: Case, name: str, got: Any, slack: float) -> float:
    """The largest difference on usual rows."""
    want, allowed = case.outputs[name].want, case.outputs[name].allowed.astype(np.float64)
    if got.shape != want.shape or got.dtype != want.dtype:
        raise VerificationError(
            f"{where} is {got.dtype} of shape {got.shape} instead of {want.dtype} of {want.shape}"
        )
    scale = np.maximum(1.0, np.abs(np.nan_to_num(want.astype(np.float64), posinf=1, neginf=1)))
    wrong = differ(want, got, allowed + slack * scale)
    rows = want.ndim and len(want) == len(case.kinds)
    if wrong.any():
        at = tuple(int(index[0]) for index in np.nonzero(wrong)) if want.ndim else ()
        kind = case.kinds[at[0]] if rows else ""
        raise VerificationError(
            f"{where} is {got[at]:.9g} instead of {want[at]:.9g} at {list(at)}"
            f"{f' ({kind})' if kind else ''}; up to {allowed[at]:.3g} is allowed, and "
            f"{int(wrong.sum())} of {want.size} values are further off"
        )
    if want.dtype.kind != "f" or not want.size:
        return 0.0
    usual = np.array([not kind for kind in case.kinds]) if rows else np.array(True)
    off = np.abs(want.astype(np.float64) - got)[usual] / scale[usual]
    return float(np.max(off[np.isfinite(off)], initial=0.0))
