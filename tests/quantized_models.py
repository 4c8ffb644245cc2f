"""Models as ONNX Runtime's quantizer makes them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import TensorProto, helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)

from tests.onnx_models import save

WIDTH, TABLE_ROWS, DIMENSION = 32, 100, 16

Arrays = Mapping[str, npt.NDArray[Any]]


def small_network(path: Path) -> Path:
    """Y = sigmoid(relu(relu([X, E[ids]] @ w0 + b0) @ w1 + b1) @ w2 + b2); X float [n, 32].

    w0 is 48 x 64 in a MatMul, w1 64 x 32 in a Gemm, w2 32 x 1.
    """
    rng = np.random.default_rng(0)
    constants = {"E": rng.normal(size=(TABLE_ROWS, DIMENSION)).astype(np.float32)}
    nodes = [
        helper.make_node("Gather", ["E", "ids"], ["e"]),
        helper.make_node("Concat", ["X", "e"], ["x"], axis=1),
    ]
    given, width = "x", WIDTH + DIMENSION
    for k, units in enumerate((64, 32, 1)):
        constants[f"w{k}"] = (rng.normal(size=(width, units)) / width**0.5).astype(np.float32)
        constants[f"b{k}"] = (rng.normal(size=units) / 8).astype(np.float32)
        if k == 1:
            nodes.append(helper.make_node("Gemm", [given, "w1", "b1"], ["a1"]))
        else:
            nodes.append(helper.make_node("MatMul", [given, f"w{k}"], [f"m{k}"]))
            nodes.append(helper.make_node("Add", [f"m{k}", f"b{k}"], [f"a{k}"]))
        given = f"h{k}"
        nodes.append(helper.make_node("Relu", [f"a{k}"], [given]))
        width = units
    nodes[-1] = helper.make_node("Sigmoid", ["a2"], ["Y"])
    inputs = {"X": (TensorProto.FLOAT, ["n", WIDTH]), "ids": (TensorProto.INT64, ["n"])}
    return save(path, nodes, constants, inputs, {"Y": (TensorProto.FLOAT, ["n", 1])})


def network_rows(rows: int, seed: int, scale: float = 1.0) -> dict[str, npt.NDArray[Any]]:
    """Inputs of the small network."""
    rng = np.random.default_rng(seed)
    x = scale * rng.normal(size=(rows, WIDTH))
    return {"X": x.astype(np.float32), "ids": rng.integers(0, TABLE_ROWS, rows)}


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    def __init__(self, batches: list[Arrays]) -> None:
        self._batches: Iterator[Arrays] = iter(batches)

    def get_next(self) -> Arrays | None:
        return next(self._batches, None)


def static(
    model: Path,
    batches: list[Arrays],
    form: str = "QDQ",
    per_channel: bool = False,
    activations: str = "QUInt8",
    weights: str = "QInt8",
    **options: Any,
) -> Path:
    """`model` with the ranges that it has on batches of inputs; `form`: QDQ or QOperator."""
    logging.getLogger().setLevel(logging.ERROR)  # it advises to preprocess
    path = model.with_name(f"{form}_{per_channel}_{activations}_{weights}.onnx")
    quantize_static(
        str(model),
        str(path),
        _Reader(batches),
        quant_format=QuantFormat[form],
        per_channel=per_channel,
        activation_type=QuantType[activations],
        weight_type=QuantType[weights],
        extra_options=options,
    )
    return path


def dynamic(model: Path, per_channel: bool = False, weights: str = "QInt8") -> Path:
    """`model` with ranges that are taken from what it reads."""
    logging.getLogger().setLevel(logging.ERROR)
    path = model.with_name(f"dynamic_{per_channel}_{weights}.onnx")
    quantize_dynamic(str(model), str(path), per_channel=per_channel, weight_type=QuantType[weights])
    return path
