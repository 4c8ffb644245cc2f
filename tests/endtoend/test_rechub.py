"""20 torch-rechub graphs, built and compared with torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rtcompile
from rtcompile import runtime

pytest.importorskip("torch", reason="the models come from torch (extra: torch)")
pytest.importorskip("pandas", reason="torch-rechub needs it")
pytest.importorskip("torch_rechub", reason="the models are its own")

from rtcompile.models.zoo.rechub import MODELS, export, inputs


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_scores_agree_with_torch(name: str, tmp_path: Path) -> None:
    exported = export(name, tmp_path)
    rtcompile.build(exported.path, output=tmp_path / "m.rtc")
    ranker = runtime.load(tmp_path / "m.rtc")
    # Of NARM and STAMP an empty history has no score: its mean is 0 / 0.
    shortest = 1 if name in ("NARM", "STAMP") else 0
    for count in (1, 7, 100, 513):
        x = inputs(count, count, shortest)
        got = ranker.predict({port.name: x[port.name] for port in ranker.input_ports})
        for scores, want in zip(got.values(), exported.reference(x), strict=True):
            assert want.std() > 1e-3 or count == 1
            np.testing.assert_allclose(scores, want, atol=1e-4)
