from __future__ import annotations

import pytest

from rtcompile.features.config.parse_config import load_config
from rtcompile.features.reference.reference_features import extract
from tests.conformance.cases import FOLDER, Case, load_cases


@pytest.mark.parametrize("case", load_cases(), ids=lambda case: case.name)
def test_the_reference_gives_the_peers_values(case: Case) -> None:
    plan = load_config({"features": case.features}, FOLDER, case.hash)
    case.check(extract(plan, case.columns())[case.output])
