"""Ranking models as both of torch's exporters write them, built and compared with torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rtcompile
import runtime

torch = pytest.importorskip("torch", reason="the models come from torch (extra: torch)")

from tests.endtoend.torch_models import MODELS, ROWS  # noqa: E402

# What an exporter of torch 2.13 cannot write.
_NOT_EXPORTED = {("bag that skips padding", False)}


def _export(network: Any, inputs: tuple[Any, ...], names: list[str], path: Path, new: bool) -> None:
    if new:
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


@pytest.mark.long
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("new", [True, False], ids=["new exporter", "old exporter"])
@pytest.mark.parametrize("name", MODELS)
def test_scores_agree_with_torch(name: str, new: bool, tmp_path: Path) -> None:
    if (name, new) in _NOT_EXPORTED:
        pytest.skip("this exporter cannot write it")
    if new:
        pytest.importorskip("onnxscript", reason="the new exporter needs it")
    torch.manual_seed(0)
    network, inputs = MODELS[name]()
    network.eval()
    names = [f"input{place}" for place in range(len(inputs))]
    _export(network, inputs, names, tmp_path / "m.onnx", new)
    rtcompile.build(tmp_path / "m.onnx", output=tmp_path / "m.rtc")
    ranker = runtime.load(tmp_path / "m.rtc")
    rng = np.random.default_rng(0)
    for rows in (1, 7, 64, 100, 513):
        taken = rng.integers(0, ROWS, rows)
        given = [value[torch.from_numpy(taken)] for value in inputs]
        with torch.no_grad():
            want = network(*given).numpy()
        feeds = {name: value.numpy() for name, value in zip(names, given, strict=True)}
        (got,) = ranker.predict(feeds).values()
        np.testing.assert_allclose(got, want.reshape(got.shape), rtol=1e-3, atol=1e-4)
