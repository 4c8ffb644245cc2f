from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import rtcompile
from rtcompile import runtime
from rtcompile.errors import ModelError, UnsupportedError
from rtcompile.verification.float64 import run_in_float64
from tests.rtcompile.frontends.graphs import agrees, graph

pytestmark = pytest.mark.slow

_RNG = np.random.default_rng(0)
_X = _RNG.normal(size=(9, 8)).astype(np.float32)
_IDS = _RNG.integers(-8, 8, (9, 3))
_WHOLE = _RNG.integers(1, 11, (9, 3))


def _held(folder: Path, text: str, rows: dict[str, np.ndarray], **constants: object) -> None:
    agrees(graph(text, **constants), rows, folder, counts=(1, 70))


@pytest.mark.parametrize("largest", [0, 1])
@pytest.mark.parametrize("k", [1, 3, 8])
def test_top_k(tmp_path: Path, k: int, largest: int) -> None:
    text = f"""g (float[N,8] x) => (float[N,{k}] v, int64[N,{k}] i) {{
        v, i = TopK<axis=1, largest={largest}>(x, k) }}"""
    equal = np.round(_X)  # of equal values the first one
    _held(tmp_path, text, {"x": equal}, k=np.array([k]))


def test_the_largest_of_a_history_are_gathered(tmp_path: Path) -> None:
    text = """g (float[N,8] score, float[N,8,4] e) => (float[N,4] y) {
        v, i = TopK<axis=1>(score, k)
        wide = Unsqueeze(i, last)
        at = Expand(wide, to)
        top = GatherElements<axis=1>(e, at)
        y = ReduceSum<keepdims=0>(top, one) }"""
    constants = {"k": [3], "last": [-1], "one": [1], "to": [1, 1, 4]}
    history = _RNG.normal(size=(9, 8, 4)).astype(np.float32)
    arrays = {name: np.array(value) for name, value in constants.items()}
    _held(tmp_path, text, {"score": _X, "e": history}, **arrays)


@pytest.mark.parametrize("reduction", ["none", "add", "mul", "max", "min"])
def test_scatter_elements(tmp_path: Path, reduction: str) -> None:
    text = f"""g (float[N,8] x, int64[N,3] i, float[N,3] u) => (float[N,8] y) {{
        y = ScatterElements<axis=1, reduction="{reduction}">(x, i, u) }}"""
    model = graph(text, opset=18)
    indices = np.array([[0, -1, 3], [2, 1, 5], [-8, 7, 2]] * 3)
    agrees(model, {"x": _X, "i": indices, "u": _X[:, :3] * 2}, tmp_path, counts=(1, 70))


@pytest.mark.parametrize("attributes", ["", "<exclusive=1>", "<reverse=1, exclusive=1>"])
def test_running_sums(tmp_path: Path, attributes: str) -> None:
    text = f"g (float[N,8] x) => (float[N,8] y) {{ y = CumSum{attributes}(x, axis) }}"
    _held(tmp_path, text, {"x": _X}, axis=np.array(1))


def test_one_hot_has_the_dtype_of_its_values(tmp_path: Path) -> None:
    text = "g (int64[N] i) => (float[N,5] y) { y = OneHot(i, depth, values) }"
    values = np.array([0.5, 2.0], np.float32)
    ids = np.array([0, 4, 2, -1, 3, 7, -9])
    _held(tmp_path, text, {"i": ids}, depth=np.array(5), values=values)


def test_infinities_by_sign(tmp_path: Path) -> None:
    text = """g (float[N,4] x) => (bool[N,4] up, bool[N,4] down, bool[N,4] none) {
        up = IsInf<detect_negative=0>(x)
        down = IsInf<detect_positive=0>(x)
        none = IsInf<detect_positive=0, detect_negative=0>(x) }"""
    x = np.array([[np.inf, -np.inf, 0, np.nan], [1, -np.inf, np.inf, 2]], np.float32)
    _held(tmp_path, text, {"x": x})


@pytest.mark.parametrize("far", [0, 1e4])
@pytest.mark.parametrize(
    ("opset", "node"),
    [
        (18, "y = MeanVarianceNormalization<axes=[1, 2]>(x)"),
        (21, "y = GroupNormalization<num_groups=2, epsilon=0.01>(x, four, four)"),
        (17, "y, mean, inverse = LayerNormalization<axis=1>(x, all)"),
        (17, "y = LayerNormalization(x, eight, eight)"),
    ],
)
def test_deviations_are_small_beside_the_mean(
    tmp_path: Path, opset: int, node: str, far: float
) -> None:
    rows = {"x": (np.round(_RNG.normal(size=(9, 4, 8)) * 8) / 8 + far).astype(np.float32)}
    statistics = ", float[N,1,1] mean, float[N,1,1] inverse" if "inverse" in node else ""
    text = f"g (float[N,4,8] x) => (float[N,4,8] y{statistics}) {{ {node} }}"
    shapes = {"four": (4,), "eight": (8,), "all": (4, 8)}
    made = {k: _RNG.normal(size=v).astype(np.float32) for k, v in shapes.items() if k in node}
    model = graph(text, opset, **made)
    onnx.save(model, str(tmp_path / "m.onnx"))
    rtcompile.build(tmp_path / "m.onnx", output=tmp_path / "m.rtc")
    got = runtime.load(tmp_path / "m.rtc").predict(rows)
    # ONNX Runtime's GroupNormalization is off by its whole where the mean is far out.
    want = run_in_float64(model, rows)
    assert want
    for one, other in zip(want, got.values(), strict=True):
        assert one.shape == other.shape
        np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "uint32", "uint64"])
def test_hashed_ids_of_every_width(tmp_path: Path, dtype: str) -> None:
    text = f"""g ({dtype}[N] id) => (float[N,4] y) {{
        r = Mod(id, k)
        i = Cast<to=7>(r)
        y = Gather(T, i) }}"""
    top = np.iinfo(dtype).max
    ids = np.array([top, 12, 9, top - 5], dtype)
    table = _RNG.normal(size=(10, 4)).astype(np.float32)
    _held(tmp_path, text, {"id": ids}, k=np.array(10, dtype), T=table)


def test_bools_are_equal(tmp_path: Path) -> None:
    text = """g (int64[N,1] t) => (int64[N,1] hour) {
        negative = Less(t, zero)
        opposite = Equal(negative, yes)
        rest = Mod(t, k)
        inexact = Cast<to=9>(rest)
        low = And(opposite, inexact)
        down = Cast<to=7>(low)
        q = Div(t, k)
        hour = Sub(q, down) }"""
    constants = {"zero": np.array(0), "yes": np.array(True), "k": np.array(3600)}
    _held(tmp_path, text, {"t": np.array([[1_700_000_123], [-5], [7200]])}, **constants)


def test_integers_behind_an_added_axis(tmp_path: Path) -> None:
    text = """g (int64[N,3] id) => (float[N,3,4] y) {
        wide = Unsqueeze(id, axis)
        shifted = Sub(wide, one)
        y = GatherND(T, shifted) }"""
    table = _RNG.normal(size=(10, 4)).astype(np.float32)
    constants = {"axis": np.array([-1]), "one": np.array(1), "T": table}
    _held(tmp_path, text, {"id": _WHOLE}, **constants)


@pytest.mark.parametrize(
    "constant",
    [
        "value_floats = [1.5, 2.5, 3.5]",
        "value = float[3] {1.5, 2.5, 3.5}",
    ],
)
def test_constants_in_other_forms(tmp_path: Path, constant: str) -> None:
    text = f"""g (float[N,3] x) => (float[N,3] y) {{
        c = Constant<{constant}>()
        y = Mul(x, c) }}"""
    _held(tmp_path, text, {"x": _X[:, :3]})


def test_old_softmax_flattens(tmp_path: Path) -> None:
    text = "g (float[N,2,4] x) => (float[N,2,4] y) { y = Softmax<axis=1>(x) }"
    agrees(graph(text, opset=11), {"x": _X.reshape(9, 2, 4)}, tmp_path, counts=(1, 70))


def test_bounds_and_widths_as_attributes(tmp_path: Path) -> None:
    text = """g (float[N,8] x) => (float[N,5] y) {
        c = Clip<min=-0.5, max=0.5>(x)
        s = Slice<axes=[1], starts=[1], ends=[4]>(c)
        y = Pad<pads=[0,1,0,1], value=2.0>(s) }"""
    agrees(graph(text, opset=9), {"x": _X}, tmp_path, counts=(1, 70))


def test_functions_of_the_model(tmp_path: Path) -> None:
    model = onnx.parser.parse_model("""<ir_version: 9, opset_import: ["" : 17, "own" : 1]>
        g (float[N,8] x) => (float[N,8] y) { y = own.twice(x) }
        <domain: "own", opset_import: ["" : 17]> twice (a) => (b) { b = Add(a, a) }""")
    agrees(model, {"x": _X}, tmp_path, counts=(1, 70))


def test_a_count_that_data_decides_is_refused_by_name(tmp_path: Path) -> None:
    model = graph("g (float[N,8] x) => (int64[2,M] y) { y = NonZero(x) }")
    onnx.save(model, str(tmp_path / "m.onnx"))
    with pytest.raises(UnsupportedError, match="NonZero: the extents of its result depend on data"):
        rtcompile.build(tmp_path / "m.onnx", output=tmp_path / "m.rtc")
    assert not (tmp_path / "m.rtc").exists()


def test_bfloat16_goes_in_and_out(tmp_path: Path) -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes")
    model = graph("g (bfloat16[N,8] x) => (bfloat16[N,8] y) { y = Add(x, x) }")
    onnx.save(model, str(tmp_path / "m.onnx"))
    options = rtcompile.BuildOptions(verify=False)
    rtcompile.build(tmp_path / "m.onnx", options, output=tmp_path / "m.rtc")
    x = _X.astype(ml_dtypes.bfloat16)
    got = runtime.load(tmp_path / "m.rtc").predict({"x": x})["y"]
    assert got.dtype == x.dtype
    assert np.array_equal(got, x + x)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "an empty file"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b'{"learner": {}}', "XGBoost"),
        (b"tree\nversion=v4\n", "LightGBM"),
        (b"\x80\x02}q\x00.", "pickle"),
        ((8).to_bytes(8, "little") + b'{"a":{}}', "safetensors"),
        (b'{"features": []}', "feature config"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
    ],
)
def test_a_file_that_is_no_model_is_told(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"looks like .*{kind}"):
        rtcompile.build(path, output=tmp_path / "m.rtc")
