from __future__ import annotations

from collections import defaultdict

import pytest

from tests.onnx_nodes.judge import Outcome
from tests.onnx_nodes.sweep import node_tests, sweep


@pytest.mark.long
def test_the_node_tests_of_onnx() -> None:
    found: dict[tuple[bool, Outcome], list[str]] = defaultdict(list)
    for name, verdict in sweep(node_tests()):
        found[verdict.independent, verdict.outcome].append(f"{name}: {verdict.detail}")
    foreign = [
        told for (_, out), named in found.items() if out is Outcome.FOREIGN for told in named
    ]
    assert foreign == []
    assert len(found[True, Outcome.AGREES]) >= 850
    assert all(": " in told for told in found[True, Outcome.REFUSED])


@pytest.mark.long
def test_some_node_tests_agree() -> None:
    chosen = node_tests("^test_(top_k|isinf|softmax_axis_1)$")
    verdicts = dict(sweep(chosen))
    assert len(verdicts) == 3
    assert {verdict.outcome for verdict in verdicts.values()} == {Outcome.AGREES}
    assert all(verdict.independent for verdict in verdicts.values())
