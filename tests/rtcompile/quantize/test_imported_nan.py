"""NaN and infinities before the static layers of a quantized file, beside ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import rtcompile
from rtcompile import runtime
from rtcompile.verification.reference import open_reference
from tests.quantized_models import network_rows, small_network, static

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("form", ["QDQ", "QOperator"])
def test_infinities_saturate_and_nan_stays_or_is_the_low_end(tmp_path: Path, form: str) -> None:
    """NaN where layers run in float32; where bytes are multiplied, what ONNX Runtime says."""
    quantized = static(small_network(tmp_path / "m.onnx"), [network_rows(64, 1)], form)
    rtcompile.build(quantized, output=tmp_path / "m.rtc")
    given = network_rows(8, 2)
    x = given["X"]
    x[1, 3], x[2], x[3, 3], x[4, 3], x[5], x[6, 0] = np.nan, np.nan, np.inf, -np.inf, 1e30, -1e30
    got = runtime.load(tmp_path / "m.rtc").predict(given)["Y"].ravel()
    want = open_reference(onnx.load(quantized))(["Y"], given)[0].ravel()
    near = np.abs(got - want) <= 0.02
    assert near[[0, 3, 4, 5, 6, 7]].all()
    assert (near | np.isnan(got))[[1, 2]].all()
