"""What the demo's models are cut into, and that their shares add up."""

from __future__ import annotations

from pathlib import Path

import pytest

import rtcompile
from rtcompile.bench.movielens import FOLDER
from rtcompile.driver import BuildResult
from rtcompile.relay_passes.report import PassReport


def _built(name: str, folder: Path) -> BuildResult:
    options = rtcompile.BuildOptions(
        features=FOLDER / f"fg_{name}.json", embeddings=FOLDER / f"{name}.safetensors"
    )
    # Verified: the staged scores are those of the whole graph.
    return rtcompile.build(FOLDER / f"{name}.onnx", options, output=folder / f"{name}.rtc")


def _applied(result: BuildResult) -> dict[str, int]:
    return {record.name: record.applied for record in result.report.passes if not record.stage}


def _passes(result: BuildResult, name: str) -> list[PassReport]:
    return [record for record in result.report.passes if record.name == name]


def _outputs(result: BuildResult, stage: str) -> set[tuple[int, ...]]:
    return {tuple(port["shape"]) for port in result.manifest["stages"][stage]["outputs"]}


@pytest.mark.slow
def test_din_splits_its_attention_and_its_first_layer(tmp_path: Path) -> None:
    result = _built("din", tmp_path)
    applied = _applied(result)
    # [q, k, q - k, q * k] @ W and concat(user, item, interest) @ W; q is not expanded.
    assert (applied["split_products"], applied["drop_expansions"]) == (2, 2)
    assert (50, 36) in _outputs(result, "user_network")  # k @ (W1 - W2), once a request
    assert (36,) in _outputs(result, "item_network")  # q @ (W0 + W2), once an item
    # The scores are masked by the user's length: padding is not scored.
    counted = {record.stage: record.applied for record in _passes(result, "trim_sequences")}
    assert counted == {"user": 0, "item": 0, "cross": 1}
    assert result.verification is not None
    assert result.verification.largest_difference < 1e-5


@pytest.mark.slow
def test_deepfm_splits_its_sums_and_its_first_layer(tmp_path: Path) -> None:
    result = _built("deepfm", tmp_path)
    applied = _applied(result)
    # The sum of the fields' vectors and that of their squares; the first layer.
    assert applied["split_sums"] == 2
    assert applied["split_products"] >= 1
    assert (128,) in _outputs(result, "user_network")
    assert (128,) in _outputs(result, "item_network")
    # No field's vector is left to look up, or to read, for a pair.
    assert not result.manifest["stages"]["cross"]["lookups"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["deepfm", "din"])
def test_what_the_cross_stage_reads_is_there(name: str, tmp_path: Path) -> None:
    stages = _built(name, tmp_path).manifest["stages"]
    for stage in ("user_network", "item_network", "cross"):
        for source, at in stages[stage]["sources"]:
            assert at < len(stages[source]["outputs"])
