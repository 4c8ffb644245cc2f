"""Graphs from text, and what ONNX Runtime makes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.parser
import onnxruntime
from onnx import numpy_helper

import rtcompile
from rtcompile import runtime
from rtcompile.options import BuildOptions

__all__ = ["agrees", "graph", "run"]

Array = npt.NDArray[Any]

ROW_COUNTS = (1, 7, 64, 100)


def graph(text: str, opset: int = 17, **constants: npt.ArrayLike) -> Any:
    """A model of ONNX's textual form, and its constants."""
    model = onnx.parser.parse_model(f'<ir_version: 9, opset_import: ["" : {opset}]>\n{text}')
    tensors = (numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items())
    model.graph.initializer.extend(tensors)
    return model


def run(model: Any, feeds: Mapping[str, Array]) -> list[Array]:
    """The outputs in ONNX Runtime."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return [np.asarray(output) for output in session.run(None, dict(feeds))]


def agrees(
    model: Any, rows: Mapping[str, Array], folder: Path, counts: Sequence[int] = ROW_COUNTS
) -> Any:
    """Build `model` and hold it to ONNX Runtime at each count, on rows drawn from `rows`."""
    path = folder / "m.onnx"
    onnx.save(model, str(path))
    result = rtcompile.build(path, BuildOptions(), output=folder / "m.rtc")
    ranker = runtime.load(folder / "m.rtc")
    rng = np.random.default_rng(0)
    have = len(next(iter(rows.values())))
    for count in counts:
        at = rng.integers(0, have, count)
        feeds = {name: values[at] for name, values in rows.items()}
        want, got = run(model, feeds), ranker.predict(feeds)
        for one, other in zip(want, got.values(), strict=True):
            assert one.shape == other.shape
            assert one.dtype == other.dtype
            np.testing.assert_allclose(other, one, rtol=1e-4, atol=1e-5)
    return result
