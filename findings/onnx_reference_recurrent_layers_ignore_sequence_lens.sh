#!/usr/bin/env bash
# onnx 1.23.2: the reference evaluator's GRU, LSTM and RNN take no notice of sequence_lens.
#
# Expected: a row of length 1 has its last state after one step, as the specification says and ONNX
# Runtime does.
# Seen: the state after all steps, padding and all, without a word.
# Why it matters: histories come padded to one length. Who holds a recurrent ranking model to ONNX's
# own evaluator takes the right engine for the wrong one.
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

model = onnx.parser.parse_model("""
<ir_version: 9, opset_import: ["" : 17]>
g (float[3,1,1] x, int32[1] lengths) => (float[1,1,1] last) {
    w = Constant<value = float[1,1,1] {1.0}>()
    r = Constant<value = float[1,1,1] {1.0}>()
    b = Constant<value = float[1,2] {0.0, 0.0}>()
    every, last = RNN<hidden_size = 1>(x, w, r, b, lengths)
}
""")
given = {"x": np.full((3, 1, 1), 0.5, np.float32), "lengths": np.array([1], np.int32)}
session = onnxruntime.InferenceSession(model.SerializeToString())
want = float(session.run(None, given)[0].reshape(()))
got = float(ReferenceEvaluator(model).run(None, given)[0].reshape(()))
print("expected", np.tanh(0.5), "ONNX Runtime", want, "reference", got)
assert abs(want - np.tanh(0.5)) < 1e-6 and abs(got - want) > 0.1
PYTHON
