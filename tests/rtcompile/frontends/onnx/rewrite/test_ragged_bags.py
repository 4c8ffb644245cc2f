"""nn.EmbeddingBag with offsets: bags whose sizes are data, by each exporter's loop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import rtcompile
from rtcompile import runtime
from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx.rewrite.ragged_bags import with_bags
from rtcompile.options import BuildOptions
from rtcompile.relay_passes.dialect.embedding_bags import RaggedInput
from tests.rtcompile.frontends.graphs import Array, graph

_TABLE = np.random.default_rng(1).normal(size=(50, 8)).astype(np.float32)
_PADDING = 3
_CONSTANTS: dict[str, Any] = {
    "table": _TABLE,
    "minus1": np.array([-1]),
    "zero": np.array(0),
    "one": np.array(1),
    "two": np.array(2),
    "zero1": np.array([0]),
    "one1": np.array([1]),
    "last1": np.array([2**63 - 1]),
    "going": np.array(True),
}
_AXES = {"ReduceSum": ("", ", zero1"), "ReduceMean": ("axes = [0], ", "")}
_AXES["ReduceMax"] = _AXES["ReduceMean"]


def _scanned(reduction: str, last: bool = False, weighted: bool = False, more: str = "") -> Any:
    """The older exporter: each turn gives a bag as a scan output. `last`: the offsets have the end
    of the last bag. `more`: further nodes, of which `y` is the result."""
    attributes, axes = _AXES[reduction]
    bounds = "Identity(off)" if last else "Concat<axis = 0>(off, length)"
    of_weights = """
    taken = Slice(w, s1, e1, zero1)
    column = Unsqueeze(taken, one1)
    rows = Mul(looked, column)"""
    given = "int64[M] id, int64[N] off" + (", float[M] w" if weighted else "")
    result, looked = "bags" if more else "y", "looked" if weighted else "rows"
    text = f"""g ({given}) => (float[N,8] y) {{
  length = Shape(id)
  bounds = {bounds}
  ends = Slice(bounds, one1, last1, zero1)
  many = Shape(ends)
  n = Gather<axis = 0>(many, zero)
  {result} = Loop(n, going) <body = b (int64 i, bool c) => (bool d, float[8] bag) {{
    s = Gather<axis = 0>(bounds, i)
    e = Gather<axis = 0>(ends, i)
    s1 = Unsqueeze(s, zero1)
    e1 = Unsqueeze(e, zero1)
    ids = Slice(id, s1, e1, zero1)
    {looked} = Gather<axis = 0>(table, ids){of_weights if weighted else ""}
    bag = {reduction}<{attributes}keepdims = 0>(rows{axes})
    d = Identity(c)
  }}>
  {more}
}}"""
    return graph(text, 17, **_CONSTANTS)


def _inserted(reduction: str) -> Any:
    """The newer exporter: a loop inserts each bag into a sequence; zeros where it has no ids."""
    text = f"""g (int64[M] id, int64[N] off) => (float[N,8] y) {{
  values = Gather(table, id)
  length = Shape(id)
  n = Size(off)
  bounds = Concat<axis = 0>(off, length)
  some = Less(zero, n)
  empty = SequenceEmpty()
  bags, left = Loop(, some, empty, zero) <body = b (int64 t, bool c, seq(float) found, int64 i)
      => (bool d, seq(float) more, int64 next) {{
    at = Reshape(i, minus1)
    after = Add(at, one1)
    start = Slice(bounds, at, after)
    behind = Add(after, one1)
    end = Slice(bounds, after, behind)
    none = Equal(start, end)
    bag = If(none) <
      then_branch = t1 () => (float[1,8] zeros) {{
        zeros = Constant<value = float[1,8] {{0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0}}>()
      }},
      else_branch = e1 () => (float[1,8] whole) {{
        mine = Slice(values, start, end)
        whole = {reduction}<keepdims = 1>(mine, zero1)
      }}>
    more = SequenceInsert(found, bag)
    next = Add(i, one)
    d = Less(next, n)
  }}>
  y = ConcatFromSequence<axis = 0>(bags)
}}"""
    return graph(text, 20, **_CONSTANTS)


def _padded() -> Any:
    """The newer exporter with a padding_idx: a loop within collects what is no padding."""
    text = """g (int64[M] id, int64[N] off) => (float[N,8] y) {
  values = Gather(table, id)
  length = Shape(id)
  n = Size(off)
  bounds = Concat<axis = 0>(off, length)
  some = Less(zero, n)
  empty = SequenceEmpty()
  left, bags = Loop(, some, zero, empty) <body = b (int64 t, bool c, int64 i, seq(float) found)
      => (bool d, int64 next, seq(float) more) {
    start = Gather(bounds, i)
    after = Add(i, one)
    end = Gather(bounds, after)
    any = Less(start, end)
    last, picked = Loop(, any, start, nothing) <body = b3 (int64 t3, bool c3, int64 j, int64[K] had)
        => (bool d3, int64 j3, int64[K] has) {
      index = Gather(id, j)
      padding = Equal(index, three)
      has = If(padding) <
        then_branch = t5 () => (int64[K] same) { same = Identity(had) },
        else_branch = e5 () => (int64[K] longer) {
          place = Reshape(j, minus1)
          longer = Concat<axis = 0>(had, place)
        }>
      j3 = Add(j, one)
      d3 = Less(j3, end)
    }>
    mine = Gather(values, picked)
    bag = ReduceSum<keepdims = 1>(mine, zero1)
    more = SequenceInsert(found, bag)
    next = Add(i, one)
    d = Less(next, n)
  }>
  y = ConcatFromSequence<axis = 0>(bags)
}"""
    extra = {"nothing": np.zeros(0, np.int64), "three": np.array(_PADDING)}
    return graph(text, 20, **_CONSTANTS, **extra)


def _bags(rows: int, seed: int = 0) -> tuple[Array, Array, Array]:
    """Ids, bounds [rows, 2] and weights; a third of the bags have no ids."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, 6, rows) * (rng.random(rows) < 0.7)
    ends = np.cumsum(sizes)
    count = int(sizes.sum())
    weights = rng.normal(size=count).astype(np.float32)
    return rng.integers(-50, 50, count), np.stack([ends - sizes, ends], 1), weights


def _want(reduction: str, ids: Array, bounds: Array, empty: float, weights: Any = None) -> Array:
    vectors = _TABLE[ids] * (1 if weights is None else weights[:, None])
    reduce = {"ReduceSum": np.sum, "ReduceMean": np.mean, "ReduceMax": np.max}[reduction]
    bags = [vectors[start:end] for start, end in bounds]
    return np.stack([reduce(b, 0) if len(b) else np.full(8, empty, np.float32) for b in bags])


def _built(model: Any, folder: Path, **options: Any) -> runtime.Ranker:
    onnx.save(model, str(folder / "m.onnx"))
    rtcompile.build(folder / "m.onnx", BuildOptions(**options), output=folder / "m.rtc")
    return runtime.load(folder / "m.rtc", threads=2)


def test_what_a_loop_over_offsets_computes_is_found_out() -> None:
    flat, both = RaggedInput("off", ("id",), False), RaggedInput("off", ("id", "w"), True)
    for model, operator, ragged in (
        (_scanned("ReduceMean"), "BagMean", flat),
        (
            _scanned("ReduceSum", True, True),
            "BagWeightedSum",
            both,
        ),
        (_inserted("ReduceMax"), "BagMax", flat),
    ):
        found, inputs = with_bags(model, model.opset_import[0].version)
        assert [node.op_type for node in found.graph.node] == [operator]
        assert inputs == (ragged,)
        onnx.checker.check_model(found)


def test_a_loop_that_is_nearly_of_bags_is_none() -> None:
    model = _scanned("ReduceSum")
    body = next(n for n in model.graph.node if n.op_type == "Loop").attribute[0].g
    next(n for n in body.node if n.op_type == "ReduceSum").op_type = "ReduceSumSquare"
    assert with_bags(model, 18) == (model, ())


def test_what_else_reads_the_ids_of_bags_is_named() -> None:
    model = _scanned("ReduceSum", more="f = Cast<to = 1>(id) s = ReduceSum(f) y = Add(bags, s)")
    with pytest.raises(UnsupportedError, match=r"\(Cast\) reads 'id', which a loop cuts into bags"):
        with_bags(model, 17)


_FORMS = {
    "scanned sum": (_scanned("ReduceSum"), "ReduceSum", 0.0),
    "scanned mean": (_scanned("ReduceMean"), "ReduceMean", np.nan),
    "inserted sum": (_inserted("ReduceSum"), "ReduceSum", 0.0),
    "inserted mean": (_inserted("ReduceMean"), "ReduceMean", 0.0),
    "inserted max": (_inserted("ReduceMax"), "ReduceMax", 0.0),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", _FORMS)
def test_bags_are_what_the_framework_makes_of_them(name: str, tmp_path: Path) -> None:
    model, reduction, empty = _FORMS[name]
    ranker = _built(model, tmp_path)
    for rows in (1, 7, 64, 200):
        ids, bounds, _ = _bags(rows, rows)
        (got,) = ranker.predict({"id": ids, "off": bounds[:, 0]}).values()
        np.testing.assert_allclose(got, _want(reduction, ids, bounds, empty), rtol=1e-5, atol=1e-6)
    (got,) = ranker.predict({"id": np.zeros(0, np.int64), "off": [0, 0]}).values()
    np.testing.assert_array_equal(got, np.full((2, 8), empty, np.float32))
    (got,) = ranker.predict({"id": [4], "off": np.zeros(0, np.int64)}).values()
    assert got.shape == (0, 8)


@pytest.mark.slow
def test_weights_and_the_end_of_the_last_bag(tmp_path: Path) -> None:
    ranker = _built(_scanned("ReduceSum", last=True, weighted=True), tmp_path)
    ids, bounds, weights = _bags(101)
    offsets = np.append(bounds[:, 0], bounds[-1, 1]).astype(np.int32)
    want = _want("ReduceSum", ids, bounds, 0.0, weights)
    (got,) = ranker.predict({"id": ids, "off": offsets, "w": weights}).values()
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
    with pytest.raises(runtime.RequestError, match=r"'off' cuts inputs of unequal lengths"):
        ranker.predict({"id": ids, "off": offsets, "w": weights[1:]})
    with pytest.raises(runtime.RequestError, match=r"'off': empty"):
        ranker.predict({"id": ids, "off": np.zeros(0, int), "w": weights})


@pytest.mark.slow
def test_padding_counts_as_not_there(tmp_path: Path) -> None:
    ranker = _built(_padded(), tmp_path)
    ids = np.array([3, 1, 3, 2, 3, 3, 7, -47, 49])
    (got,) = ranker.predict({"id": ids, "off": [0, 3, 4, 6]}).values()
    want = [_TABLE[1], _TABLE[2], np.zeros(8), _TABLE[7] + _TABLE[49]]
    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_bad_offsets_and_ids_are_named(tmp_path: Path) -> None:
    ranker = _built(_scanned("ReduceSum"), tmp_path)
    ids = np.arange(6)
    for offsets, row in (([0, 4, 2], 1), ([-1, 2], 0), ([0, 7], 0), ([0, 2**40], 0)):
        with pytest.raises(runtime.RequestError, match=rf"'off', row {row}: .*of 6 values of 'id'"):
            ranker.predict({"id": ids, "off": offsets})
    for wrong in ([0.5, 1.0], "ab", [[0, 1, 2]], None, 3):
        with pytest.raises(runtime.RequestError, match="'off'"):
            ranker.predict({"id": ids, "off": wrong})
    for wrong in (50, -51, 2**62):
        with pytest.raises(runtime.UnknownIdError, match=rf"'id': id {wrong} .*row 1"):
            ranker.predict({"id": [1, 2, wrong], "off": [0, 2, 3]})


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["int8", "fp16"])
def test_tables_in_lower_precision(dtype: str, tmp_path: Path) -> None:
    ranker = _built(_inserted("ReduceMean"), tmp_path, table_dtypes=(("table", dtype),))
    assert ranker.manifest["tables"][0]["dtype"] == dtype
    ids, bounds, _ = _bags(40)
    (got,) = ranker.predict({"id": ids, "off": bounds[:, 0]}).values()
    np.testing.assert_allclose(got, _want("ReduceMean", ids, bounds, 0.0), atol=0.05)
