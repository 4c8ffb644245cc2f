"""The whole runtime on emulated AArch64 code: the same features and scores as on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rtcompile
from rtcompile import runtime
from rtcompile.features import compile_features
from rtcompile.options import BuildOptions
from rtcompile.runtime.artifact import read_artifact
from rtcompile.targets import TARGETS
from tests.emulation.forced import force_target, why_not
from tests.onnx_models import TABLE_ROWS
from tests.ranking_model import USER, items, ranking_model
from tests.rtcompile.compile.test_feature_extractor import CONFIG, VOCABULARY, assert_as_reference

NEON = "aarch64-neoverse-n1"
CLOSE = 1e-5

_REASON = why_not(NEON)
if _REASON is None:
    from tests.emulation.aarch64 import EmulationError, Library
pytestmark = pytest.mark.skipif(_REASON is not None, reason=str(_REASON))


def test_a_build_for_another_machine_is_not_verified_and_not_loaded(
    model_path: Path, tmp_path: Path
) -> None:
    output = tmp_path / "m.rtc"
    result = rtcompile.build(model_path, BuildOptions(target=NEON), output=output)
    assert (result.verification, result.unverified) == (None, (NEON,))
    with pytest.raises(runtime.TargetError, match="nothing can be verified on this machine"):
        rtcompile.verify(output)
    with pytest.raises(runtime.TargetError, match="aarch64, but this machine is"):
        runtime.load(output)


@pytest.mark.slow
@pytest.mark.parametrize("name", [n for n, t in TARGETS.items() if t.machine == "aarch64"])
def test_a_network_gives_this_machines_outputs(
    artifact_path: Path,
    model_path: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    native = runtime.load(artifact_path)
    force_target(monkeypatch, name)
    rtcompile.build(model_path, output=tmp_path / "m.rtc")  # verified against ONNX Runtime
    neon = runtime.load(tmp_path / "m.rtc")
    rng = np.random.default_rng(0)
    for rows in (1, 7, 64, 100):
        ids = rng.integers(0, TABLE_ROWS, rows)
        inputs = {"X": rng.normal(size=(rows, 5)).astype(np.float32), "ids": ids}
        got, want = neon.predict(inputs)["Y"], native.predict(inputs)["Y"]
        np.testing.assert_allclose(got, want, rtol=0, atol=CLOSE)
    with pytest.raises(runtime.UnknownIdError, match=str(TABLE_ROWS)):
        neon.predict({"X": np.zeros((1, 5), np.float32), "ids": np.array([TABLE_ROWS])})


@pytest.mark.slow
def test_ranking_gives_this_machines_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ranking_model(tmp_path)
    options = BuildOptions(features=model.features, embeddings=model.embeddings)
    scores, ids = [], [f"i{i}" for i in range(100)]
    for name in ("native", NEON):
        if name == NEON:
            force_target(monkeypatch, NEON)
        rtcompile.build(model.onnx, options, output=tmp_path / f"{name}.rtc")
        ranker = runtime.load(tmp_path / f"{name}.rtc")
        ranker.items.upsert(items(100), key="id")
        scores.append(ranker.rank(USER, ids, {"position": [2] * 100})["ctr"])
    np.testing.assert_allclose(scores[1], scores[0], rtol=0, atol=CLOSE)


@pytest.mark.slow
@pytest.mark.parametrize("hash_name", ["murmur", "farmhash"])
def test_features_are_those_of_the_reference(
    monkeypatch: pytest.MonkeyPatch, hash_name: str
) -> None:
    """Hash, split, parse, bucketize, vocabularies, sequences."""
    force_target(monkeypatch, NEON)
    extractor = compile_features(CONFIG, hash=hash_name)
    rng = np.random.default_rng(0)
    pieces = [*VOCABULARY, "x" * 20, "y" * 70, "12", "-1.5e3", "0.1", "1e400", "nan", "x:2", ""]
    columns: dict[str, Any] = {
        name: [",".join(rng.choice(pieces, rng.integers(0, 5))) for _ in range(100)]
        for name in extractor.columns
    }
    columns["number"] = rng.normal(size=100, scale=5).tolist()
    assert_as_reference(extractor, columns)


def test_an_access_outside_of_memory_is_an_error(
    model_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    force_target(monkeypatch, NEON)
    rtcompile.build(model_path, BuildOptions(verify=False), output=tmp_path / "m.rtc")
    (tmp_path / "m.so").write_bytes(read_artifact(tmp_path / "m.rtc").module)
    library = Library(tmp_path / "m.so")
    with pytest.raises(EmulationError, match="UNMAPPED"):
        library.call(library.address("cross"), 0, 8, 7, 0)  # arguments at address 8
