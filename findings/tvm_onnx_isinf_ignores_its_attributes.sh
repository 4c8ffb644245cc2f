#!/usr/bin/env bash
# apache-tvm 0.27.0.post1: the ONNX frontend reads IsInf without its two attributes.
#
# Expected: IsInf with detect_negative=0 is false for -inf.
# Seen: true.
# Why it matters: a graph that treats +inf (an overflow) and -inf (a masked place) apart takes one
# for the other, without an error.
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

got, want = answers("g (float[1,3] x) => (bool[1,3] y) { y = IsInf<detect_negative=0>(x) }", np.array([[-inf, inf, 0]], np.float32))
print("expected", want, "seen", got)
assert want.tolist() == [[False, True, False]] and got.tolist() == [[True, True, False]]
PYTHON
