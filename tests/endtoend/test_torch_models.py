"""Ranking models as both of torch's exporters write them, built and compared with torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import rtcompile
from rtcompile import runtime

torch = pytest.importorskip("torch", reason="the models come from torch (extra: torch)")

from tests.endtoend.torch_models import SHAPES  # noqa: E402
from tests.endtoend.torch_models.base import NEW, OLD  # noqa: E402

_EXPORTED_ROWS = 37


def _export(network: Any, inputs: tuple[Any, ...], names: list[str], path: Path, by: str) -> None:
    if by == NEW:
        shapes = tuple({0: torch.export.Dim.DYNAMIC} for _ in inputs)
        exported = torch.onnx.export(
            network, inputs, dynamo=True, dynamic_shapes=shapes, input_names=names, verbose=False
        )
        exported.save(str(path))
        return
    axes = {name: {0: "batch"} for name in names}
    torch.onnx.export(
        network, inputs, str(path), dynamo=False, opset_version=17, input_names=names,
        dynamic_axes=axes,
    )  # fmt: skip


def _answers(network: Any, inputs: tuple[Any, ...]) -> list[Any]:
    with torch.no_grad():
        found = network(*inputs)
    if isinstance(found, dict):
        found = tuple(found.values())
    return [output.numpy() for output in (found if isinstance(found, tuple) else (found,))]


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("by", [NEW, OLD])
@pytest.mark.parametrize("name", SHAPES)
def test_scores_agree_with_torch(name: str, by: str, tmp_path: Path) -> None:
    shape, path = SHAPES[name], tmp_path / "m.onnx"
    if by in shape.not_exported:
        pytest.skip("this exporter cannot write it")
    if by == NEW:
        pytest.importorskip("onnxscript", reason="the new exporter needs it")
    torch.manual_seed(0)
    network = shape.network().eval()
    inputs = shape.inputs(_EXPORTED_ROWS)
    names = [f"input{place}" for place in range(len(inputs))]
    _export(network, inputs, names, path, by)
    rtcompile.build(path, output=tmp_path / "m.rtc")
    ranker = runtime.load(tmp_path / "m.rtc")
    for rows in (1, 7, 64, 100, 513):
        given = shape.inputs(rows)
        feeds = {name: value.numpy() for name, value in zip(names, given, strict=True)}
        if by in shape.changed:
            want = onnxruntime.InferenceSession(path).run(None, feeds)
        else:
            want = _answers(network, given)
        got = list(ranker.predict(feeds).values())
        for one, other in zip(want, got, strict=True):
            np.testing.assert_allclose(other, one.reshape(other.shape), rtol=1e-3, atol=1e-4)
