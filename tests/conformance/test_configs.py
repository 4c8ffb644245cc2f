"""Whole configs of the peer's example models: they compile, and agree with the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtcompile.features import FeatureExtractor
from rtcompile.features.config.parse_config import load_config
from rtcompile.features.generate import generate_columns
from rtcompile.features.plan import Side
from rtcompile.features.reference.reference_features import extract
from tests.conformance.cases import FOLDER

ROWS = 70  # more than one tile


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(FOLDER.glob("configs/*.json")), ids=lambda path: path.stem)
def test_a_config_compiles_and_agrees(path: Path) -> None:
    plan = load_config(path, FOLDER)
    rng = np.random.default_rng(0)
    columns: dict[str, list[Any]] = {}
    for side in Side:
        columns |= generate_columns(plan, side, ROWS, rng)
    found, want = FeatureExtractor(plan)(columns), extract(plan, columns)
    assert list(found) == [feature.name for feature in plan.features]
    for name, expected in want.items():
        for part in ("values", "lengths", "key_lengths", "seq_lengths", "weights"):
            given, wanted = getattr(found[name], part), getattr(expected, part)
            if wanted is None:
                assert given is None, (name, part)
            else:
                np.testing.assert_allclose(given, wanted, 1e-6, err_msg=f"{name}.{part}")
