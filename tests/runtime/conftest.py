"""What tests of the runtime share."""

from __future__ import annotations

from typing import Any

import pytest

from rtcompile.runtime.request.ranking import Ranking
from tests.runtime.served_models import Artifacts


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    """Those of CASES, by name."""
    return Artifacts(tmp_path_factory)


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Grows by one with each request that a ranker, loaded from here on, leaves the method."""
    found, rank = list[str](), Ranking.rank

    def noted(*given: Any, **named: Any) -> Any:
        found.append("left")
        return rank(*given, **named)

    monkeypatch.setattr(Ranking, "rank", noted)
    return found
