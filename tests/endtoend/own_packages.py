"""The wheel builds, loads and ranks in a folder whose packages are named as ours once were.

Run it in a folder with packages `runtime`, `models` and `torch` of the user's own, where the wheel
and its extra `compiler` are installed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import onnx

import rtcompile

_GRAPH = """
<ir_version: 8, opset_import: ["" : 17]>
score (float[n, 1] age, float[n, 1] price) => (float[n, 1] ctr) {
    both = Concat<axis = 1>(age, price)
    weights = Constant<value = float[2, 1] {0.5, 0.25}>()
    ctr = MatMul(both, weights)
}
"""
_FEATURES = {
    "features": [
        {"feature_type": "raw_feature", "feature_name": "age", "expression": "user:age"},
        {"feature_type": "raw_feature", "feature_name": "price", "expression": "item:price"},
    ]
}


def main() -> None:
    """Build, load, rank; nothing of the folder's packages is imported."""
    onnx.save(onnx.parser.parse_model(_GRAPH), "m.onnx")
    Path("fg.json").write_text(json.dumps(_FEATURES))
    rtcompile.build("m.onnx", rtcompile.BuildOptions(features="fg.json"), output="m.rtc")
    ranker = rtcompile.load("m.rtc")
    ranker.items.upsert({"item_id": ["a", "b"], "price": [4.0, 8.0]})
    scores = ranker.rank({"age": 2.0}, ["a", "b"])["ctr"]
    if scores.reshape(-1).tolist() != [2.0, 3.0]:
        raise SystemExit(f"scores are {scores}")
    here = str(Path.cwd())
    used = [m for m in sys.modules.values() if str(getattr(m, "__file__", "")).startswith(here)]
    if {module.__name__ for module in used} != {"__main__"}:
        raise SystemExit(f"modules of the folder are imported: {used}")
    print("beside packages of the user's own: 1 passed, 0 failed")


if __name__ == "__main__":
    main()
