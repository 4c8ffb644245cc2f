from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.onnx_nodes.judge import Outcome, Verdict
from tests.onnx_nodes.sweep import node_tests, sweep
from tests.onnx_nodes.verdicts import PARTS, verdicts_of_part

_DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "onnx_operators.md"


def _told(found: dict[str, Verdict], outcome: Outcome) -> Iterator[str]:
    for name, verdict in found.items():
        if verdict.outcome is outcome:
            yield f"{name}: {verdict.detail}"


def _table() -> str:
    """The first column of the document's table."""
    return " ".join(re.findall(r"^\| (.*?) \|", _DOCUMENT.read_text(), re.MULTILINE))


# How a refusal tells of tensors or models of a kind, and how the table has it.
_KINDS = {
    " is text": "inputs of text",
    " sequence": "sequences",
    " optional": "optional values",
    " is empty": "an extent of 0",
    "tensors of ": "fewer than 8 bits, of float8",
    "opset 1 ": "opsets below 7",
}


def _is_listed(told: str, operators: set[str], table: str) -> bool:
    """Whether the table has an operator of the refused test, the operator that the refusal names
    (one of those by which ONNX defines another), or what the refusal says of a tensor."""
    named = set(re.findall(r"(?<=: )(\w+)(?=: )", told))
    if (operators | named) & set(re.findall(r"\w+", table)):
        return True
    return any(phrase in told and words in table for phrase, words in _KINDS.items())


@functools.cache
def _operators() -> dict[str, set[str]]:
    return {case.name: {node.op_type for node in case.model.graph.node} for case in node_tests()}


@pytest.mark.long
@pytest.mark.parametrize("part", range(PARTS))
def test_the_node_tests_of_onnx(part: int) -> None:
    found = verdicts_of_part(part)
    assert list(_told(found, Outcome.FOREIGN)) == []
    rows = {name: verdict for name, verdict in found.items() if verdict.independent}
    assert list(_told(rows, Outcome.DISAGREES)) == []
    table = _table()
    refused = _told(rows, Outcome.REFUSED)
    operators = _operators()
    unlisted = [
        told for told in refused if not _is_listed(told, operators[told.partition(":")[0]], table)
    ]
    assert unlisted == []


@pytest.mark.long
def test_enough_of_the_node_tests_agree() -> None:
    found = [verdict for part in range(PARTS) for verdict in verdicts_of_part(part).values()]
    agreeing = [v for v in found if v.independent and v.outcome is Outcome.AGREES]
    assert len(agreeing) >= 850


@pytest.mark.long
def test_some_node_tests_agree() -> None:
    chosen = node_tests("^test_(top_k|isinf|softmax_axis_1)$")
    verdicts = dict(sweep(chosen))
    assert len(verdicts) == 3
    assert {verdict.outcome for verdict in verdicts.values()} == {Outcome.AGREES}
    assert all(verdict.independent for verdict in verdicts.values())
