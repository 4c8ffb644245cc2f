from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtcompile.codegen.dense import pack_bias, pack_weight, panels


@given(columns=st.integers(1, 700), widest=st.sampled_from([8, 16, 64]))
def test_panels_cover_every_column_once(columns: int, widest: int) -> None:
    cut = panels(columns, widest)
    covered = [c for panel in cut for c in range(panel.start, panel.start + panel.valid)]
    assert covered == list(range(columns))
    assert all(panel.valid == panel.width for panel in cut[:-1])
    assert all(8 <= panel.width <= widest for panel in cut)


@given(depth=st.integers(1, 9), columns=st.integers(1, 150))
def test_packed_weights_give_the_same_product(depth: int, columns: int) -> None:
    rng = np.random.default_rng(depth * 1000 + columns)
    weight = rng.normal(size=(depth, columns)).astype(np.float32)
    bias = rng.normal(size=columns).astype(np.float32)
    x = rng.normal(size=depth).astype(np.float32)
    cut = panels(columns, 64)
    packed, padded, at, got = pack_weight(weight, cut), pack_bias(bias, cut), 0, []
    for panel in cut:
        block = packed[at : at + depth * panel.width].reshape(depth, panel.width)
        row = padded[panel.start : panel.start + panel.width]
        got.append((x @ block + row)[: panel.valid])
        at += depth * panel.width
    np.testing.assert_allclose(np.concatenate(got), x @ weight + bias, atol=1e-5)
