#!/usr/bin/env bash
# google-re2 1.1.20251105 (the Python wrapper): the replacement text is not RE2's.
#
# Expected: as in RE2 itself, backslash and 0 in a replacement stand for the whole match.
# Seen: they become a NUL byte, as in Python's own re module.
# Why it matters: feature generators written in C++ replace text by RE2's rules. A training pipeline
# in Python with "the same library" puts NUL bytes into its texts, and hashes other ids.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check google-re2==1.1.20251105
env/bin/python -W ignore - <<'PYTHON'
import re2

seen = re2.sub("b", r"[\0]", "abc")
print(repr(seen))
assert seen == "a[\x00]c"
PYTHON
