#!/usr/bin/env bash
# apache-tvm 0.27.0.post1: Relu, Clip and Max make a number of NaN.
#
# Expected: NaN in, NaN out, as ONNX's reference evaluator and ONNX Runtime have it.
# Seen: 0 from Relu, the bound from Clip, the other operand from Max.
# Why it matters: a feature that is broken upstream gives a plausible score instead of NaN, which a
# service would notice.
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

x = np.array([[nan, 1, -2]], np.float32)
for text in (
    "g (float[1,3] x) => (float[1,3] y) { y = Relu(x) }",
    "g (float[1,3] x) => (float[1,3] y) { l = Constant<value = float {-1.0}>() h = Constant<value = float {1.0}>() y = Clip(x, l, h) }",
    "g (float[1,3] x) => (float[1,3] y) { l = Constant<value = float {-1.0}>() y = Max(x, l) }",
):
    got, want = answers(text, x)
    print("expected", want, "seen", got)
    assert np.isnan(want[0, 0]) and not np.isnan(got[0, 0])
PYTHON
