"""All node tests of the onnx package, each judged in a process of its own: a crash is a verdict."""

from __future__ import annotations

import os
import pickle
import re
import select
import signal
import tempfile
import time
import warnings
from collections.abc import Iterator
from typing import Any

import onnx
import onnx.parser

from rtcompile import BuildOptions, build
from tests.onnx_nodes.judge import Outcome, Verdict, judge

__all__ = ["node_tests", "sweep"]

_SECONDS = 60


def node_tests(pattern: str = "") -> list[Any]:
    """onnx's own tests of single operators whose name matches, in order of their names."""
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = load_model_tests(kind="node")
    return sorted((c for c in found if re.search(pattern, c.name)), key=lambda case: case.name)


def sweep(cases: list[Any], processes: int = 1) -> Iterator[tuple[str, Verdict]]:
    """Verdicts as they come. As many `processes` work at a time."""
    _warm()
    waiting, running = list(reversed(cases)), {}
    while waiting or running:
        while waiting and len(running) < processes:
            case = waiting.pop()
            child, reads = _start(case)
            running[reads] = case.name, child, time.monotonic(), []
        ready, _, _ = select.select(list(running), [], [], 1.0)
        for reads in list(running):
            name, child, started, parts = running[reads]
            if reads in ready:
                part = os.read(reads, 1 << 16)
                parts.append(part)
                if part:
                    continue
            elif time.monotonic() - started < _SECONDS:
                continue
            else:
                os.kill(child, signal.SIGKILL)
            os.close(reads)
            del running[reads]
            yield name, _verdict(child, b"".join(parts))


def _warm() -> None:
    """One build in this process: what it loads and reads, its children have."""
    relu = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]> g (float[N,3] x) => (float[N,3] y) {y = Relu(x)}'
    )
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(relu, f"{folder}/m.onnx")
        build(f"{folder}/m.onnx", BuildOptions(verify=False), output=f"{folder}/m.rtc")


def _start(case: Any) -> tuple[int, int]:
    """The child that judges a case, and where its verdict can be read."""
    reads, writes = os.pipe()
    child = os.fork()
    if child:
        os.close(writes)
        return child, reads
    try:
        os.close(reads)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1), os.dup2(silent, 2)
        warnings.simplefilter("ignore")
        with os.fdopen(writes, "wb") as file:
            file.write(pickle.dumps(judge(case)))
    finally:
        os._exit(0)


def _verdict(child: int, told: bytes) -> Verdict:
    _, status = os.waitpid(child, 0)
    if told:
        verdict: Verdict = pickle.loads(told)
        return verdict
    ended = signal.Signals(status & 127).name if status & 127 else "an exception of the judge"
    return Verdict(Outcome.FOREIGN, True, f"the process ended: {ended}")
