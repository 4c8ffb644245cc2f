#!/usr/bin/env bash
# apache-tvm 0.27.0.post1: the arithmetic simplifier treats floats as if they were real numbers.
#
# Expected: only what holds for every float is folded.
# Seen: x == x becomes true, x - x and x * 0 become 0, (x + y) - y becomes x, not (x < y) becomes
# y <= x. None of them holds for NaN, the middle three not for infinity either, and (x + y) - y is not
# x for numbers of different size.
# Why it matters: kernels written in TIR pass this simplifier many times. A guard of the form
# "x == x, else the default" is gone from the compiled code, so NaN reaches the score, or does not.
# tirx.isnan(x) survives.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check apache-tvm==0.27.0.post1 apache-tvm-ffi==0.1.14.post1 numpy==2.4.6
env/bin/python -W ignore - <<'PYTHON'
from tvm import tirx
from tvm.sym import Analyzer

x, y = tirx.Var("x", "float32"), tirx.Var("y", "float32")
zero = tirx.const(0.0, "float32")
simplify = Analyzer().simplify
seen = [str(simplify(e)) for e in (x == x, x - x, x * zero, (x + y) - y, tirx.Not(x < y))]
print(seen)
assert seen == ["T.bool(True)", "T.float32(0.0)", "T.float32(0.0)", "x", "y <= x"]
assert "isnan" in str(simplify(tirx.isnan(x)))
PYTHON
