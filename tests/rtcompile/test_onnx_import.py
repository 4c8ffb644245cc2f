from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import rtcompile
from rtcompile import runtime
from rtcompile.errors import ModelError, UnsupportedError, VerificationError
from rtcompile.frontends.onnx.import_onnx import import_onnx
from rtcompile.options import BuildOptions
from rtcompile.targets import TARGETS, runs_here
from rtcompile.verification.reference import open_session
from tests.onnx_models import save, two_input_model

_FLOAT = TensorProto.FLOAT


def _one_node(path: Path, node: object, shape: list[object], **constants: object) -> Path:
    return save(path, [node], constants, {"X": (_FLOAT, shape)}, {"Y": (_FLOAT, None)})


@pytest.mark.parametrize("content", [b"", b"not a model", b"\x08\x07\x12\x00" * 9])
def test_what_is_not_onnx(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a valid ONNX model"):
        rtcompile.build(path, output=tmp_path / "m.rtc")
    assert not (tmp_path / "m.rtc").exists()


def test_a_truncated_model(tmp_path: Path, model_path: Path) -> None:
    data = model_path.read_bytes()
    path = tmp_path / "m.onnx"
    for length in (len(data) // 3, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(ModelError):
            rtcompile.build(path, output=tmp_path / "m.rtc")


def test_a_missing_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        rtcompile.build(tmp_path / "m.onnx", output=tmp_path / "m.rtc")


def test_unknown_operators_are_all_named(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    nodes = [
        helper.make_node("Det", ["X"], ["d"], name="first"),
        helper.make_node("Bernoulli", ["X"], ["Y"], name="second"),
    ]
    inputs = {"X": (_FLOAT, ["n", 3, 3])}
    save(path, nodes, {}, inputs, {"Y": (_FLOAT, ["n", 3, 3]), "d": (_FLOAT, ["n"])})
    with pytest.raises(UnsupportedError) as caught:
        rtcompile.build(path, output=tmp_path / "m.rtc")
    assert "node first: Det" in str(caught.value)
    assert "node second: Bernoulli" in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("opset", [7, 9, 11, 13, 17, 18, 20, 23, 25])
def test_opsets(tmp_path: Path, opset: int) -> None:
    path = two_input_model(tmp_path / "m.onnx", opset)
    result = rtcompile.build(path, output=tmp_path / "m.rtc")
    assert result.verification is not None
    assert result.verification.largest_difference < 1e-5


@pytest.mark.parametrize("opset", [6, 29])
def test_other_opsets_are_refused(tmp_path: Path, opset: int) -> None:
    path = two_input_model(tmp_path / "m.onnx", opset)
    with pytest.raises(UnsupportedError, match=f"opset {opset} is not supported"):
        rtcompile.build(path, output=tmp_path / "m.rtc")


def test_a_fixed_batch_is_refused(tmp_path: Path) -> None:
    path = _one_node(tmp_path / "m.onnx", helper.make_node("Relu", ["X"], ["Y"]), [4, 3])
    with pytest.raises(UnsupportedError, match="dynamic batch"):
        rtcompile.build(path, output=tmp_path / "m.rtc")


def test_a_second_dynamic_extent_is_refused(tmp_path: Path) -> None:
    path = _one_node(tmp_path / "m.onnx", helper.make_node("Relu", ["X"], ["Y"]), ["n", "m"])
    with pytest.raises(UnsupportedError, match="dynamic extent on axis 1"):
        rtcompile.build(path, output=tmp_path / "m.rtc")


@pytest.mark.parametrize(
    "node",
    [
        helper.make_node("Softmax", ["X"], ["Y"], axis=0),
        helper.make_node("ReduceSum", ["X", "axes"], ["Y"], keepdims=1),
        helper.make_node("Concat", ["X", "X"], ["Y"], axis=0),
    ],
    ids=["softmax", "sum", "concat"],
)
def test_a_graph_that_mixes_rows_is_refused(tmp_path: Path, node: object) -> None:
    path = _one_node(tmp_path / "m.onnx", node, ["n", 3], axes=np.array([0], np.int64))
    with pytest.raises(UnsupportedError, match=r"the batch|its first axis|per request"):
        rtcompile.build(path, output=tmp_path / "m.rtc")


def test_outputs_that_are_inputs_constants_or_views(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Identity", ["X"], ["same"]),
        helper.make_node("Reshape", ["X", "shape"], ["view"]),
        helper.make_node("Relu", ["X"], ["first"]),
        helper.make_node("Identity", ["first"], ["second"]),
    ]
    outputs = dict.fromkeys(("same", "view", "first", "second"), (_FLOAT, None))
    outputs["view"] = (_FLOAT, ["n", 2, 3])
    constants = {"shape": np.array([-1, 2, 3], np.int64)}
    path = save(tmp_path / "m.onnx", nodes, constants, {"X": (_FLOAT, ["n", 6])}, outputs)
    rtcompile.build(path, output=tmp_path / "m.rtc")
    x = np.random.default_rng(0).normal(size=(70, 6)).astype(np.float32)
    got = runtime.load(tmp_path / "m.rtc").predict({"X": x})
    assert list(got) == ["same", "view", "first", "second"]
    assert np.array_equal(got["same"], x)
    assert np.array_equal(got["view"], x.reshape(-1, 2, 3))
    assert np.array_equal(got["first"], np.maximum(x, 0))
    assert np.array_equal(got["second"], np.maximum(x, 0))


def test_a_module_that_disagrees_is_not_written(
    tmp_path: Path, model_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rtcompile.codegen.lowering import lower_dense

    monkeypatch.setattr(lower_dense, "pack_columns", lambda bias, cut: np.zeros(64, np.float32))
    with pytest.raises(VerificationError, match="not written"):
        rtcompile.build(model_path, output=tmp_path / "m.rtc")
    assert not (tmp_path / "m.rtc").exists()


def test_options_are_keyed_by_every_field() -> None:
    assert BuildOptions().digest() == BuildOptions().digest()
    assert BuildOptions().digest() != BuildOptions(target="x86-64-v3").digest()


@pytest.mark.parametrize("target", ["x86-64-v2", "x86-64-v3"])
def test_lower_targets_agree(tmp_path: Path, model_path: Path, target: str) -> None:
    if not runs_here(TARGETS[target]):
        pytest.skip(f"this machine cannot run {target}")
    options = BuildOptions(target=target)
    result = rtcompile.build(model_path, options, output=tmp_path / "m.rtc")
    assert result.manifest["target"]["name"] == target


def test_an_unknown_target_is_named(tmp_path: Path, model_path: Path) -> None:
    with pytest.raises(UnsupportedError, match="did you mean 'x86-64-v4'"):
        rtcompile.build(model_path, BuildOptions(target="x86-64-v5"), output=tmp_path / "m.rtc")


def test_onnx_is_not_changed_by_the_import(tmp_path: Path, model_path: Path) -> None:
    before = onnx.load(str(model_path)).SerializeToString()
    rtcompile.build(model_path, output=tmp_path / "m.rtc")
    assert onnx.load(str(model_path)).SerializeToString() == before


@pytest.mark.parametrize("axis", [1, 0])
def test_positions_of_a_fixed_extent(tmp_path: Path, axis: int) -> None:
    """Range(0, Shape(X)[1], 1) is a constant; of the batch it is not, and is refused."""
    nodes = [
        helper.make_node("Shape", ["X"], ["s"]),
        helper.make_node("Gather", ["s", "axis"], ["end"], axis=0),
        helper.make_node("Range", ["zero", "end", "one"], ["r"]),
        helper.make_node("Cast", ["r"], ["f"], to=_FLOAT),
        helper.make_node("Unsqueeze", ["f", "last"], ["column"]),
        helper.make_node("Add", ["X", "column"], ["Y"]),
    ]
    constants = {name: np.array(value) for name, value in (("zero", 0), ("one", 1), ("axis", axis))}
    constants["last"] = np.array([1])
    path = save(
        tmp_path / "m.onnx",
        nodes,
        constants,
        {"X": (_FLOAT, ["n", 4, 3])},
        {"Y": (_FLOAT, ["n", 4, 3])},
    )
    if axis == 0:
        with pytest.raises(UnsupportedError):
            rtcompile.build(path, output=tmp_path / "m.rtc")
        return
    rtcompile.build(path, output=tmp_path / "m.rtc")
    x = np.random.default_rng(0).normal(size=(5, 4, 3)).astype(np.float32)
    got = runtime.load(tmp_path / "m.rtc").predict({"X": x})["Y"]
    np.testing.assert_array_equal(got, x + np.arange(4, dtype=np.float32)[:, None])


@pytest.mark.parametrize("index", [4, -5])
def test_a_gather_outside_of_its_axis_is_an_error(tmp_path: Path, index: int) -> None:
    nodes = [helper.make_node("Gather", ["X", "at"], ["Y"], axis=1)]
    inputs, outputs = {"X": (_FLOAT, ["n", 4, 3])}, {"Y": (_FLOAT, ["n", 3])}
    path = save(tmp_path / "m.onnx", nodes, {"at": np.array(index)}, inputs, outputs)
    with pytest.raises(ModelError, match=f"takes element {index} of an axis that has 4"):
        rtcompile.build(path, output=tmp_path / "m.rtc")


def test_an_original_that_fails_is_an_error(tmp_path: Path) -> None:
    nodes = [helper.make_node("Reshape", ["X", "to"], ["Y"])]
    ports = {"X": (_FLOAT, ["n", 4])}, {"Y": (_FLOAT, ["n", 4])}
    path = save(tmp_path / "m.onnx", nodes, {"to": np.array([-1, 4])}, *ports)
    run = open_session(import_onnx(path))
    with pytest.raises(ModelError, match="ONNX Runtime cannot run the model"):
        run(["Y"], {"X": np.zeros((2, 3), np.float32)})
