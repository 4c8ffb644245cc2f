"""Models whose tables are in lower precision: kernels, verification, artifact and messages."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

import rtcompile
from rtcompile import runtime
from rtcompile.codegen.program.pack_table import pack_table, unpack_table
from rtcompile.codegen.program.table_format import DTYPES, TableFormat
from rtcompile.errors import EmbeddingsError, VerificationError
from rtcompile.frontends.onnx.rewrite.replace_tables import replace_tables
from tests.onnx_models import save
from tests.ranking_model import RankingModel, ranking_model

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
DIMENSIONS = (1, 5, 16, 40)
ROWS = 90


@dataclass(frozen=True)
class Looked:
    """An artifact that looks up a table of each dimension, and what the tables hold."""

    ranker: runtime.Ranker
    values: dict[str, npt.NDArray[np.float32]]


def _look_up_model(path: Path, tables: dict[str, npt.NDArray[np.float32]]) -> Path:
    """Y_NAME = NAME[ids]."""
    nodes = [helper.make_node("Gather", [name, "ids"], [f"Y_{name}"]) for name in tables]
    outputs = {f"Y_{name}": (FLOAT, ["n", t.shape[1]]) for name, t in tables.items()}
    return save(path, nodes, dict(tables), {"ids": (INT64, ["n"])}, outputs)


@pytest.fixture(scope="module", params=DTYPES)
def looked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Looked:
    dtype, rng = request.param, np.random.default_rng(3)
    tables = {f"t{d}": rng.normal(size=(ROWS, d)).astype(np.float32) for d in DIMENSIONS}
    for table in tables.values():
        table[0], table[1], table[2, 0], table[3] = 0, 7, -60000, 1e-30
    model = _look_up_model(tmp_path_factory.mktemp(dtype) / "m.onnx", tables)
    output = model.with_suffix(".rtc")
    options = rtcompile.BuildOptions(table_dtypes=tuple((name, dtype) for name in tables))
    result = rtcompile.build(model, options, output=output)
    assert {table["dtype"] for table in result.manifest["tables"]} == {dtype}
    assert result.verification is not None
    assert (result.verification.from_original is None) == (dtype == "fp32")
    values = {}
    for name, table in tables.items():
        shape = TableFormat(dtype, table.shape[1])
        values[name] = unpack_table(pack_table(name, table, shape), shape)
    return Looked(runtime.load(output), values)


@given(ids=st.lists(st.integers(-ROWS, ROWS - 1), min_size=1, max_size=140))
def test_kernels_read_what_numpy_reads(looked: Looked, ids: list[int]) -> None:
    got = looked.ranker.predict({"ids": ids})
    for name, values in looked.values.items():
        np.testing.assert_array_equal(got[f"Y_{name}"], values[ids], err_msg=name)


@pytest.mark.parametrize("bad", [ROWS, -ROWS - 1])
def test_an_id_outside_is_still_an_error(looked: Looked, bad: int) -> None:
    with pytest.raises(runtime.UnknownIdError, match=f"{bad} is outside table 't"):
        looked.ranker.predict({"ids": [0, bad]})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> RankingModel:
    return ranking_model(tmp_path_factory.mktemp("stored"))


def _build(model: RankingModel, output: Path, **options: Any) -> rtcompile.BuildResult:
    given = {"features": model.features, "embeddings": model.embeddings, **options}
    return rtcompile.build(model.onnx, rtcompile.BuildOptions(**given), output=output)


@pytest.mark.slow
@pytest.mark.parametrize(
    "dtypes",
    [
        ("int8", "fp16", "bf16"),
        pytest.param(("int4", "bf16", "int8"), marks=pytest.mark.slow),
        pytest.param(("fp16", "int4", "fp32"), marks=pytest.mark.slow),
    ],
)
def test_pooled_features_in_every_stage(
    model: RankingModel, tmp_path: Path, dtypes: tuple[str, ...]
) -> None:
    named = dict(zip(("tag", "words", "ids_table"), dtypes, strict=True))
    result = _build(model, tmp_path / "o.rtc", table_dtypes=tuple(named.items()))
    assert {t["name"]: t["dtype"] for t in result.manifest["tables"]} == named
    checked = result.verification
    assert checked is not None
    assert checked.from_original is not None
    assert checked.largest_difference < 1e-5
    moved = checked.from_original
    assert 0 < moved.mean <= moved.largest < (0.2 if "int4" in dtypes else 0.02)


def test_wrong_values_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _look_up_model(tmp_path / "m.onnx", {"t": np.ones((100, 8), np.float32)})

    def shifted(packed: Any, shape: TableFormat) -> npt.NDArray[np.float32]:
        return unpack_table(packed, shape) + np.float32(0.05)

    monkeypatch.setattr("rtcompile.codegen.program.constants.unpack_table", shifted)
    with pytest.raises(VerificationError):
        options = rtcompile.BuildOptions(embedding_dtype="int8")
        rtcompile.build(path, options, output=tmp_path / "o.rtc")
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_without_a_place_for_its_values_fails_the_build(tmp_path: Path) -> None:
    table = np.ones((100, 8), np.float32)
    table[70, 3] = np.nan
    path = _look_up_model(tmp_path / "m.onnx", {"t": table})
    output = tmp_path / "o.rtc"
    options = rtcompile.BuildOptions(embedding_dtype="int8")
    with pytest.raises(EmbeddingsError, match="row 70, column 3"):
        rtcompile.build(path, options, output=output)
    assert not output.exists()
    # Left in fp32 by name, as in bf16, NaN is a value like another.
    for kept in ({"table_dtypes": (("t", "fp32"),)}, {"embedding_dtype": "bf16"}):
        rtcompile.build(path, rtcompile.BuildOptions(**kept), output=output)
        got = runtime.load(output).predict({"ids": [70]})["Y_t"]
        np.testing.assert_array_equal(got, table[70:71])


def test_the_artifact_is_less_than_three_tenths(tmp_path: Path) -> None:
    table = np.random.default_rng(0).normal(size=(200_000, 16)).astype(np.float32)
    path = _look_up_model(tmp_path / "m.onnx", {"t": table})
    sizes = {}
    for dtype in ("fp32", "int8"):
        output = tmp_path / f"{dtype}.rtc"
        options = rtcompile.BuildOptions(embedding_dtype=dtype, verify=False)
        rtcompile.build(path, options, output=output)
        sizes[dtype] = output.stat().st_size
    assert sizes["int8"] <= 0.3 * sizes["fp32"]


def test_only_look_ups_by_inputs_read_the_stored_values(tmp_path: Path) -> None:
    """A matrix that is a table and a weight (tied), a look-up by constant ids, equal tables."""
    rng = np.random.default_rng(0)
    table = rng.normal(size=(80, 4)).astype(np.float32)
    constants = {
        "t": table,
        "same": table.copy(),
        "first": np.zeros(1, np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["t", "ids"], ["a"]),
        helper.make_node("Gather", ["same", "ids"], ["b"]),
        helper.make_node("Gather", ["t", "first"], ["c"]),
        helper.make_node("MatMul", ["X", "t"], ["d"]),
        helper.make_node("Add", ["a", "b"], ["ab"]),
        helper.make_node("Add", ["c", "d"], ["cd"]),
        helper.make_node("Add", ["ab", "cd"], ["Y"]),
    ]
    inputs = {"ids": (INT64, ["n"]), "X": (FLOAT, ["n", 80])}
    path = save(tmp_path / "m.onnx", nodes, constants, inputs, {"Y": (FLOAT, ["n", 4])})
    options = rtcompile.BuildOptions(embedding_dtype="int4")
    result = rtcompile.build(path, options, output=tmp_path / "o.rtc")  # verified
    assert [t["dtype"] for t in result.manifest["tables"]] == ["int4"]
    replaced = replace_tables(onnx.load(str(path)), {"t": table + 1})
    assert [node.input[0] for node in replaced.graph.node[:4]] == ["t/stored", "same", "t", "X"]
    kept = {t.name: numpy_helper.to_array(t) for t in replaced.graph.initializer}
    np.testing.assert_array_equal(kept["t/stored"], table + 1)
    np.testing.assert_array_equal(kept["t"], table)
