"""Read a model file: checked, its own functions inlined; or say what the file is instead."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import onnx
import onnx.inliner
from google.protobuf import json_format, text_format
from google.protobuf.message import DecodeError
from onnx.external_data_helper import uses_external_data

from rtcompile.errors import ModelError, UnsupportedError
from rtcompile.files.input_files import MODEL, note_bytes, note_input
from rtcompile.frontends.onnx.file_kinds import looks_like
from rtcompile.frontends.onnx.tensors import external_files, read_external_data

__all__ = ["OPSETS", "UNREADABLE", "read_model", "standard_opset"]

OPSETS = range(7, 29)

# What reading a file that is no model raises: binary, JSON or text, as its suffix says.
UNREADABLE = (DecodeError, json_format.ParseError, text_format.ParseError, OSError, ValueError)
_STANDARD = ("", "ai.onnx")


class _Named(io.BytesIO):
    """Bytes of a file, by whose name onnx tells their form."""

    def __init__(self, data: bytes, name: str) -> None:
        super().__init__(data)
        self.name = name


def read_model(path: Path) -> Any:
    """The onnx.ModelProto at `path`, without functions of its own, as `tensors.py` says.

    Raises ModelError for a file that is no model, UnsupportedError for another opset.
    """
    if path.is_dir():
        raise ModelError(f"{path}: a folder{looks_like(path)}; an ONNX file is needed")
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    try:
        data = path.read_bytes()
        note_bytes(path, MODEL, data)
        model = onnx.load(_Named(data, str(path)), load_external_data=False)
        del data
        _check(model, path)
        for name in external_files(model):
            note_input(path.parent / name, "model data")
        read_external_data(model, path.parent)
    except (*UNREADABLE, onnx.checker.ValidationError) as error:
        kind = looks_like(path)
        lines = str(error).strip().splitlines()
        reason = lines[0] if lines else type(error).__name__
        raise ModelError(f"{path}: not a valid ONNX model{kind or f': {reason[:300]}'}") from error
    try:
        return _with_opset(_without_functions(model))
    except ModelError as error:
        raise type(error)(f"{path}: {error}") from error


def standard_opset(model: Any) -> int:
    """The version of ONNX's own operator set that a model imports."""
    return next(int(e.version) for e in model.opset_import if e.domain in _STANDARD)


def _check(model: Any, path: Path) -> None:
    """By the file where data lie beside it: that they do, and within its folder, is checked too.

    Raises onnx.checker.ValidationError.
    """
    external = any(uses_external_data(tensor) for tensor in model.graph.initializer)
    onnx.checker.check_model(str(path) if external else model)


def _without_functions(model: Any) -> Any:
    if not model.functions:
        return model
    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:  # of no public base class
        raise UnsupportedError(f"its functions cannot be inlined: {error}") from error


def _with_opset(model: Any) -> Any:
    """A model that imports the standard operator set, perhaps without a use for it."""
    if all(entry.domain not in _STANDARD for entry in model.opset_import):
        if any(node.domain in _STANDARD for node in model.graph.node):
            raise ModelError("the model imports no opset of the ONNX standard domain")
        model.opset_import.append(onnx.helper.make_opsetid("", 17))
    opset = standard_opset(model)
    if opset not in OPSETS:
        raise UnsupportedError(
            f"opset {opset} is not supported; export the model with an opset from {OPSETS.start} "
            f"to {OPSETS.stop - 1}"
        )
    return model
