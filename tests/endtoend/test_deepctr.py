"""18 deepctr-torch graphs, built and compared with torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rtcompile
from rtcompile import runtime

pytest.importorskip("torch", reason="the models come from torch (extra: torch)")
pytest.importorskip("sklearn", reason="deepctr-torch needs it")

from rtcompile.models.zoo.deepctr import FEWEST_ROWS, MODELS, export, inputs


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_scores_agree_with_torch(name: str, tmp_path: Path) -> None:
    exported = export(name, tmp_path)
    rtcompile.build(exported.path, output=tmp_path / "m.rtc")
    ranker = runtime.load(tmp_path / "m.rtc")
    for count in (1, 7, 100, 513):
        if count < FEWEST_ROWS.get(name, 1):
            continue
        x = inputs(count, count)
        for got, want in zip(ranker.predict(x).values(), exported.reference(x), strict=True):
            np.testing.assert_allclose(got, want, atol=1e-4)
