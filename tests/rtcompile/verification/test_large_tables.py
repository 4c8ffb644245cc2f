"""A model that is no single protobuf message: its tables stand beside it for ONNX Runtime."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from rtcompile.verification import reference
from rtcompile.verification.large_tables import without_tables
from tests.rtcompile.frontends.graphs import graph


def test_tables_beside_the_model_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.random.default_rng(0).normal(size=(100, 8)).astype(np.float32)
    model = graph(
        "g (int64[N] i) => (float[N,8] y) { a = Gather(w, i) y = Mul(a, b) }",
        w=table,
        b=np.array(2, np.float32),
    )
    light, tables = without_tables(model, most=1000)
    assert list(tables) == ["w"]
    assert light.ByteSize() < 500
    assert without_tables(model) == (model, {})
    monkeypatch.setattr(reference, "without_tables", partial(without_tables, most=1000))
    (got,) = reference.open_reference(model)(["y"], {"i": np.array([0, 99])})
    np.testing.assert_array_equal(got, 2 * table[[0, 99]])
