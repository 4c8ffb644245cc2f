"""Judge ONNX's node tests: python -m tests.onnx_nodes [--match REGEX] [--log FILE]."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np

from tests.onnx_nodes.sweep import node_tests, sweep

parser = argparse.ArgumentParser(prog="python -m tests.onnx_nodes")
parser.add_argument("--match", default="", help="names to judge, a regular expression")
parser.add_argument("--log", type=Path, help="append a JSON line a test to this file")
parser.add_argument("--again", type=Path, help="only what did not agree in this log")
arguments = parser.parse_args()


def verdicts(path: Path) -> dict[str, dict[str, str]]:
    """The last line of each test."""
    lines = map(json.loads, path.read_text().splitlines())
    return {line["name"]: line for line in lines}


cases = node_tests(arguments.match)
if arguments.again:
    before = verdicts(arguments.again)
    cases = [c for c in cases if before.get(c.name, {}).get("outcome") != "agrees"]
counts: Counter[tuple[str, str]] = Counter()
np.seterr(all="ignore")
for name, verdict in sweep(cases):
    whose = "independent" if verdict.independent else "other"
    counts[whose, verdict.outcome.value] += 1
    if verdict.outcome.value != "agrees":
        print(f"{name}: {verdict.outcome.value} ({whose}): {verdict.detail[:300]}", flush=True)
    if arguments.log:
        line = {"name": name, "outcome": verdict.outcome.value, "whose": whose}
        with arguments.log.open("a") as file:
            file.write(json.dumps({**line, "detail": verdict.detail}) + "\n")
for (whose, outcome), count in sorted(counts.items()):
    print(f"{whose:12} {outcome:14} {count}")
