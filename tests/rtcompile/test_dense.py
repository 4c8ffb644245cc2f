from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rtcompile.codegen.panels import pack_columns, pack_weight, panels
from rtcompile.targets import TARGETS, CpuTarget


@given(columns=st.integers(1, 700), target=st.sampled_from(list(TARGETS.values())))
def test_panels_cover_every_column_once(columns: int, target: CpuTarget) -> None:
    cut = panels(columns, target.registers)
    covered = [c for panel in cut for c in range(panel.start, panel.start + panel.valid)]
    assert covered == list(range(columns))
    assert all(panel.valid == panel.width for panel in cut[:-1])
    widest = target.registers.widest_panel()
    assert all(8 <= panel.width <= widest and 1 <= panel.rows <= 6 for panel in cut)


@given(depth=st.integers(1, 9), columns=st.integers(1, 150))
def test_packed_weights_give_the_same_product(depth: int, columns: int) -> None:
    rng = np.random.default_rng(depth * 1000 + columns)
    weight = rng.normal(size=(depth, columns)).astype(np.float32)
    bias = rng.normal(size=columns).astype(np.float32)
    x = rng.normal(size=depth).astype(np.float32)
    cut = panels(columns, TARGETS["x86-64-v4"].registers)
    packed, padded, at, got = pack_weight(weight, cut), pack_columns(bias, cut), 0, []
    for panel in cut:
        block = packed[at : at + depth * panel.width].reshape(depth, panel.width)
        row = padded[panel.start : panel.start + panel.width]
        got.append((x @ block + row)[: panel.valid])
        at += depth * panel.width
    np.testing.assert_allclose(np.concatenate(got), x @ weight + bias, atol=1e-5)
