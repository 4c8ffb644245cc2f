"""Small ONNX models for tests, built by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

TABLE_ROWS = 10


def save(
    path: Path,
    nodes: list[Any],
    constants: dict[str, Any],
    inputs: Any,
    outputs: Any,
    opset: int = 17,
) -> Path:
    """Write a model of one graph. Inputs and outputs: name -> (element type, shape)."""
    graph = helper.make_graph(
        nodes,
        "test",
        [helper.make_tensor_value_info(n, t, s) for n, (t, s) in inputs.items()],
        [helper.make_tensor_value_info(n, t, s or ["n", None]) for n, (t, s) in outputs.items()],
        [numpy_helper.from_array(v, n) for n, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)
    onnx.save(model, str(path))
    return path


def two_input_model(path: Path, opset: int = 17) -> Path:
    """Y = sigmoid(relu([X, E[ids]] @ W1 + b1) @ W2 + b2); X float [n, 5], ids int64 [n]."""
    rng = np.random.default_rng(0)
    constants = {
        "table": rng.normal(size=(TABLE_ROWS, 8)).astype(np.float32),
        "w1": rng.normal(size=(13, 20)).astype(np.float32),
        "b1": rng.normal(size=20).astype(np.float32),
        "w2": rng.normal(size=(20, 1)).astype(np.float32),
        "b2": rng.normal(size=1).astype(np.float32),
    }
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["e"], axis=0),
        helper.make_node("Concat", ["X", "e"], ["x"], axis=1),
        helper.make_node("MatMul", ["x", "w1"], ["m"]),
        helper.make_node("Add", ["m", "b1"], ["a"]),
        helper.make_node("Relu", ["a"], ["h"]),
        helper.make_node("Gemm", ["h", "w2", "b2"], ["z"]),
        helper.make_node("Sigmoid", ["z"], ["Y"]),
    ]
    inputs = {"X": (TensorProto.FLOAT, ["n", 5]), "ids": (TensorProto.INT64, ["n"])}
    return save(path, nodes, constants, inputs, {"Y": (TensorProto.FLOAT, ["n", 1])}, opset)
