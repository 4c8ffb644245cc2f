"""Which extra of the package brings a library that is not installed."""

from __future__ import annotations

__all__ = ["missing_extra"]

_EXTRAS = {
    "compiler": (
        *("tvm", "onnx", "onnxruntime", "click", "rich"),
        *("pyarrow", "pydantic", "safetensors"),
    ),
    "text": ("re2", "opencc", "sentencepiece", "tokenizers"),
    "tune": ("xgboost", "psutil", "cloudpickle", "tornado"),
    "torch": ("torch", "onnxscript"),
}


def missing_extra(error: ModuleNotFoundError) -> str | None:
    """What to install where an import found no module; None where that is none of an extra's."""
    library = (error.name or "").partition(".")[0]
    for extra, libraries in _EXTRAS.items():
        if library in libraries:
            return f"{library} is not installed: pip install 'rtcompile[{extra}]' brings it"
    return None
