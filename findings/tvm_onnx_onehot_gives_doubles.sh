#!/usr/bin/env bash
# apache-tvm 0.27.0.post1: the ONNX frontend gives OneHot another element type than its values have.
#
# Expected: OneHot with float32 values has a float32 output.
# Seen: float64.
# Why it matters: what follows runs in double precision or is refused for mixed types, and a service
# that reads the output's bytes as float32 reads other numbers.
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

text = "g (int64[2] i) => (float[2,3] y) { d = Constant<value = int64 {3}>() v = Constant<value = float[2] {0.0, 1.0}>() y = OneHot(i, d, v) }"
got, want = answers(text, np.array([0, 2]))
print("expected", want.dtype, "seen", got.dtype)
assert want.dtype == np.float32 and got.dtype == np.float64
PYTHON
