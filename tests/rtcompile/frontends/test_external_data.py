"""Models whose tensors lie in files beside them: large ones are mapped from there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import rtcompile
from rtcompile import runtime
from rtcompile.errors import ModelError
from rtcompile.frontends.onnx.read_model import read_model
from rtcompile.frontends.onnx.tensors import array_of, byte_count
from rtcompile.options import BuildOptions
from rtcompile.runtime.ranker import load_target
from tests.rtcompile.frontends.graphs import Array, graph, run

_RNG = np.random.default_rng(0)
_TABLE = _RNG.normal(size=(5000, 64)).astype(np.float32)  # of 1.3 MB
_WEIGHTS = (_RNG.normal(size=(64, 4500)) / 8).astype(np.float32)  # of 1.2 MB
_TEXT = """g (int64[N] id) => (float[N,5] y) {
  e = Gather(t, id) h = MatMul(e, w) r = Relu(h) s = MatMul(r, v) y = Add(s, b) }"""


_NARROW = (_RNG.normal(size=(4500, 5)) / 60).astype(np.float32)
_WHOLE = graph(_TEXT, t=_TABLE, w=_WEIGHTS, v=_NARROW, b=np.ones(5, np.float32))


def _saved(folder: Path, at: int = 0) -> Path:
    """The model with its tensors in a file, from `at` on."""
    model = onnx.ModelProto()
    model.CopyFrom(_WHOLE)
    with (folder / "m.data").open("wb") as file:
        file.write(bytes(at))
        for tensor in model.graph.initializer:
            data = onnx.numpy_helper.to_array(tensor).tobytes()
            entries = {"location": "m.data", "offset": str(file.tell()), "length": str(len(data))}
            file.write(data)
            tensor.ClearField("raw_data")
            tensor.data_location = onnx.TensorProto.EXTERNAL
            for key, value in entries.items():
                tensor.external_data.add(key=key, value=value)
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return folder / "m.onnx"


def _answers(ranker: runtime.Ranker) -> tuple[Array, Array]:
    ids = np.array([0, 4999, -1, 17] * 30)
    return run(_WHOLE, {"id": ids})[0], ranker.predict({"id": ids})["y"]


def test_large_tensors_stay_in_their_file(tmp_path: Path) -> None:
    model = read_model(_saved(tmp_path))
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    assert model.ByteSize() < 100_000
    assert array_of(tensors["t"]) is array_of(tensors["t"])
    np.testing.assert_array_equal(array_of(tensors["t"]), _TABLE)
    np.testing.assert_array_equal(array_of(tensors["w"]), _WEIGHTS)
    np.testing.assert_array_equal(array_of(tensors["b"]), np.ones(5))
    assert byte_count(tensors["t"]) == _TABLE.nbytes
    assert not tensors["b"].external_data


def test_a_file_that_is_short_missing_or_elsewhere_is_told(tmp_path: Path) -> None:
    path = _saved(tmp_path)
    data = (tmp_path / "m.data").read_bytes()
    (tmp_path / "m.data").write_bytes(data[:-4])
    with pytest.raises(ModelError, match=r"m\.onnx: not a valid ONNX model: .*'b'"):
        read_model(path)
    (tmp_path / "m.data").write_bytes(data[:1000])
    with pytest.raises(ModelError, match=r"'t' of 1280000 bytes is not in its external data"):
        read_model(path)
    (tmp_path / "m.data").unlink()
    with pytest.raises(ModelError, match=r"m\.data"):
        read_model(path)
    (tmp_path / "inner").mkdir()
    (tmp_path / "m.data").write_bytes(data)
    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        tensor.external_data[0].value = "../m.data"
    (tmp_path / "inner" / "m.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"points outside the directory"):
        read_model(tmp_path / "inner" / "m.onnx")


@pytest.mark.slow
@pytest.mark.parametrize("at", [0, 2, 4096])
def test_models_of_external_data_agree(at: int, tmp_path: Path) -> None:
    result = rtcompile.build(_saved(tmp_path, at), output=tmp_path / "m.rtc")
    roles = {file["role"] for file in result.manifest["provenance"]["files"]}
    assert roles >= {"model", "model data"}
    want, got = _answers(runtime.load(tmp_path / "m.rtc"))
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_their_tables_go_into_lower_precision_and_several_targets(tmp_path: Path) -> None:
    path = _saved(tmp_path)
    options = BuildOptions(target=("x86-64-v2", "x86-64-v3"), embedding_dtype="int8")
    rtcompile.build(path, options, output=tmp_path / "m.rtc")
    ranker = load_target(tmp_path / "m.rtc", "x86-64-v2")
    assert [table["dtype"] for table in ranker.manifest["tables"]] == ["int8"]
    want, got = _answers(ranker)
    np.testing.assert_allclose(got, want, atol=0.2)
    assert (tmp_path / "m.rtc").stat().st_size < 2 * (_WEIGHTS.nbytes + _TABLE.nbytes // 3)
