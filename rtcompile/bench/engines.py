"""The network in other engines, each on one thread and in fp32."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnxruntime

from rtcompile.errors import UnsupportedError

__all__ = ["PACKAGES", "onnxruntime_session", "openvino_request"]

# What to install for a peer that is not.
PACKAGES = {"tensorflow": "tensorflow-cpu", "openvino": "openvino"}


def onnxruntime_session(model: Path) -> Any:
    """An InferenceSession."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.read_bytes(), options)


def openvino_request(model: Path) -> Any:
    """An InferRequest. Raises ImportError, and UnsupportedError for a graph it does not take."""
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    try:
        compiled = openvino.Core().compile_model(str(model), "CPU", settings)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise UnsupportedError(f"openvino does not take {model.name} ({reason})") from error
    return compiled.create_infer_request()
