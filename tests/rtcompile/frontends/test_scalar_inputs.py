"""Inputs of rank 0: one value for all rows, given as a 0-d array or a Python scalar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import rtcompile
from rtcompile import runtime
from rtcompile.errors import UnsupportedError
from tests.rtcompile.frontends.graphs import graph, run

_ROWS = np.random.default_rng(0).normal(size=(70, 3)).astype(np.float32)
_CONSTANTS: dict[str, Any] = {"w": np.arange(12, dtype=np.float32).reshape(4, 3)}

# What it is for -> the graph, and values of s.
_GRAPHS: dict[str, tuple[str, list[Any]]] = {
    "a factor": ("float[N,3] x, float s) => (float[N,3] y) { y = Mul(x, s) }", [2.5, 2, -0.0]),
    "a temperature": (
        "float[N,3] x, float s) => (float[N,3] y) { a = Exp(s) b = Div(x, a) y = Softmax(b) }",
        [1.5, np.float32(2), np.array(0.5, np.float32)],
    ),
    "a bound": (
        "float[N,3] x, float s) => (float[N,3] y) { a = Less(x, s) y = Where(a, x, s) }",
        [0.5, np.nan, -np.inf],
    ),
    "a switch": (
        "float[N,3] x, bool s) => (float[N,3] y) { a = Relu(x) y = Where(s, x, a) }",
        [True, np.bool_(False)],
    ),
    "an id": (
        "float[N,3] x, int64 s) => (float[N,3] y) { a = Gather(w, s) y = Add(x, a) }",
        [0, 3, np.int32(2)],
    ),
    "beside a batch of 1": ("float[1,3] x, float s) => (float[1,3] y) { y = Mul(x, s) }", [2.5]),
}


def _built(text: str, folder: Path) -> tuple[Any, runtime.Ranker]:
    model = graph(f"g ({text}", **_CONSTANTS)
    onnx.save(model, str(folder / "m.onnx"))
    rtcompile.build(folder / "m.onnx", output=folder / "m.rtc")
    return model, runtime.load(folder / "m.rtc")


@pytest.mark.slow
@pytest.mark.parametrize("name", list(_GRAPHS))
def test_all_rows_share_it(tmp_path: Path, name: str) -> None:
    text, values = _GRAPHS[name]
    model, ranker = _built(text, tmp_path)
    dtype = {"bool": np.bool_, "int64": np.int64}.get(text.split(" x, ")[1].split()[0], np.float32)
    for value in values:
        given = np.array(value, dtype)
        each = [_ROWS[at : at + 1] for at in range(len(_ROWS))]
        want = np.concatenate([run(model, {"x": row, "s": given})[0] for row in each])
        for rows in (1, 70):
            got = ranker.predict({"x": _ROWS[:rows], "s": value})["y"]
            np.testing.assert_allclose(got, want[:rows], rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_a_value_that_does_not_fit_names_the_input(tmp_path: Path) -> None:
    _, ranker = _built(_GRAPHS["an id"][0], tmp_path)
    for wrong in (4, -5, [1], [[1]], 1.5, None, "one", 2**70):
        with pytest.raises(runtime.RequestError, match="'s'"):
            ranker.predict({"x": _ROWS, "s": wrong})


def test_where_no_input_has_rows_the_inputs_are_named(tmp_path: Path) -> None:
    model = graph("g (float s, float[4] t) => (float[4] y) { y = Mul(t, s) }")
    onnx.save(model, str(tmp_path / "m.onnx"))
    with pytest.raises(UnsupportedError, match=r"'s' of \[\], 't' of \[4\].*dynamic batch"):
        rtcompile.build(tmp_path / "m.onnx", output=tmp_path / "m.rtc")
