"""Scores in a thin environment are those of the full one, bit by bit.

python -m tests.endtoend.thin_runtime build FOLDER      in the full environment
python thin_runtime.py check FOLDER                     with numpy and apache-tvm-ffi only
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path

_BEGIN = time.perf_counter()
import rtcompile  # noqa: E402

load = rtcompile.load  # what is behind it is imported when it is asked for

_IMPORTED = time.perf_counter()
import numpy as np  # noqa: E402

_ROWS = 100


def build(folder: Path) -> None:
    """Write the DeepFM's artifact, items, a request, and the scores that this environment gives."""
    from rtcompile.bench.movielens import prepare
    from rtcompile.models.movielens.data import synthetic
    from rtcompile.models.movielens.examples import item_fields

    folder.mkdir(parents=True)
    data = synthetic()
    prepared = prepare("deepfm", data, folder)
    items, request = item_fields(data), prepared.requests[0]
    ids = items["item_id"][:_ROWS]
    (folder / "request.json").write_text(json.dumps([items, request.user, ids]))
    scores = load(folder / "deepfm.rtc")
    scores.items.upsert(items)
    np.save(folder / "scores.npy", scores.rank(request.user, ids)["ctr"])


def check(folder: Path) -> None:
    """Compare the scores; look at what is installed and at what the library imports."""
    for absent in ("tvm", "onnx", "onnxruntime", "torch", "pyarrow", "click", "pydantic"):
        if importlib.util.find_spec(absent):
            raise SystemExit(f"{absent} is installed: not a thin environment")
    items, user, ids = json.loads((folder / "request.json").read_text())
    begin = time.perf_counter()
    ranker = load(folder / "deepfm.rtc")
    ranker.items.upsert(items)
    scores = ranker.rank(user, ids)["ctr"]
    taken = time.perf_counter() - begin
    if scores.tobytes() != np.load(folder / "scores.npy").tobytes():
        raise SystemExit("scores differ between the thin and the full environment")
    _check_symbols(folder)
    print(f"import {1e3 * (_IMPORTED - _BEGIN):.0f} ms, load to first scores {1e3 * taken:.0f} ms")
    print("thin environment: scores bit-identical, 1 passed, 0 failed")


def _check_symbols(folder: Path) -> None:
    from rtcompile.runtime.artifact import read_artifact

    library = folder / "module.so"
    library.write_bytes(read_artifact(folder / "deepfm.rtc").module)
    listing = subprocess.run(
        ["nm", "-D", "--undefined-only", str(library)], capture_output=True, text=True, check=True
    ).stdout
    for line in listing.splitlines():
        kind, symbol = line.split()[-2:]
        if kind != "w" and "@GLIBC" not in symbol and not symbol.startswith("TVMFFI"):
            raise SystemExit(f"the library needs {symbol}")


if __name__ == "__main__":
    {"build": build, "check": check}[sys.argv[1]](Path(sys.argv[2]))
