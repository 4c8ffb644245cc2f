"""The network in other engines, each on one thread; in fp32, unless it is said otherwise."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import onnxruntime

from rtcompile.errors import UnsupportedError
from rtcompile.files.scratch_folder import scratch_folder

__all__ = ["PACKAGES", "onnxruntime_int8_session", "onnxruntime_session", "openvino_request"]

# What to install for a peer that is not.
PACKAGES = {"tensorflow": "tensorflow-cpu", "openvino": "openvino"}


def onnxruntime_session(model: Path) -> Any:
    """An InferenceSession."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model.read_bytes(), options)


def onnxruntime_int8_session(model: Path) -> Any:
    """An InferenceSession of its dynamic quantization: int8 weights by column, activations by call.

    Raises UnsupportedError for a graph that its tool does not take.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with scratch_folder() as folder:
        path = folder / "int8.onnx"
        level = logging.root.level
        try:
            logging.root.setLevel(logging.ERROR)  # its advice on preprocessing
            quantize_dynamic(str(model), str(path), per_channel=True, weight_type=QuantType.QInt8)
            return onnxruntime_session(path)
        except Exception as error:  # of no public base class
            reason = str(error).strip().splitlines()[-1]
            raise UnsupportedError(
                f"onnxruntime-int8 does not take {model.name} ({reason})"
            ) from error
        finally:
            logging.root.setLevel(level)


def openvino_request(model: Path, precision: str = "f32") -> Any:
    """An InferRequest. Raises ImportError, and UnsupportedError for a graph it does not take."""
    import openvino

    settings = {
        "INFERENCE_NUM_THREADS": 1,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
    }
    try:
        compiled = openvino.Core().compile_model(str(model), "CPU", settings)
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise UnsupportedError(f"openvino does not take {model.name} ({reason})") from error
    return compiled.create_infer_request()
