#!/usr/bin/env bash
# apache-tvm 0.27.0.post1: a maximum over nothing but -inf is not -inf.
#
# Expected: ReduceMax of a row of -inf is -inf, and its ArgMax is an index of the row (0).
# Seen: -3.4028235e38, and an ArgMax of -1: reductions start at the lowest finite number, and no
# element is above it.
# Why it matters: -inf is what masks put in the place of padding. For a user without history, the
# usual guard (IsInf -> 0) does not fire, and the index -1 reads the last row of a table.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check apache-tvm==0.27.0.post1 apache-tvm-ffi==0.1.14.post1 numpy==2.4.6 onnx==1.23.2 ml_dtypes==0.5.4
env/bin/python -W ignore - <<'PYTHON'
import numpy as np
import onnx.parser
import tvm
from onnx.reference import ReferenceEvaluator
from tvm import relax
from tvm.relax.frontend.onnx import from_onnx


def answers(text, *arrays):
    """(what TVM computes, what ONNX's reference evaluator computes) for one output."""
    model = onnx.parser.parse_model('<ir_version: 9, opset_import: ["" : 17]>' + text)
    module = from_onnx(model, keep_params_in_input=False)
    machine = relax.VirtualMachine(tvm.compile(module, target="llvm"), tvm.cpu())
    got = machine["main"](*map(tvm.runtime.tensor, arrays)).numpy()
    names = [value.name for value in model.graph.input]
    (want,) = ReferenceEvaluator(model).run(None, dict(zip(names, arrays)))
    return got, want


inf, nan = np.inf, np.nan

history = np.array([[-inf, -inf, -inf], [1, 2, 3]], np.float32)
got, want = answers("g (float[2,3] x) => (float[2] y) { y = ReduceMax<axes=[1], keepdims=0>(x) }", history)
at, best = answers("g (float[2,3] x) => (int64[2] y) { y = ArgMax<axis=1, keepdims=0>(x) }", history)
print("ReduceMax: expected", want, "seen", got)
print("ArgMax: expected", best, "seen", at)
assert want[0] == -inf and got[0] == np.finfo(np.float32).min and best[0] == 0 and at[0] == -1
PYTHON
