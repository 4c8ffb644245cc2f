"""Every operator that can be built, under requests that hurt: an answer or a RequestError, no more.

Each node test is built and asked in a child, for whatever ends it is what is looked for.
"""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from rtcompile import BuildOptions, runtime
from rtcompile.driver import build_here
from rtcompile.errors import RtcompileError
from rtcompile.runtime.errors import RequestError
from tests.onnx_nodes.rebatch import RowCase, row_case

__all__ = ["BUILT", "REFUSED", "ask_in_child"]

# How a child ends that found nothing wrong.
BUILT, REFUSED, _WRONG = 0, 3, 1

_FLOATS = (np.nan, np.inf, -1e30)
_SECONDS = 120


def ask_in_child(case: Any) -> int | str:
    """BUILT, REFUSED, or what went wrong with a node test."""
    found = row_case(case.model, case.data_sets[0][0] if case.data_sets else [])
    if found is None:
        return REFUSED
    child = os.fork()
    if not child:
        signal.alarm(_SECONDS)
        code = _WRONG
        try:
            code = _asked(found)
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return f"died of {signal.Signals(os.WTERMSIG(status)).name}"
    code = os.waitstatus_to_exitcode(status)
    return code if code in (BUILT, REFUSED) else "an error of another kind"


def _asked(case: RowCase) -> int:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.onnx"
        onnx.save(case.model, str(path))
        try:
            build_here(path, BuildOptions(verify=False), output=Path(folder) / "m.rtc")
        except RtcompileError:
            return REFUSED
        ranker = runtime.load(Path(folder) / "m.rtc")
        for feeds in _requests(case.rows):
            try:
                ranker.predict(feeds)
            except RequestError:
                continue
    return BUILT


def _requests(rows: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Inputs of all extremes, and all pairs of them in two inputs; then one place alone."""
    names = list(rows)
    kinds = [_extremes(rows[name].dtype) for name in names]
    for chosen in product(*kinds[:2]):
        values = [*chosen, *(kind[0] for kind in kinds[2:])]
        yield {
            name: np.full_like(rows[name], value) for name, value in zip(names, values, strict=True)
        }
    for name, kind in zip(names, kinds, strict=True):
        for value in kind:
            feeds = {**rows, name: rows[name].copy()}
            feeds[name].reshape(-1)[-1:] = value
            yield feeds


def _extremes(dtype: np.dtype[Any]) -> list[Any]:
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return [limits.min, limits.max, 0, 9, -1 if dtype.kind == "i" else 1]
    if dtype.kind == "f":
        return [np.array(value, dtype) for value in np.clip(_FLOATS, *_limits(dtype))]
    return [np.zeros((), dtype)[()]]


def _limits(dtype: np.dtype[Any]) -> tuple[float, float]:
    return (-65504.0, np.inf) if dtype == np.float16 else (-np.inf, np.inf)
