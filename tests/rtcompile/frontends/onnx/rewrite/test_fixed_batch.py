"""Models whose batch is the number 1: any count of rows, each as the file's own graph has it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import rtcompile
from rtcompile import runtime
from rtcompile.errors import UnsupportedError, VerificationError
from rtcompile.frontends.onnx import import_onnx as onnx_import
from rtcompile.options import BuildOptions
from tests.rtcompile.frontends.graphs import graph, run

_RNG = np.random.default_rng(0)


def _weights(*shape: int) -> Any:
    return _RNG.normal(size=shape).astype(np.float32)


_CONSTANTS: dict[str, Any] = {
    "w": _weights(8, 8),
    "token": _weights(1, 2, 4),
    "one": _weights(1, 3),
    "table": _weights(9, 4),
    "steps": np.array([[0, 1]]),
    "heads": np.array([1, 2, 4]),
    "merged": np.array([1, -1]),
    "flat": np.array([-1, 4]),
    "back": np.array([1, 8]),
    "wide": np.array([1, 8]),
    "lw": _weights(1, 24, 4),
    "lr": _weights(1, 24, 6),
    "lb": _weights(1, 48),
    "state": _weights(1, 1, 6),
    "last": np.array([[1, 0, 1]]),
    "a0": np.array([0]),
    "a1": np.array([1]),
    "first": np.array(0),
}
_X = "g (float[1,8] x)"
_GRAPHS = {
    "dense": f"{_X} => (float[1,8] y) {{ a = MatMul(x, w) y = Relu(a) }}",
    "reshapes": f"{_X} => (float[1,8] y) {{ a = Reshape(x, heads) b = Softmax<axis = 1>(a)"
    " y = Reshape(b, merged) }",
    "rows in front of others": f"{_X} => (float[1,8] y) {{ a = Reshape(x, flat)"
    " b = Softmax<axis = 1>(a) y = Reshape(b, back) }",
    "concat with a constant": f"{_X} => (float[1,11] y) {{ y = Concat<axis = 1>(one, x) }}",
    "a token in front": f"{_X} => (float[1,4,4] y) {{ a = Reshape(x, heads)"
    " y = Concat<axis = 1>(token, a) }",
    "positions": f"{_X} => (float[1,4,4] y) {{ a = Reshape(x, heads) p = Gather(table, steps)"
    " b = Add(a, p) y = Concat<axis = 1>(p, b) }",
    "a shape that is computed": f"{_X} => (float[1,16] y) {{ s = Shape(x)"
    " a = ConstantOfShape(s) y = Concat<axis = 1>(a, x) }",
    "expand": f"{_X} => (float[1,8] y) {{ a = ReduceSum<keepdims = 1>(x, a1)"
    " b = Expand(a, wide) y = Mul(b, x) }",
    "recurrent, the batch behind": f"{_X} => (float[1,6] y) {{ r = Reshape(x, heads)"
    " a = Transpose<perm = [1, 0, 2]>(r)"
    " s, h = LSTM<hidden_size = 6>(a, lw, lr, lb, , state, state) y = Squeeze(h, a0) }",
    "places that are fixed": f"{_X} => (float[1,3] y) {{ y = GatherElements<axis = 1>(x, last) }}",
    "attention": f"{_X} => (float[1,8] y) {{ q = Reshape(x, heads)"
    " k = Transpose<perm = [0, 2, 1]>(q) s = MatMul(q, k) p = Softmax<axis = 2>(s)"
    " o = MatMul(p, q) y = Reshape(o, back) }",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(_GRAPHS))
def test_each_row_is_as_the_file_has_it(tmp_path: Path, name: str) -> None:
    model = graph(_GRAPHS[name], **_CONSTANTS)
    path = tmp_path / "m.onnx"
    onnx.save(model, str(path))
    built = rtcompile.build(path, BuildOptions(), output=tmp_path / "m.rtc")
    assert built.verification is not None
    x = _weights(70, 8)
    want = np.concatenate([run(model, {"x": row[None]})[0] for row in x])
    for rows in (1, 3, 70):
        got = runtime.load(tmp_path / "m.rtc").predict({"x": x[:rows]})["y"]
        np.testing.assert_allclose(got, want[:rows], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("operator", "text"),
    [
        ("Squeeze", f"{_X} => (float[8] y) {{ m = Squeeze(x, a0) y = Relu(m) }}"),
        ("Squeeze", f"{_X} => (float[8] y) {{ m = Squeeze(x) y = Relu(m) }}"),
        ("Gather", f"{_X} => (float[1,8] y) {{ m = Gather(x, first) y = Mul(m, x) }}"),
        ("ReduceSum", f"{_X} => (float[1,8] y) {{ m = ReduceSum<keepdims = 1>(x, a0)"
         " y = Mul(m, x) }"),
        ("GatherND", f"{_X} => (float[1] y) {{ m = GatherND(x, steps) y = Relu(m) }}"),
        ("MatMul", f"{_X} => (float[1,1] m) {{ t = Transpose(x) m = MatMul(x, t) }}"),
        ("Softmax", f"{_X} => (float[1,8] y) {{ m = Softmax<axis = 0>(x) y = Relu(m) }}"),
    ],
)  # fmt: skip
def test_the_node_that_fixes_the_batch_is_named(tmp_path: Path, operator: str, text: str) -> None:
    model = graph(text, **_CONSTANTS)
    next(node for node in model.graph.node if "m" in node.output).name = "mixer"
    onnx.save(model, str(tmp_path / "m.onnx"))
    with pytest.raises(UnsupportedError, match=r"dynamic batch|other rows") as caught:
        rtcompile.build(tmp_path / "m.onnx", output=tmp_path / "m.rtc")
    assert "mixer" in str(caught.value)
    assert operator in str(caught.value)
    assert not (tmp_path / "m.rtc").exists()


def test_a_reshape_that_moves_the_batch_behind_is_named(tmp_path: Path) -> None:
    text = f"{_X} => (float[2,1,4] y) {{ y = Reshape(x, steps) }}"
    onnx.save(graph(text, steps=np.array([2, 1, 4])), str(tmp_path / "m.onnx"))
    with pytest.raises(UnsupportedError, match=r"node y .*whose rows lie on axis 0, with 2"):
        rtcompile.build(tmp_path / "m.onnx", output=tmp_path / "m.rtc")


@pytest.mark.slow
def test_a_graph_that_is_freed_wrongly_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = graph(_GRAPHS["dense"], **_CONSTANTS)
    onnx.save(model, str(tmp_path / "m.onnx"))
    free = onnx_import.with_dynamic_batch

    def wrong(given: Any, opset: int) -> Any:
        found = free(given, opset)
        found.graph.node[1].op_type = "Abs"
        return found

    monkeypatch.setattr(onnx_import, "with_dynamic_batch", wrong)
    with pytest.raises(VerificationError, match="file's own graph"):
        rtcompile.build(tmp_path / "m.onnx", output=tmp_path / "m.rtc")
