"""What a build does to be verified: here, where this machine can run it, and by what it carries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from rtcompile.compile.compiler import Candidate, Compiler
from rtcompile.compile.read_rows import read_columns
from rtcompile.options import BuildOptions
from rtcompile.runtime.artifact import VERIFICATION
from rtcompile.verification.differences import TOLERANCE, Verification
from rtcompile.verification.feature_scores import Scores, references
from rtcompile.verification.judge import open_judge
from rtcompile.verification.network import verify_network
from rtcompile.verification.ranking import verify_ranking, verify_ranking_rounding
from rtcompile.verification.record import record_network, record_ranking
from rtcompile.verification.requests import generated_requests, real_requests
from rtcompile.verification.rewritings import verify_rewritings
from rtcompile.verification.rounding import ROUNDINGS, verify_rounding

__all__ = ["verify_build"]


def verify_build(
    compiler: Compiler,
    checked: Candidate,
    candidate: Candidate,
    options: BuildOptions,
    runs_here: bool,
    moved: float,
    progress: Callable[[str], None],
) -> Verification | None:
    """Compare with the original, and have `candidate` carry what it can be verified by elsewhere.

    `checked`: a build like it that the original is compared with value by value. `moved`: how far
    lower precision moved scores here. None where this machine cannot run them. Raises
    VerificationError.
    """
    stored = compiler.stored(checked)
    original = stored or compiler.original
    rows = _real_rows(compiler, options)
    found, section = None, None
    verify_rewritings(compiler.original.graph, compiler.ports[0])
    lower = compiler.imported is not None or candidate is not checked
    if compiler.plan is None:
        judge, model = open_judge(original.graph), compiler.original.graph.model
        if runs_here:
            progress("verify against the original")
            parts = checked.manifest, checked.sections
            found = verify_network(compiler.original.graph, stored, *parts, judge)
        section = record_network(judge, model, compiler.ports[0], not runs_here, not lower)
    else:
        scores, plan = Scores(original), compiler.plan
        if runs_here:
            progress("verify against the original")
        generated = list(references(plan, generated_requests(plan)))
        if runs_here:
            asked = chain(generated, references(plan, real_requests(plan, rows)))
            parts = checked.manifest, checked.sections
            found = verify_ranking(plan, compiler.original, stored, *parts, asked, scores)
        section = record_ranking(generated, scores, not runs_here)
    if found and compiler.imported:
        found = _verify_rounding(compiler, candidate, options, found)
        moved = found.file_rounding
    if section is not None:
        candidate.sections[VERIFICATION] = section
    candidate.manifest["verification"] = {
        "verified": found is not None,
        "rows": found.rows if found else 0,
        "largest_difference": found.largest_difference if found else None,
        "carried_bytes": len(section or b""),
        # Added to what scores may be off, relative to those above 1: for layers in lower precision.
        "slack": TOLERANCE + ROUNDINGS * moved if lower else 0.0,
    }
    return found


def _verify_rounding(
    compiler: Compiler, candidate: Candidate, options: BuildOptions, exact: Verification
) -> Verification:
    """`exact`, and how far the scores are from those of the quantized file."""
    plan, original = compiler.plan, compiler.original
    graph, floats = original.graph, compiler.stored(candidate) or original
    assert graph.quantized is not None  # the layers come from it
    file = replace(original, graph=replace(graph, model=graph.quantized.model))
    parts = candidate.manifest, candidate.sections
    if plan is None:
        check = verify_rounding(file.graph, floats.graph, *parts)
    else:
        check = verify_ranking_rounding(plan, file, floats, *parts, _real_rows(compiler, options))
    return replace(exact, from_quantized=check.moved, file_rounding=check.rounding)


def _real_rows(compiler: Compiler, options: BuildOptions) -> Mapping[str, Sequence[Any]] | None:
    if compiler.plan is None or not options.calibration:
        return None
    return read_columns(Path(options.calibration), compiler.plan)
