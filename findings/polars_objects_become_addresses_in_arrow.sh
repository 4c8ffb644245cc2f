#!/usr/bin/env bash
# polars 2.1.0: a column of Python objects hands their addresses to Arrow.
#
# Expected: __arrow_c_stream__ refuses a column of dtype Object, which Arrow has no type for.
# Seen: a column of fixed-size binaries of 8 bytes each: where the objects lie in this process.
# Why it matters: item tables come as polars frames. A column of mixed values is Object, and an engine
# that reads Arrow hashes addresses: ids that are other ones after every restart, without an error.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check polars==2.1.0 pyarrow==26.0.1
env/bin/python -W ignore - <<'PYTHON'
import polars
import pyarrow

column = polars.Series("tag", [object(), object()], dtype=polars.Object)
read = pyarrow.chunked_array(column)
print("dtype", column.dtype, "seen as", read.type)
assert pyarrow.types.is_fixed_size_binary(read.type) and read.type.byte_width == 8
PYTHON
