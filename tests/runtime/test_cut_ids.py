"""Ids that a graph casts to fewer bits than they come in: an error, not another row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

import rtcompile
from rtcompile import runtime
from tests.rtcompile.frontends.graphs import agrees, graph

pytestmark = pytest.mark.slow

_TABLE = np.arange(18, dtype=np.float32).reshape(9, 2)
_READS = {
    "look-up": "y = Gather(T, i)",
    "of other numbers": "t = Cast<to=11>(T) z = Gather(t, i) y = Cast<to=1>(z)",
    "with an offset": "o = Add(i, one) y = Gather(T, o)",
    "of a row": "j = Unsqueeze(i, last) y = GatherElements<axis=1>(x, j)",
}
_CASTS = [
    ("uint64", "int64", 2**64 - 1),
    ("uint64", "int64", 2**63),
    ("uint64", "int32", 2**32),
    ("int64", "int32", 2**32 + 1),
    ("int64", "int32", 2**32 - 1),
    ("int64", "int32", -(2**63)),
    ("uint32", "int32", 2**32 - 1),
]


@pytest.mark.parametrize("reads", list(_READS))
@pytest.mark.parametrize(("source", "cast", "bad"), _CASTS)
def test_an_id_that_is_cut_is_named(
    source: str, cast: str, bad: int, reads: str, tmp_path: Path
) -> None:
    by_row = reads == "of a row"
    number = onnx.TensorProto.DataType.Value(cast.upper())
    inputs, wide = (f"{source}[N] ids, float[N,9] x", 1) if by_row else (f"{source}[N] ids", 2)
    text = f"g ({inputs}) => (float[N,{wide}] y) {{ i = Cast<to={number}>(ids) {_READS[reads]} }}"
    model = graph(text, T=_TABLE, one=np.array(1, cast), last=np.array([-1]))
    onnx.save(model, tmp_path / "m.onnx")
    options = rtcompile.BuildOptions(verify=False)
    rtcompile.build(tmp_path / "m.onnx", options, output=tmp_path / "m.rtc")
    ranker = runtime.load(tmp_path / "m.rtc")
    feeds = {"ids": np.array([7, 0, 3], source)}
    if by_row:
        feeds["x"] = np.ones((3, 9), np.float32)
    ranker.predict(feeds)
    feeds["ids"][1] = bad
    with pytest.raises(runtime.UnknownIdError, match=rf"^input 'ids': id {bad} is outside .*row 1"):
        ranker.predict(feeds)


@pytest.mark.parametrize(
    "body",
    [
        "c = Cast<to=6>(ids) i = Mod(c, nine) y = Gather(T, i)",
        "c = Cast<to=6>(ids) m = Equal(c, none) i = Where(m, zero, c) y = Gather(T, i)",
    ],
)
def test_what_a_hash_or_a_choice_makes_of_cut_ids_is_as_it_was(body: str, tmp_path: Path) -> None:
    text = f"g (int64[N] ids) => (float[N,2] y) {{ {body} }}"
    numbers = {"nine": 9, "none": -1, "zero": 0}
    model = graph(text, T=_TABLE, **{k: np.array(v, np.int32) for k, v in numbers.items()})
    ids = [3, 2**32 - 1, 2**32 + 4] if "Where" in body else [3, 2**40 + 11, -5, 2**33 - 1]
    agrees(model, {"ids": np.array(ids)}, tmp_path, counts=(1, 70))
