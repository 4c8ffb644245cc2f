"""Build a small example network, compile it, and score a few rows.

python -m models.example [FOLDER]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import rtcompile
import runtime

__all__ = ["ITEMS", "example_model", "main"]

ITEMS = 1000
_DIMENSION, _NUMBERS, _HIDDEN = 16, 13, 64


def example_model(seed: int = 0) -> onnx.ModelProto:
    """score = sigmoid(relu([numbers, E[item]] @ W1 + b1) @ W2 + b2), seeded random weights.

    Inputs: `numbers` float32 [n, 13], `item` int64 [n]; output `score` float32 [n, 1].
    """
    rng = np.random.default_rng(seed)
    shapes = {
        "items": (ITEMS, _DIMENSION),
        "w1": (_NUMBERS + _DIMENSION, _HIDDEN),
        "b1": (_HIDDEN,),
        "w2": (_HIDDEN, 1),
        "b2": (1,),
    }
    constants = [
        numpy_helper.from_array(rng.normal(0, 0.3, shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Gather", ["items", "item"], ["embedding"], axis=0),
        helper.make_node("Concat", ["numbers", "embedding"], ["x"], axis=1),
        helper.make_node("Gemm", ["x", "w1", "b1"], ["pre"]),
        helper.make_node("Relu", ["pre"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "w2", "b2"], ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["score"]),
    ]
    inputs = [
        helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["n", _NUMBERS]),
        helper.make_tensor_value_info("item", TensorProto.INT64, ["n"]),
    ]
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["n", 1])]
    graph = helper.make_graph(nodes, "example", inputs, outputs, constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)


def main(folder: Path) -> None:
    """Write model and artifact to `folder` and print a few scores."""
    onnx.save(example_model(), str(folder / "example.onnx"))
    result = rtcompile.build(folder / "example.onnx", output=folder / "example.rtc")
    if result.verification is not None:
        print(f"largest difference from ONNX Runtime: {result.verification.largest_difference:.1e}")
    rng = np.random.default_rng(1)
    inputs = {"numbers": rng.normal(size=(5, _NUMBERS)), "item": rng.integers(0, ITEMS, 5)}
    scores = runtime.load(folder / "example.rtc").predict(inputs)["score"]
    for item, score in zip(inputs["item"], scores[:, 0], strict=True):
        print(f"item {item:4d}  score {score:.4f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
