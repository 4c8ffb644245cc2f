"""What a file that is no ONNX model looks like, by its first bytes: for messages."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

__all__ = ["looks_like"]

_HEAD = 4096

# First bytes -> what they are of, and what to do.
_STARTS: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "gzip data: unpack it first"),
    (b"BZh", "bzip2 data: unpack it first"),
    (b"\xfd7zXZ", "xz data: unpack it first"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd data: unpack it first"),
    (b"\x89HDF\r\n", "an HDF5 file, as Keras writes it: export it with tf2onnx"),
    (b"PAR1", "a Parquet file: rows, not a model"),
    (b"GGUF", "a GGUF file, weights without a graph: export the model to ONNX"),
    (b"CBM1", "a CatBoost model: save it as JSON"),
    (b"RTC", "an artifact of rtcompile: load it with rtcompile.load"),
    (b"\x7fELF", "a compiled library or program"),
    (b"version https://git-lfs", "a pointer of Git LFS: fetch the file with git lfs pull"),
    (b"tree\n", "a LightGBM model in text"),
    (b"binf", "an XGBoost model in its old binary form: save it as JSON or UBJSON"),
    (b"# Byte-order", "text"),
)


def looks_like(path: Path) -> str:
    """ ": it looks like ..." of a file or folder, or "" where nothing is recognised."""
    try:
        found = _folder(path) if path.is_dir() else _file(path)
    except (OSError, ValueError, RecursionError):
        return ""
    return f": it looks like {found}" if found else ""


def _folder(path: Path) -> str:
    if (path / "saved_model.pb").exists() or (path / "saved_model.pbtxt").exists():
        return "a TensorFlow SavedModel: export it with tf2onnx"
    if (path / "config.json").exists():
        return "a checkpoint of Hugging Face: export it to ONNX"
    found = sorted(child.name for child in path.glob("*.onnx"))
    return f"one with {found[0]} in it: name that file" if found else ""


def _file(path: Path) -> str:
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if not head.strip(b"\0"):
        return "an empty file" if not head else "a file of zeros"
    for start, kind in _STARTS:
        if head.startswith(start):
            return kind
    if head.startswith(b"PK"):
        return _zip(path)
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return "a Python pickle, such as torch.save writes: export the model with torch.onnx.export"
    if _is_safetensors(head, size):
        return "a safetensors file, weights without a graph: export the model to ONNX"
    if path.name.startswith("saved_model") or b"saved_model" in head[:64]:
        return "a TensorFlow SavedModel: export it with tf2onnx"
    return _text(head.lstrip(b"\xef\xbb\xbf \t\r\n"))


def _zip(path: Path) -> str:
    try:
        names = zipfile.ZipFile(path).namelist()
    except zipfile.BadZipFile:
        return "a zip archive that is damaged"
    inside = {name.split("/")[-1] for name in names}
    if "data.pkl" in inside or any(name.endswith(".pkl") for name in inside):
        return "a torch file of weights or TorchScript: export the model with torch.onnx.export"
    if "serialized_exported_program.json" in inside or "archive_format" in inside:
        return "a torch.export program: export the model with torch.onnx.export(dynamo=True)"
    if any(name.endswith(".npy") for name in inside):
        return "a NumPy archive: arrays, not a model"
    if "keras_metadata.pb" in inside or "model.weights.h5" in inside:
        return "a Keras model: export it with tf2onnx"
    found = sorted(name for name in names if name.endswith(".onnx"))
    return f"a zip archive with {found[0]} in it: unpack it first" if found else "a zip archive"


def _is_safetensors(head: bytes, size: int) -> bool:
    length = int.from_bytes(head[:8], "little")
    return 2 <= length <= size - 8 and head[8:9] == b"{"


def _text(head: bytes) -> str:
    """Of a file that is text."""
    lowered = head[:256].lower()
    if lowered.startswith((b"<!doctype html", b"<html", b"<?xml")):
        return "a page of HTML or XML: perhaps an error that a download answered with"
    if head[:1] in b"{[":
        return _json(head)
    if head.startswith(b"ir_version") or b"graph {" in head[:1024]:
        return "an ONNX model in text: write it with onnx.save"
    if b"num_class=" in head and b"tree" in lowered:
        return "a LightGBM model in text"
    try:
        head.decode()
    except UnicodeDecodeError:
        return ""
    return "text" if all(byte >= 9 for byte in head) else ""


def _json(head: bytes) -> str:
    if b'"learner"' in head:
        return "an XGBoost model in JSON"
    if b'"oblivious_trees"' in head or b'"model_info"' in head:
        return "a CatBoost model in JSON"
    if b'"features"' in head or b'"feature_configs"' in head:
        return "a feature config: give it as --features"
    if b'"irVersion"' in head or b'"opsetImport"' in head:
        return "an ONNX model in JSON: write it with onnx.save"
    try:
        json.loads(head)
    except ValueError:
        return "JSON" if b":" in head or head[:1] == b"[" else "text"
    return "JSON"
