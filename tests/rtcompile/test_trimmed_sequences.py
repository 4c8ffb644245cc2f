"""Attention over a sequence of any length gives the original's scores, whatever is padded."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rtcompile
from rtcompile import runtime
from rtcompile.bench.movielens import Prepared, prepare
from rtcompile.bench.workloads import prepare as prepare_workload
from rtcompile.codegen.program.program import TILE
from rtcompile.models.movielens.data import synthetic
from rtcompile.models.movielens.examples import item_fields
from rtcompile.models.workloads.scale import SMALL
from rtcompile.relay_passes.kernels.trim_sequences import MOST_POSITIONS
from rtcompile.runtime.abi.worker_pool import Pool
from rtcompile.targets import resolve_target, runs_here
from tests.runtime.sharing import pool_of, share_from

_LENGTHS = (0, 1, 2, 15, 16, 17, 49, 50, 60)


@pytest.fixture(scope="module")
def din(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare("din", synthetic(), tmp_path_factory.mktemp("din"))


def _user(prepared: Prepared, length: int) -> dict[str, Any]:
    """A user of the test period with a history of `length` items, the same one over and over."""
    user = dict(max((r.user for r in prepared.requests), key=lambda u: len(u["hist__item_id"])))
    for name in ("hist__item_id", "hist__genres"):
        history = list(user[name])
        user[name] = (history * (length // max(len(history), 1) + 1))[:length]
    return user


@given(length=st.integers(1, MOST_POSITIONS), data=st.data())
def test_rows_are_divided_exactly(length: int, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, 2 * TILE * MOST_POSITIONS - 1))
    row = data.draw(st.sampled_from([row, row // length * length, row // length * length - 1]))
    inverse = (1 << 32) // length + 1  # as `Period` has it
    assert max(row, 0) * inverse >> 32 == max(row, 0) // length


@pytest.mark.parametrize("rows", [1, 70])
@pytest.mark.parametrize("length", _LENGTHS)
def test_every_length(din: Prepared, length: int, rows: int) -> None:
    user, items = _user(din, length), din.items[:rows]
    found, wanted = din.ranker.rank(user, items), din.usual.rank(user, items)
    np.testing.assert_allclose(found["ctr"], wanted["ctr"], rtol=1e-5, atol=1e-6)


def test_requests_do_not_see_each_others_length(din: Prepared) -> None:
    items = din.items[:33]
    wanted = {n: din.usual.rank(_user(din, n), items)["ctr"] for n in _LENGTHS}
    for length in (50, 1, 49, 0, 17, 2, 60, 15):
        found = din.ranker.rank(_user(din, length), items)["ctr"]
        np.testing.assert_allclose(found, wanted[length], rtol=1e-5, atol=1e-6)


def test_threads_share_a_request(din: Prepared) -> None:
    ranker = runtime.load(din.artifact, threads=2)
    share_from(ranker, 1)
    ranker.items.upsert(item_fields(synthetic()))
    items = (din.items * 3)[:300]
    for length in (0, 7, 50):
        found, one = (r.rank(_user(din, length), items)["ctr"] for r in (ranker, din.ranker))
        np.testing.assert_array_equal(found, one)
        assert pool_of(ranker)[Pool.NEXT] > 0
        pool_of(ranker)[Pool.NEXT] = 0


@pytest.mark.parametrize("level", ["int8", "bf16"])
def test_lower_precision(din: Prepared, level: str, tmp_path: Path) -> None:
    if not runs_here(resolve_target("x86-64-v4-bf16")):
        pytest.skip("neither bytes nor bfloat16 are multiplied here")
    options = rtcompile.BuildOptions(
        features=Path("models/movielens/fg_din.json"),
        embeddings=Path("models/movielens/din.safetensors"),
        quantize=level,
        keep_slower=True,
        max_difference=1.0,
        max_mean_difference=1.0,
    )
    rtcompile.build("models/movielens/din.onnx", options, output=tmp_path / "din.rtc")
    ranker = runtime.load(tmp_path / "din.rtc")
    ranker.items.upsert(item_fields(synthetic()))
    levels = {layer["level"] for layer in ranker.manifest["precision"]["layers"]}
    assert level in levels
    for length in _LENGTHS:
        user, items = _user(din, length), din.items[:70]
        found, exact = ranker.rank(user, items)["ctr"], din.ranker.rank(user, items)["ctr"]
        np.testing.assert_allclose(found, exact, atol=0.05)


@pytest.mark.slow
def test_a_softmax_over_several_sequences(tmp_path: Path) -> None:
    prepared = prepare_workload("ep1", tmp_path, SMALL)
    user, items = dict(prepared.design.requests[0].user), prepared.design.items["item_id"]
    sequences = sorted({name.split("__")[0] for name in user if name.startswith("seq_")})
    rng = np.random.default_rng(0)
    for _ in range(8):
        for sequence in sequences:
            length = int(rng.integers(0, 4))
            for name in user:
                if name.startswith(f"{sequence}__"):
                    user[name] = ";".join(["w1", "w2", "w3"][:length])
        found, wanted = prepared.ranker.rank(user, items), prepared.usual.rank(user, items)
        np.testing.assert_allclose(found["ctr"], wanted["ctr"], rtol=1e-5, atol=1e-6)
