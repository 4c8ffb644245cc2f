from __future__ import annotations

import pytest

from rtcompile.features import compile_features
from tests.conformance.cases import FOLDER, Case, load_cases


@pytest.mark.parametrize("case", load_cases(), ids=lambda case: case.name)
def test_the_kernels_give_the_peers_values(case: Case) -> None:
    extractor = compile_features({"features": case.features}, FOLDER, case.hash)
    case.check(extractor(case.columns())[case.output])
