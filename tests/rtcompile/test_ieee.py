"""NaN, infinities, signs of zero and integers that wrap, through whole builds.

Each case is a few nodes from x, y (float32), i, j (int64) or the truths b, and what numpy makes of
the same values. All of them are outputs of one model, so that one build holds them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.parser
import pytest
from onnx import numpy_helper

from rtcompile import BuildOptions, build, runtime

pytestmark = pytest.mark.slow

Array = npt.NDArray[Any]
Values = dict[str, Array]

_COLUMNS = 6
_W = np.random.default_rng(0).normal(size=(_COLUMNS, _COLUMNS)).astype(np.float32)
_V = _W[:, :1].copy()
_CONSTANTS: Values = {
    "W": _W,
    "V": _V,
    "zero": np.float32(0),
    "one": np.float32(1),
    "minus": np.float32(-1),
    "six": np.float32(6),
    "half": np.float32(0.5),
    "infinite": np.float32(np.inf),
    "lowest": np.float32(-np.inf),
    "one_i": np.int64(1),
    "none_i": np.int64(0),
    "axis": np.array([1], np.int64),
}


def _elu(x: Array) -> Array:
    return np.where(x > 0, x, np.expm1(x)).astype(np.float32)


def _softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def _first(x: Array, best: Array) -> Array:
    """The first place of the row's best value."""
    same = (x == best) | (np.isnan(x) & np.isnan(best))
    return np.argmax(same, 1)[:, None]


def _last(x: Array, best: Array) -> Array:
    return x.shape[1] - 1 - _first(x[:, ::-1], best)


# name -> nodes with the result r, numpy's.
_CASES: dict[str, tuple[str, Callable[[Values], Array]]] = {
    # NaN stays, and so does the sign of zero.
    "relu": ("r = Relu(x)", lambda v: np.maximum(v["x"], 0)),
    "clip": ("r = Clip(x, minus, six)", lambda v: np.clip(v["x"], -1, 6)),
    "clip_below": ("r = Clip(x, minus)", lambda v: np.maximum(v["x"], -1)),
    "max": ("r = Max(x, y)", lambda v: np.maximum(v["x"], v["y"])),
    "min": ("r = Min(x, y)", lambda v: np.minimum(v["x"], v["y"])),
    "max_of_three": ("r = Max(x, half, y)", lambda v: np.maximum(v["x"], np.maximum(v["y"], 0.5))),
    "elu": ("r = Elu(x)", lambda v: _elu(v["x"])),
    "sign": ("r = Sign(x)", lambda v: np.sign(v["x"])),
    "hard_sigmoid": ("r = HardSigmoid(x)", lambda v: np.clip(v["x"] * 0.2 + 0.5, 0, 1)),
    "leaky": ("r = LeakyRelu<alpha=0.5>(x)", lambda v: np.where(v["x"] > 0, v["x"], v["x"] * 0.5)),
    "dense_relu": ("m = MatMul(x, W) r = Relu(m)", lambda v: np.maximum(v["x"] @ _W, 0)),
    "dense_clip": (
        "m = MatMul(x, W) r = Clip(m, minus, six)",
        lambda v: np.clip(v["x"] @ _W, -1, 6),
    ),
    "dense_max": ("m = MatMul(x, W) r = Max(m, y)", lambda v: np.maximum(v["x"] @ _W, v["y"])),
    "narrow_relu": ("m = MatMul(x, V) r = Relu(m)", lambda v: np.maximum(v["x"] @ _V, 0)),
    "residual": (
        "m = MatMul(x, W) n = Add(m, y) r = Sub(n, y)",
        lambda v: (v["x"] @ _W + v["y"]) - v["y"],
    ),
    # No number is folded away.
    "times_zero": ("r = Mul(x, zero)", lambda v: v["x"] * np.float32(0)),
    "zero_by": ("r = Div(zero, x)", lambda v: np.float32(0) / v["x"]),
    "by_zero": ("r = Div(x, zero)", lambda v: v["x"] / np.float32(0)),
    "plus_zero": ("p = Add(x, zero) r = Div(one, p)", lambda v: 1 / (v["x"] + np.float32(0))),
    "less_itself": ("r = Sub(x, x)", lambda v: v["x"] - v["x"]),
    "by_itself": ("r = Div(x, x)", lambda v: v["x"] / v["x"]),
    "back": ("p = Add(x, y) r = Sub(p, y)", lambda v: (v["x"] + v["y"]) - v["y"]),
    "negated": ("n = Neg(x) r = Div(one, n)", lambda v: 1 / -v["x"]),
    "to_nothing": ("r = Pow(x, zero)", lambda v: np.power(v["x"], np.float32(0))),
    # Comparisons with NaN are false, and their negation true.
    "not_less": ("l = Less(x, y) r = Not(l)", lambda v: ~(v["x"] < v["y"])),
    "not_at_least": ("l = GreaterOrEqual(x, y) r = Not(l)", lambda v: ~(v["x"] >= v["y"])),
    "equal_itself": ("r = Equal(x, x)", lambda v: v["x"] == v["x"]),
    "unlike_itself": ("e = Equal(x, x) r = Not(e)", lambda v: v["x"] != v["x"]),
    "at_most_itself": ("r = LessOrEqual(x, x)", lambda v: v["x"] <= v["x"]),
    "either_way": (
        "l = Less(x, y) g = Less(y, x) r = Or(l, g)",
        lambda v: (v["x"] < v["y"]) | (v["y"] < v["x"]),
    ),
    "one_or_other": (
        "l = Less(x, y) g = LessOrEqual(y, x) r = Or(l, g)",
        lambda v: (v["x"] < v["y"]) | (v["y"] <= v["x"]),
    ),
    "chosen": (
        "l = Less(x, y) n = Not(l) r = Where(n, x, y)",
        lambda v: np.where(v["x"] < v["y"], v["y"], v["x"]),
    ),
    "whole": ("r = Cast<to=7>(x)", lambda v: v["x"].astype(np.int64)),
    "short": ("r = Cast<to=6>(x)", lambda v: v["x"].astype(np.int32)),
    "rounded": ("r = Round(x)", lambda v: np.rint(v["x"])),
    "rounded_halves": (
        "d = Floor(x) h = Add(d, half) r = Round(h)",
        lambda v: np.rint(np.floor(v["x"]) + np.float32(0.5)),
    ),
    "truth": ("r = Cast<to=9>(x)", lambda v: v["x"] != 0),
    # Reductions: NaN stays, and nothing is below -infinity.
    "most": ("r = ReduceMax<keepdims=1>(x, axis)", lambda v: v["x"].max(1, keepdims=True)),
    "least": ("r = ReduceMin<keepdims=1>(x, axis)", lambda v: v["x"].min(1, keepdims=True)),
    "arg_max": ("r = ArgMax<axis=1>(x)", lambda v: _first(v["x"], v["x"].max(1, keepdims=True))),
    "arg_min": ("r = ArgMin<axis=1>(x)", lambda v: _first(v["x"], v["x"].min(1, keepdims=True))),
    "arg_last": (
        "r = ArgMax<axis=1, select_last_index=1>(x)",
        lambda v: _last(v["x"], v["x"].max(1, keepdims=True)),
    ),
    "arg_of_integers": (
        "r = ArgMax<axis=1>(i)", lambda v: _first(v["i"], v["i"].max(1, keepdims=True))
    ),
    "arg_least_of_integers": (
        "r = ArgMin<axis=1>(i)", lambda v: _first(v["i"], v["i"].min(1, keepdims=True))
    ),
    "log_of_sum": (
        "r = ReduceLogSumExp<keepdims=1>(x, axis)",
        lambda v: np.logaddexp.reduce(v["x"], 1, keepdims=True),
    ),
    "softmax": ("r = Softmax<axis=1>(x)", lambda v: _softmax(v["x"])),
    "log_softmax": ("r = LogSoftmax<axis=1>(x)", lambda v: np.log(_softmax(v["x"]))),
    "masked": (
        "k = Where(b, x, lowest) r = ReduceMax<keepdims=1>(k, axis)",
        lambda v: np.where(v["b"], v["x"], -np.inf).max(1, keepdims=True),
    ),
    # Integers wrap, and are compared as they are then.
    "next_is_more": ("n = Add(i, one_i) r = Greater(n, i)", lambda v: v["i"] + 1 > v["i"]),
    "difference_is_negative": ("d = Sub(i, j) r = Less(d, none_i)", lambda v: v["i"] - v["j"] < 0),
    "magnitude": ("r = Abs(i)", lambda v: np.abs(v["i"])),
    "magnitude_is_negative": ("a = Abs(i) r = Less(a, none_i)", lambda v: np.abs(v["i"]) < 0),
    "opposite": ("r = Neg(i)", lambda v: -v["i"]),
    "twice": ("t = Add(i, i) r = Less(t, i)", lambda v: v["i"] + v["i"] < v["i"]),
    "product": ("r = Mul(i, j)", lambda v: v["i"] * v["j"]),
    "sum_of_row": ("r = ReduceSum<keepdims=1>(i, axis)", lambda v: v["i"].sum(1, keepdims=True)),
}  # fmt: skip


def _renamed(name: str, nodes: str) -> str:
    """The nodes with names of their own; what they share stays."""
    known = {*_CONSTANTS, "x", "y", "i", "j", "b"}
    words = []
    for word in nodes.replace("(", " ( ").replace(")", " ) ").replace(",", " , ").split():
        own = word.isidentifier() and word[0].islower() and word not in known
        words.append(f"{name}_{word}" if own and len(word) == 1 else word)
    return " ".join(words)


@pytest.fixture(scope="module")
def ranker(tmp_path_factory: pytest.TempPathFactory) -> runtime.Ranker:
    folder = tmp_path_factory.mktemp("ieee")
    values = _values()
    kinds = {"float32": "float", "int64": "int64", "int32": "int32", "bool": "bool"}
    with np.errstate(all="ignore"):
        results = {name: make(values) for name, (_, make) in _CASES.items()}
    outputs = ", ".join(
        f"{kinds[_kind(name, r)]}[N, {r.shape[1]}] {name}_r" for name, r in results.items()
    )
    body = "\n".join(_renamed(name, nodes) for name, (nodes, _) in _CASES.items())
    inputs = f"float[N, {_COLUMNS}] x, float[N, {_COLUMNS}] y, int64[N, {_COLUMNS}] i"
    inputs += f", int64[N, {_COLUMNS}] j, bool[N, {_COLUMNS}] b"
    model = onnx.parser.parse_model(
        f'<ir_version: 9, opset_import: ["": 18]> g ({inputs}) => ({outputs}) {{ {body} }}'
    )
    tensors = [numpy_helper.from_array(np.asarray(v), k) for k, v in _CONSTANTS.items()]
    model.graph.initializer.extend(tensors)
    onnx.checker.check_model(model)
    onnx.save(model, str(folder / "m.onnx"))
    build(folder / "m.onnx", BuildOptions(verify=False), output=folder / "m.rtc")
    return runtime.load(folder / "m.rtc")


def _kind(name: str, result: Array) -> str:
    return "float32" if result.dtype.kind == "f" else str(result.dtype)


def _values() -> Values:
    rng = np.random.default_rng(1)
    shape = (40, _COLUMNS)
    hostile = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -1.5, 1e-40])
    x, y = (
        np.where(rng.random(shape) < 0.4, rng.choice(hostile, shape), rng.normal(size=shape))
        for _ in range(2)
    )
    x[:4] = [[-np.inf], [np.inf], [np.nan], [-0.0]]
    least, most = np.iinfo(np.int64).min, np.iinfo(np.int64).max
    i, j = (rng.choice([least, most, least + 1, 0, -1, 3], shape) for _ in range(2))
    i[0], i[1] = least, most
    b = rng.random(shape) < 0.5
    b[:8] = False
    floats = {"x": x.astype(np.float32), "y": y.astype(np.float32)}
    return {**floats, "i": i.astype(np.int64), "j": j.astype(np.int64), "b": b}


@pytest.mark.parametrize("name", _CASES)
def test_values_are_those_of_numpy(ranker: runtime.Ranker, name: str) -> None:
    values = _values()
    got = ranker.predict(values)[f"{name}_r"]
    with np.errstate(all="ignore"):
        wanted = _CASES[name][1](values)
    assert got.dtype == np.dtype(_kind(name, wanted))
    np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=2e-5)
