#!/usr/bin/env bash
# onnxscript 0.7.2 (what torch's dynamo exporter of today optimizes with): x + 1e-9 becomes x.
#
# Expected: an Add of a constant that is not zero stays; sqrt(0 + 1e-9) is 3.2e-5, and so is a norm's
# divisor.
# Seen: the optimizer takes the Add out: constants up to 1e-8 count as zero.
# Why it matters: capsules and norms of ranking models (MIND, for one) divide by sqrt(|v|^2 + 1e-9) so
# that an empty history is 0; the exported graph answers NaN, in every engine, and the model does not.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check onnxscript==0.7.2 onnx==1.23.2 numpy==2.4.6
env/bin/python -W ignore - <<'PYTHON'
import onnx.parser
import onnxscript.optimizer

model = onnx.parser.parse_model("""
<ir_version: 9, opset_import: ["" : 17]>
g (float[n] x) => (float[n] y) {
    small = Constant<value = float {1e-9}>()
    more = Add(x, small)
    y = Sqrt(more)
}
""")
before = [node.op_type for node in model.graph.node]
after = [node.op_type for node in onnxscript.optimizer.optimize(model).graph.node]
print("before", before, "after", after)
assert "Add" in before and "Add" not in after
PYTHON
