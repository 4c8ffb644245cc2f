"""What tests of the runtime share."""

from __future__ import annotations

import pytest

from tests.runtime.served_models import Artifacts


@pytest.fixture(scope="session")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Artifacts:
    """Those of CASES, by name."""
    return Artifacts(tmp_path_factory)
