#!/usr/bin/env bash
# apache-tvm 0.27.0.post1: sums of fixed-width integers are simplified as if they could not wrap.
#
# Expected: x + 1 > x of an int64 is decided when x is known: it is false for the largest int64.
# Seen: true, at compile time.
# Why it matters: hashes and overflow guards ("did the sum of two offsets wrap?") are written in
# just this form; the guard disappears.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check apache-tvm==0.27.0.post1 apache-tvm-ffi==0.1.14.post1 numpy==2.4.6
env/bin/python -W ignore - <<'PYTHON'
from tvm import tirx
from tvm.sym import Analyzer

for dtype in ("int32", "int64"):
    x = tirx.Var("x", dtype)
    seen = str(Analyzer().simplify(x + tirx.const(1, dtype) > x))
    print(dtype, seen)
    assert seen == "T.bool(True)", (dtype, seen)
PYTHON
