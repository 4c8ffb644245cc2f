"""Scores in a thin environment are those of the full one, bit by bit.

python -m tests.endtoend.thin_runtime build FOLDER      in the full environment
python thin_runtime.py check FOLDER                     with numpy and apache-tvm-ffi only
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np

import runtime


def build(folder: Path) -> None:
    """Write an artifact, inputs and the scores that this environment gives."""
    import rtcompile
    from tests.onnx_models import TABLE_ROWS, two_input_model

    folder.mkdir(parents=True)
    model = two_input_model(folder / "model.onnx")
    rtcompile.build(model, output=folder / "model.rtc")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(100, 5)).astype(np.float32)
    ids = rng.integers(0, TABLE_ROWS, 100)
    scores = runtime.load(folder / "model.rtc").predict({"X": x, "ids": ids})["Y"]
    np.savez(folder / "scores.npz", X=x, ids=ids, Y=scores)


def check(folder: Path) -> None:
    """Compare the scores; look at what is installed and at what the library imports."""
    for absent in ("tvm", "onnx", "onnxruntime", "torch", "pyarrow", "click", "pydantic"):
        if importlib.util.find_spec(absent):
            raise SystemExit(f"{absent} is installed: not a thin environment")
    expected = np.load(folder / "scores.npz")
    ranker = runtime.load(folder / "model.rtc")
    scores = ranker.predict({"X": expected["X"], "ids": expected["ids"]})["Y"]
    if scores.tobytes() != expected["Y"].tobytes():
        raise SystemExit("scores differ between the thin and the full environment")
    _check_symbols(folder)
    print("thin environment: scores bit-identical, 1 passed, 0 failed")


def _check_symbols(folder: Path) -> None:
    from runtime.artifact import read_artifact

    library = folder / "module.so"
    library.write_bytes(read_artifact(folder / "model.rtc").module)
    listing = subprocess.run(
        ["nm", "-D", "--undefined-only", str(library)], capture_output=True, text=True, check=True
    ).stdout
    for line in listing.splitlines():
        kind, symbol = line.split()[-2:]
        if kind != "w" and "@GLIBC" not in symbol and not symbol.startswith("TVMFFI"):
            raise SystemExit(f"the library needs {symbol}")


if __name__ == "__main__":
    {"build": build, "check": check}[sys.argv[1]](Path(sys.argv[2]))
