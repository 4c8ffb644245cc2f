"""A sample of the campaign over graphs, and, in the long tier, its whole."""

from __future__ import annotations

import os

import pytest

from tests.fuzz.campaign import Campaign, graph_of, run_graphs

_SAMPLE, _WHOLE, _A_BUILD = 20, 20_000, 40


def test_a_seed_is_a_graph() -> None:
    texts = [graph_of(seed).model().SerializeToString() for seed in (5, 5, 6)]
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]


@pytest.mark.slow
def test_a_sample_agrees() -> None:
    campaign = Campaign()
    run_graphs(range(_SAMPLE), campaign)
    assert campaign.graphs == _SAMPLE
    assert not campaign.failures, "\n".join(map(str, campaign.failures))


@pytest.mark.long
def test_all_graphs_agree() -> None:
    """RTCOMPILE_FUZZ_FIRST goes on with a seed; each build's progress is printed with `-s`."""
    first = int(os.environ.get("RTCOMPILE_FUZZ_FIRST", "0"))
    campaign = Campaign()
    for seed in range(first, _WHOLE, _A_BUILD):
        run_graphs(range(seed, min(seed + _A_BUILD, _WHOLE)), campaign)
        print(f"seed {seed}: {campaign.graphs} graphs, {len(campaign.failures)} failures")
    assert not campaign.failures, "\n".join(map(str, campaign.failures))
