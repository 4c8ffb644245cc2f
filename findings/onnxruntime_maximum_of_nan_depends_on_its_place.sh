#!/usr/bin/env bash
# onnxruntime 1.32.0: whether the maximum of a row is NaN depends on where in the row the NaN stands.
#
# Expected: NaN wherever it stands (the reference evaluator, numpy), or never.
# Seen: ReduceMax of [nan, 1, 2, 3] is nan, of [1, 2, 3, nan] it is 3. ArgMax of [1, 2, nan, 3] is 3.
# Why it matters: max pooling over a history hides one broken element and shows another. Who compares
# a compiled model with ONNX Runtime cannot take its answer for rows with NaN as the truth.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
env/bin/python -W ignore - <<'PYTHON'
import numpy as np
import onnx.parser
import onnxruntime
from onnx.reference import ReferenceEvaluator


def answers(text, x):
    """(what ONNX Runtime computes, what ONNX's reference evaluator computes) for one output."""
    model = onnx.parser.parse_model('<ir_version: 9, opset_import: ["" : 17]>' + text)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {"x": x})[0], ReferenceEvaluator(model).run(None, {"x": x})[0]


inf, nan = np.inf, np.nan

x = np.array([[nan, 1, 2, 3], [1, 2, 3, nan]], np.float32)
got, want = answers("g (float[2,4] x) => (float[2] y) { y = ReduceMax<axes=[1], keepdims=0>(x) }", x)
print("expected", want, "seen", got)
assert np.isnan(want).all() and np.isnan(got[0]) and got[1] == 3
at, best = answers("g (float[1,4] x) => (int64[1] y) { y = ArgMax<axis=1, keepdims=0>(x) }", np.array([[1, 2, nan, 3]], np.float32))
print("ArgMax: expected", best, "seen", at)
assert best[0] == 2 and at[0] == 3
PYTHON
