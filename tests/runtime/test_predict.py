from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

import rtcompile
from rtcompile import runtime
from tests.onnx_models import TABLE_ROWS, save

FLOAT = TensorProto.FLOAT


def _inputs(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "X": rng.normal(size=(rows, 5)).astype(np.float32),
        "ids": rng.integers(0, TABLE_ROWS, rows),
    }


def test_scores_agree_with_the_original_at_every_row_count(
    ranker: runtime.Ranker, model_path: Path
) -> None:
    session = onnxruntime.InferenceSession(str(model_path))

    @given(rows=st.integers(1, 200), seed=st.integers(0, 1000))
    def check(rows: int, seed: int) -> None:
        inputs = _inputs(rows, seed)
        expected = session.run(None, inputs)[0]
        actual = ranker.predict(inputs)["Y"]
        assert actual.dtype == np.float32
        np.testing.assert_allclose(actual, expected, atol=1e-5)

    check()


def test_zero_rows_give_empty_scores(ranker: runtime.Ranker) -> None:
    assert ranker.predict(_inputs(0))["Y"].shape == (0, 1)


def test_outputs_without_rows(tmp_path: Path) -> None:
    """A constant, a request's own input, and what is computed of one; for no rows too."""
    three = np.array([1, 2, 3], np.float32)
    nodes = [
        helper.make_node("Relu", ["x"], ["y"]),
        helper.make_node("Identity", ["three"], ["constant"]),
        helper.make_node("Identity", ["p"], ["given"]),
        helper.make_node("Neg", ["p"], ["computed"]),
        helper.make_node("Identity", ["computed"], ["again"]),
    ]
    inputs = {"x": (FLOAT, ["n", 4]), "p": (FLOAT, [2, 5])}
    outputs = {
        "y": (FLOAT, ["n", 4]),
        "constant": (FLOAT, [3]),
        "given": (FLOAT, [2, 5]),
        "computed": (FLOAT, [2, 5]),
        "again": (FLOAT, [2, 5]),
    }
    save(tmp_path / "m.onnx", nodes, {"three": three}, inputs, outputs)
    rtcompile.build(tmp_path / "m.onnx", output=tmp_path / "m.rtc")
    ranker, p = runtime.load(tmp_path / "m.rtc"), np.arange(10, dtype=np.float32).reshape(2, 5)
    for rows in (0, 1, 3, 200):
        p = p + 1
        got = ranker.predict({"x": np.ones((rows, 4), np.float32), "p": p})
        assert got["y"].shape == (rows, 4)
        wanted = {"constant": three, "given": p, "computed": -p, "again": -p}
        for name, want in wanted.items():
            np.testing.assert_array_equal(got[name], want)


def test_ten_thousand_rows(ranker: runtime.Ranker) -> None:
    inputs = _inputs(10_000)
    whole = ranker.predict(inputs)["Y"]
    part = ranker.predict({name: value[5000:5100] for name, value in inputs.items()})["Y"]
    np.testing.assert_allclose(whole[5000:5100], part, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int32", "bool"])
def test_convertible_dtypes_are_converted(ranker: runtime.Ranker, dtype: str) -> None:
    values = np.arange(15).reshape(3, 5) % 2
    ids = np.array([1, 2, 3], np.int8)
    got = ranker.predict({"X": values.astype(dtype), "ids": ids})["Y"]
    want = ranker.predict({"X": values.astype(np.float32), "ids": ids})["Y"]
    assert np.array_equal(got, want)


def test_memory_that_is_used_again_holds_nothing_of_a_call_before(ranker: runtime.Ranker) -> None:
    whole = _inputs(65)
    want = ranker.predict(whole)["Y"]
    for rows in (64, 3, 65, 1, 0, 64):
        got = ranker.predict({name: value[:rows] for name, value in whole.items()})["Y"]
        np.testing.assert_allclose(got, want[:rows], atol=1e-6)
    with pytest.raises(runtime.RequestError, match="2 rows beside 3"):
        ranker.predict({"X": whole["X"][:3], "ids": whole["ids"][:2]})
    with pytest.raises(runtime.UnknownIdError):
        ranker.predict({"X": whole["X"][:1], "ids": np.array([TABLE_ROWS])})
    np.testing.assert_allclose(ranker.predict(whole)["Y"], want, atol=1e-6)


@pytest.mark.parametrize("rows", [9, 100])
def test_unaligned_strided_and_read_only_arrays(ranker: runtime.Ranker, rows: int) -> None:
    inputs = _inputs(rows)
    want = ranker.predict(inputs)["Y"]
    raw = np.zeros(rows * 5 * 4 + 8, np.uint8)
    by_elements, by_bytes = (
        raw[at : at + rows * 20].view(np.float32).reshape(rows, 5) for at in (4, 1)
    )
    strided = np.asfortranarray(inputs["X"])
    frozen = inputs["X"].copy()
    frozen.flags.writeable = False
    for x in (by_elements, by_bytes, strided, frozen, inputs["X"].tolist()):
        if isinstance(x, np.ndarray) and x.flags.writeable:
            x[...] = inputs["X"]
        assert np.array_equal(ranker.predict({**inputs, "X": x})["Y"], want)


def test_negative_ids_count_from_the_end(ranker: runtime.Ranker) -> None:
    x = np.zeros((1, 5), np.float32)
    last = ranker.predict({"X": x, "ids": [TABLE_ROWS - 1]})["Y"]
    assert np.array_equal(ranker.predict({"X": x, "ids": [-1]})["Y"], last)


@pytest.mark.parametrize("bad", [TABLE_ROWS, -TABLE_ROWS - 1, 2**62, -(2**62)])
def test_an_id_outside_its_table_is_an_error(ranker: runtime.Ranker, bad: int) -> None:
    inputs = _inputs(100)
    inputs["ids"][57] = bad
    with pytest.raises(runtime.UnknownIdError, match=f"{bad} is outside table 'table'"):
        ranker.predict(inputs)
    ranker.predict(_inputs(100))  # the error does not stick


def test_nan_and_infinity_stay_in_their_row(ranker: runtime.Ranker) -> None:
    inputs = _inputs(70)
    want = ranker.predict(inputs)["Y"]
    inputs["X"][66] = np.nan
    got = ranker.predict(inputs)["Y"]
    keep = np.arange(70) != 66
    assert np.array_equal(got[keep], want[keep])


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"X": np.zeros((1, 5))}, "missing 'ids'"),
        ({"X": np.zeros((1, 5)), "idz": [1]}, "did you mean 'ids'"),
        ({"X": np.zeros((1, 4)), "ids": [1]}, r"shape \(1, 4\) is not \(rows, 5\)"),
        ({"X": np.zeros((2, 5)), "ids": [1]}, "1 rows beside 2"),
        ({"X": np.zeros((1, 5)), "ids": [1.5]}, "float64 cannot be converted to int64"),
        ({"X": np.zeros((1, 5)), "ids": np.uint64([1 << 63])}, "row 0: 9223372036854775808 c"),
        ({"X": np.full((1, 5), 1 << 40 | 1), "ids": [1]}, "input 'X', row 0, place 0"),
        ({"X": [["a"] * 5], "ids": [1]}, "cannot be converted to float32"),
        ({"X": [[None] * 5], "ids": [1]}, "cannot be converted to float32"),
        ({"X": [[1], [1, 2]], "ids": [1]}, "not a rectangular array"),
        ([1, 2], "a mapping of fields"),
    ],
)
def test_malformed_inputs_give_a_typed_error(
    ranker: runtime.Ranker, inputs: object, message: str
) -> None:
    with pytest.raises(runtime.RequestError, match=message):
        ranker.predict(inputs)  # type: ignore[arg-type]


def test_many_threads_share_a_ranker(ranker: runtime.Ranker) -> None:
    requests = [_inputs(1 + seed % 150, seed) for seed in range(64)]
    alone = [ranker.predict(request)["Y"] for request in requests]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda request: ranker.predict(request)["Y"], requests))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))
