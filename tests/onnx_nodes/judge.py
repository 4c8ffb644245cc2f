"""Build the graph of a node test, run it, and say what came of it."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

import onnx

from rtcompile import BuildOptions, build, runtime
from rtcompile.errors import RtcompileError, ToolchainError
from rtcompile.runtime.errors import RequestError
from tests.onnx_nodes.agreement import Panel, difference
from tests.onnx_nodes.hostile import hostile_rows
from tests.onnx_nodes.rebatch import RowCase, row_case
from tests.onnx_nodes.reference import Evaluator, Feeds

__all__ = ["Outcome", "Verdict", "judge"]


# Whose reference reads, or loops, outside of its operand where an index is far off.
_INDEXED = (
    *("Gather", "GatherElements", "GatherND", "NegativeLogLikelihoodLoss", "ScatterElements"),
    *("Scatter", "SoftmaxCrossEntropyLoss", "TensorScatter", "Attention", "RotaryEmbedding"),
)


class Outcome(Enum):
    """What may come of a test."""

    AGREES = "agrees"
    REFUSED = "refused"
    DISAGREES = "disagrees"
    FOREIGN = "foreign error"


@dataclass(frozen=True)
class Verdict:
    """`independent`: whether rows are, by the reference. `detail`: why it did not agree."""

    outcome: Outcome
    independent: bool
    detail: str = ""


def judge(case: Any) -> Verdict:
    """The verdict on one of onnx's node tests."""
    data = case.data_sets[0][0] if case.data_sets else []
    found = row_case(case.model, data)
    if found is None:  # no input can be rows: as it stands
        return _built(case.model)
    return _judged(found)


def _built(model: onnx.ModelProto) -> Verdict:
    with tempfile.TemporaryDirectory() as folder:
        outcome, detail, _ = _compiled(model, Path(folder))
    return Verdict(outcome, False, detail)


def _compiled(model: onnx.ModelProto, folder: Path) -> tuple[Outcome, str, Any]:
    onnx.save(model, str(folder / "m.onnx"))
    try:
        build(folder / "m.onnx", BuildOptions(verify=False), output=folder / "m.rtc")
        return Outcome.AGREES, "", runtime.load(folder / "m.rtc")
    except ToolchainError as error:  # what TVM said, or how it ended: no reason of ours
        return Outcome.FOREIGN, _reason(error, folder), None
    except RtcompileError as error:
        return Outcome.REFUSED, _reason(error, folder), None
    except Exception as error:
        return Outcome.FOREIGN, f"{type(error).__name__}: {str(error)[:2000]}", None


def _reason(error: Exception, folder: Path) -> str:
    return str(error).replace(f"{folder / 'm.onnx'}: ", "").replace(str(folder), "")


def _judged(case: RowCase) -> Verdict:
    with tempfile.TemporaryDirectory() as folder:
        outcome, detail, ranker = _compiled(case.model, Path(folder))
        if ranker is None:
            return Verdict(outcome, case.independent, detail)
        try:
            detail = _compare(case, ranker)
        except Exception as error:
            return Verdict(
                Outcome.FOREIGN, case.independent, f"predict: {type(error).__name__}: {error}"
            )
    return Verdict(Outcome.DISAGREES if detail else Outcome.AGREES, case.independent, detail)


def _compare(case: RowCase, ranker: Any) -> str:
    """What differs; nothing where all rows agree."""
    names = [output.name for output in case.model.graph.output]
    problem = _differs(case.judges, ranker, names, case.rows)
    if problem or not case.independent:
        return problem
    indexed = any(node.op_type in _INDEXED for node in case.model.graph.node)
    for number, feeds in enumerate(hostile_rows(case.rows, seed=0, integers=not indexed)):
        try:
            problem = _differs(case.judges, ranker, names, feeds)
        except RequestError:
            continue  # an id outside its table: told, not computed
        if problem:
            return f"hostile row {number}: {problem}"
    return ""


def _differs(judges: dict[str, Evaluator], ranker: Any, names: list[str], feeds: Feeds) -> str:
    panel = Panel(judges, feeds)
    first = next(panel.said(), None)
    if first is None:  # nobody has an answer for these values
        return ""
    answer = ranker.predict(dict(feeds))
    for place, name in enumerate(names):
        problem = difference(name, place, answer[name], panel)
        if problem:
            return problem
    for name, want in zip(names, first[1], strict=True):
        if first[0] != "float64" and want.dtype != answer[name].dtype:
            return f"{name}: {answer[name].dtype} instead of {want.dtype}"
    return ""
