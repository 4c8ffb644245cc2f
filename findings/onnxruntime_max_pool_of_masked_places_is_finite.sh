#!/usr/bin/env bash
# onnxruntime 1.32.0: MaxPool over a window of nothing but -inf is not -inf.
#
# Expected: -inf, which ReduceMax of the same runtime gives, and the reference evaluator for MaxPool.
# Seen: -3.4028235e38, the lowest finite number.
# Why it matters: a window whose places are all masked is found by IsInf; written as MaxPool instead
# of ReduceMax, the same model answers with a huge negative score.
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

x = np.array([[[-inf, -inf, 1, 2]]], np.float32)
got, want = answers("g (float[1,1,4] x) => (float[1,1,2] y) { y = MaxPool<kernel_shape=[2], strides=[2]>(x) }", x)
print("expected", want, "seen", got)
assert want[0, 0, 0] == -inf and got[0, 0, 0] == np.finfo(np.float32).min
PYTHON
