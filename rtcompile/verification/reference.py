"""The original in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import numpy_helper

from rtcompile.errors import ModelError
from rtcompile.frontends.onnx.import_onnx import ImportedGraph
from rtcompile.frontends.onnx.tensors import array_of
from rtcompile.verification.exact_products import with_exact_products
from rtcompile.verification.large_tables import without_tables

__all__ = ["Run", "open_reference", "open_session", "run_off_by_a_place"]

Run = Callable[[Sequence[str], Mapping[str, npt.NDArray[Any]]], list[npt.NDArray[Any]]]


def open_session(graph: ImportedGraph) -> Run:
    """The original in ONNX Runtime: (output names, inputs) -> outputs. Both raise ModelError."""
    return open_reference(graph.model)


def run_off_by_a_place(
    graph: ImportedGraph, seed: int, inputs: Mapping[str, npt.NDArray[Any]]
) -> list[npt.NDArray[Any]]:
    """What the original answers with each of its weights some units in the last place off."""
    model, rng = onnx.ModelProto(), np.random.default_rng(seed)
    model.CopyFrom(graph.model)
    for tensor in model.graph.initializer:
        weights = array_of(tensor)
        if weights.dtype.kind == "f" and weights.ndim:
            step = 4 * np.finfo(weights.dtype).eps * rng.choice([-1.0, 1.0], weights.shape)
            with np.errstate(over="ignore", invalid="ignore"):
                moved = (weights * (1 + step)).astype(weights.dtype)
            tensor.CopyFrom(numpy_helper.from_array(moved, tensor.name))
    return open_reference(model)(graph.outputs, inputs)


def open_reference(model: Any) -> Run:
    """An onnx.ModelProto in ONNX Runtime, with products of bytes that are exact on any processor.

    (output names, inputs) -> outputs. Both raise ModelError.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # what it raises is said once
    # Quantize and dequantize pairs stay operators on floats, as ONNX defines them.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    exact, tables = without_tables(with_exact_products(model))
    try:
        session = onnxruntime.InferenceSession(exact.SerializeToString(), options)
    except Exception as error:  # its exceptions share no public base class
        raise ModelError(f"ONNX Runtime cannot load the model: {error}") from error

    return partial(_run, session, tables)


def _run(
    session: Any, tables: Mapping[str, Any], names: Sequence[str], inputs: Mapping[str, Any]
) -> list[npt.NDArray[Any]]:
    """`tables`: inputs of each run, which the session reads where they lie."""
    try:
        found: list[npt.NDArray[Any]] = session.run(list(names), {**inputs, **tables})
    except Exception as error:
        raise ModelError(f"ONNX Runtime cannot run the model: {error}") from error
    return found
