"""Hostile requests: a sample in the slow tier, 100,000 in the long one. A million: `python -m
tests.fuzz.request_fuzzer`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fuzz.request_fuzzer import Models, fuzz


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Models:
    return Models.build(Path(tmp_path_factory.mktemp("models")))


@pytest.mark.slow
def test_a_sample_of_hostile_requests(models: Models) -> None:
    assert fuzz(models, 0, 1000) == []


@pytest.mark.long
def test_many_hostile_requests(models: Models) -> None:
    assert fuzz(models, 1000, 100_000) == []
