"""Models that come quantized, built: which layers are int8, and how far scores are off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper

import rtcompile
from rtcompile import runtime
from rtcompile.cli import main
from rtcompile.compile import imported_layers as imported
from rtcompile.driver import BuildResult
from rtcompile.errors import ConfigError, VerificationError
from rtcompile.frontends.onnx.quantized.weights import ByteRange, QuantizedWeight
from rtcompile.relay_passes.kernels.quantize_dense import quantize_weight
from rtcompile.targets import resolve_target, runs_here
from rtcompile.tuning.tune import TuneOptions, model_tasks
from tests.onnx_models import save
from tests.quantized_models import dynamic, network_rows, small_network, static
from tests.ranking_model import INPUTS, USER, items, ranking_model

FLOAT = TensorProto.FLOAT
needs_int8 = pytest.mark.skipif(
    not resolve_target("host").registers.int8, reason="no instruction for int8 here"
)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_network(tmp_path_factory.mktemp("network") / "float.onnx")


def built(model: Path, folder: Path, **options: Any) -> BuildResult:
    return rtcompile.build(model, rtcompile.BuildOptions(**options), output=folder / "m.rtc")


def levels(result: BuildResult) -> list[str]:
    return [layer["level"] for layer in result.manifest["precision"]["layers"]]


def batches(count: int = 4) -> list[Any]:
    return [network_rows(32, seed) for seed in range(count)]


def near_onnxruntime(model: Path, artifact: Path, inputs: dict[str, Any], bound: float) -> None:
    want = onnxruntime.InferenceSession(str(model)).run(None, inputs)[0]
    got = runtime.load(artifact).predict(inputs)["Y"]
    assert np.abs(want - got).max() < bound
    assert np.abs(want - got).mean() < bound / 4


@pytest.mark.slow
@needs_int8
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize(
    ("form", "activations"), [("QDQ", "QUInt8"), ("QDQ", "QInt8"), ("QOperator", "QUInt8")]
)
def test_static(
    tmp_path: Path, network: Path, form: str, activations: str, per_channel: bool
) -> None:
    if form == "QOperator" and per_channel:
        pytest.skip("its quantizer gives a QLinearMatMul one scale")
    model = static(network, batches(), form, per_channel, activations)
    result = built(model, tmp_path)
    assert levels(result) == ["int8", "int8"]
    checked = result.verification
    assert checked is not None
    assert checked.largest_difference < 1e-5
    assert checked.from_quantized is not None
    assert checked.from_quantized.scores == checked.rows
    near_onnxruntime(model, tmp_path / "m.rtc", network_rows(100, 9), 0.03)


@pytest.mark.slow
@needs_int8
@pytest.mark.parametrize("per_channel", [False, True])
def test_dynamic(tmp_path: Path, network: Path, per_channel: bool) -> None:
    model = dynamic(network, per_channel)
    result = built(model, tmp_path)
    assert levels(result) == ["int8", "int8"]
    near_onnxruntime(model, tmp_path / "m.rtc", network_rows(100, 9), 0.03)


@pytest.mark.slow
@needs_int8
def test_fused_operators_of_onnxruntime(tmp_path: Path, network: Path) -> None:
    """Its optimizer writes DynamicQuantizeMatMul and MatMulIntegerToFloat."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "fused.onnx")
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(dynamic(network)), options)
    kinds = {node.op_type for node in onnx.load(tmp_path / "fused.onnx").graph.node}
    assert kinds & {"DynamicQuantizeMatMul", "MatMulIntegerToFloat"}
    result = built(tmp_path / "fused.onnx", tmp_path)
    assert levels(result) == ["int8", "int8"]
    near_onnxruntime(tmp_path / "fused.onnx", tmp_path / "m.rtc", network_rows(100, 9), 0.03)


@pytest.mark.slow
@needs_int8
def test_a_ranges_saturation_is_kept(tmp_path: Path, network: Path) -> None:
    """The quantizer leaves out the Relu before a range from 0 on; inputs reach beyond theirs."""
    model = static(network, batches())
    assert "Relu" not in {node.op_type for node in onnx.load(model).graph.node}
    built(model, tmp_path)
    near_onnxruntime(model, tmp_path / "m.rtc", network_rows(100, 9, scale=8.0), 0.05)


@pytest.mark.slow
@needs_int8
@pytest.mark.parametrize("form", ["QDQ", "dynamic"])
def test_a_ranking_model_in_stages(tmp_path: Path, form: str) -> None:
    given = ranking_model(tmp_path)
    model = dynamic(given.onnx) if form == "dynamic" else static(given.onnx, _feature_batches())
    keys = {"features": given.features, "embeddings": given.embeddings}
    result = built(model, tmp_path, **keys)
    layers = {layer["layer"]: layer["level"] for layer in result.manifest["precision"]["layers"]}
    assert set(layers.values()) == {"int8"}
    assert {name.split("/")[0] for name in layers} == {"user", "item", "cross"}
    checked = result.verification
    assert checked is not None
    assert checked.from_quantized is not None
    # Numbers of very different sizes meet in one range of the file: its own rounding is coarse.
    assert checked.from_quantized.largest <= 1.5 * checked.file_rounding + 1e-4
    ranker = runtime.load(tmp_path / "m.rtc")
    ranker.items.replace(items(70), key="id")
    scores = ranker.rank(USER, [f"i{i}" for i in range(70)], {"position": [2] * 70})["ctr"]
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > 10


def _feature_batches() -> list[Any]:
    rng, found = np.random.default_rng(0), []
    for _ in range(4):
        batch: dict[str, Any] = {}
        for name, (kind, extents) in INPUTS.items():
            shape = (32, *extents)
            if kind == FLOAT:
                batch[name] = (3 * rng.normal(size=shape)).astype(np.float32)
            else:
                dtype = np.int32 if kind == TensorProto.INT32 else np.int64
                batch[name] = rng.integers(0, 5, shape).astype(dtype)
        found.append(batch)
    return found


@needs_int8
def test_weights_with_a_zero_point_stay_float(tmp_path: Path, network: Path) -> None:
    result = built(dynamic(network, weights="QUInt8"), tmp_path)
    layers = result.manifest["precision"]["layers"]
    assert [layer["level"] for layer in layers] == ["float32", "float32"]
    assert all("zero point" in layer["reason"] for layer in layers)


@pytest.mark.slow
@pytest.mark.skipif(not runs_here(resolve_target("x86-64-v3")), reason="not run here")
def test_a_target_without_the_instruction_computes_in_float(tmp_path: Path, network: Path) -> None:
    result = built(static(network, batches()), tmp_path, target="x86-64-v3")
    layers = result.manifest["precision"]["layers"]
    assert [layer["level"] for layer in layers] == ["float32", "float32"]
    assert all("no instruction" in layer["reason"] for layer in layers)


@pytest.mark.slow
def test_what_is_said_of_it(tmp_path: Path, network: Path) -> None:
    model, to = static(network, batches()), str(tmp_path / "m.rtc")
    said = CliRunner().invoke(main, ["build", str(model), "-o", to, "--explain"])
    assert said.exit_code == 0, said.output
    assert "of the quantized model" in " ".join(said.output.split())


def test_quantize_is_refused(tmp_path: Path, network: Path) -> None:
    with pytest.raises(ConfigError, match="comes quantized"):
        target = "x86-64-v4-vnni"  # which has an instruction for int8, whatever this machine has
        built(static(network, batches()), tmp_path, quantize="int8", target=target, verify=False)


@pytest.mark.slow
@needs_int8
def test_wrong_int8_layers_are_not_written(
    tmp_path: Path, network: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = imported._int8
    monkeypatch.setattr(
        imported, "_int8", lambda given, c: right(replace(given, scale=given.scale / 4), c)
    )
    with pytest.raises(VerificationError, match="not written"):
        built(static(network, batches()), tmp_path)
    assert not (tmp_path / "m.rtc").exists()


@pytest.mark.slow
@needs_int8
def test_tables_in_int8_too(tmp_path: Path, network: Path) -> None:
    model = static(network, batches())
    result = built(model, tmp_path, embedding_dtype="int8")
    assert levels(result) == ["int8", "int8"]
    assert [table["dtype"] for table in result.manifest["tables"]] == ["int8"]
    assert [table["name"] for table in result.manifest["tables"]] == ["E_quantized"]


def _weight(depth: int, columns: int, given: ByteRange | None = None) -> QuantizedWeight:
    rng = np.random.default_rng(depth)
    q = rng.integers(-90, 91, (depth, columns)).astype(np.int8)
    scale = rng.uniform(0.01, 0.02, columns).astype(np.float32)
    return QuantizedWeight("w", q.astype(np.float32) * scale, q, scale, given)


@pytest.mark.parametrize("rows", [slice(None), slice(7, 30), slice(20, 40)])
@pytest.mark.parametrize("scaled", [False, True])
def test_blocks_and_scaled_columns_keep_the_files_bytes(rows: slice, scaled: bool) -> None:
    weight = _weight(40, 24, ByteRange(0.1, 3, -128, 127))
    factors = np.random.default_rng(1).uniform(-2, 2, 24).astype(np.float32)
    matrix = weight.values[rows] * factors if scaled else weight.values[rows]
    found, reason = imported._match(matrix, [imported._Known.of(weight)])
    assert found is not None, reason
    assert (found.level, found.scale, found.zero) == ("int8", 0.1, 131)
    assert found.columns is not None
    q, _ = quantize_weight(matrix, found.columns)
    assert np.array_equal(q, weight.q[rows])


def test_other_matrices_match_none() -> None:
    weight = _weight(40, 24)
    known = [imported._Known.of(weight)]
    sums = weight.values[:20] + weight.values[20:]
    by_rows = weight.values * np.linspace(1, 2, 40, dtype=np.float32)[:, None]
    for matrix in (sums, by_rows, weight.values[:, :20]):
        assert imported._match(np.ascontiguousarray(matrix), known)[0] is None


@needs_int8
def test_equal_weights_of_different_ranges_read_rows_by_their_own(tmp_path: Path) -> None:
    one = _weight(40, 24, ByteRange(0.1, 0, 0, 255))
    other = QuantizedWeight("v", one.values, one.q, one.scale, ByteRange(0.2, 0, 0, 255))
    found, _ = imported._match(one.values, [imported._Known.of(w) for w in (one, other)])
    assert found is not None
    assert found.scale is None


@needs_int8
def test_batch_normalisation_behind_a_quantized_product(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = {
        "g": rng.uniform(0.5, 2, 32),
        "b": rng.normal(size=32),
        "mean": rng.normal(size=32),
        "var": rng.uniform(0.5, 2, 32),
    }
    constants = {name: row.astype(np.float32) for name, row in rows.items()}
    constants["w"] = (rng.normal(size=(48, 32)) / 7).astype(np.float32)
    constants["v"] = (rng.normal(size=(32, 1)) / 6).astype(np.float32)
    nodes = [
        helper.make_node("MatMul", ["X", "w"], ["m"]),
        helper.make_node("BatchNormalization", ["m", "g", "b", "mean", "var"], ["n"]),
        helper.make_node("Relu", ["n"], ["h"]),
        helper.make_node("MatMul", ["h", "v"], ["Y"]),
    ]
    model = save(
        tmp_path / "f.onnx", nodes, constants, {"X": (FLOAT, ["n", 48])}, {"Y": (FLOAT, ["n", 1])}
    )
    result = built(dynamic(model, per_channel=True), tmp_path)
    assert levels(result) == ["int8"]


@needs_int8
def test_its_int8_layers_are_tuned(tmp_path: Path, network: Path) -> None:
    tasks = model_tasks(dynamic(network), TuneOptions(tmp_path))
    assert {task.kernel for task in tasks} >= {"dense_int8"}
