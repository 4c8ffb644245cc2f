"""A sample of the campaign over graphs, and, in the long tier, its whole."""

from __future__ import annotations

import pytest

from tests.fuzz.batch import Verdict
from tests.fuzz.campaign import A_PART, Campaign, drawn, run_part
from tests.fuzz.finished_parts import FinishedParts
from tests.fuzz.graph import Graph

_SAMPLE = 25
_PARTS, _TESTS = 420, 20  # over 20,000 graphs: what is drawn twice in a part counts once


def test_a_part_is_always_the_same() -> None:
    again = [list(drawn(part, count=8)) for part in (5, 5, 6)]
    assert again[0] == again[1]
    assert again[0] != again[2]


@pytest.mark.slow
def test_a_failing_graph_is_told_as_the_smallest() -> None:
    def judge(graphs: list[Graph]) -> list[Verdict]:
        found = [any(node.op_type == "Softmax" for node in g.nodes) for g in graphs]
        first = found.index(True) if True in found else -1
        return [Verdict(failed="Softmax" if i == first else "") for i in range(len(graphs))]

    campaign = Campaign()
    run_part(0, campaign, judge=judge)
    assert campaign.graphs > A_PART // 2
    (failure,) = campaign.failures
    assert failure.reason == "Softmax"
    assert failure.graph.count(" = Softmax") == 1
    assert failure.graph.count("[n") <= 5  # of some that a step makes


@pytest.mark.slow
def test_a_sample_agrees() -> None:
    campaign = Campaign()
    run_part(0, campaign, count=_SAMPLE)
    assert campaign.graphs > _SAMPLE // 2
    assert not campaign.failures, "\n".join(map(str, campaign.failures))
    assert not campaign.refused


@pytest.mark.long
@pytest.mark.parametrize("test", range(_TESTS))
def test_all_graphs_agree(test: int) -> None:
    """A run that was stopped goes on where it was, as long as the code is the same."""
    finished = FinishedParts.of_this_code()
    failures = []
    for part in range(test, _PARTS, _TESTS):
        if part not in finished:
            campaign = Campaign()
            run_part(part, campaign)
            finished.add(part, [str(failure) for failure in campaign.failures])
        failures += finished[part]
    assert not failures, "\n".join(failures)
