from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcompile.codegen.program.constants import ConstantStore
from rtcompile.codegen.program.loop_calls import SHORTEST_LOOP, loop_calls
from rtcompile.codegen.program.program import (
    CallLoop,
    KernelCall,
    Pointer,
    Space,
    StageProgram,
)


def _program(kernels: Sequence[str]) -> StageProgram:
    calls = [
        KernelCall(name, (Pointer(Space.WORKSPACE, 64 * place), Pointer(Space.CONSTANTS)), 1, (n,))
        for place, (name, n) in enumerate(zip(kernels, range(100, 10_000), strict=False))
    ]
    return StageProgram("s", (), (), list(calls))


def _unrolled(steps: Sequence[KernelCall | CallLoop], constants: ConstantStore) -> list[object]:
    """(kernel, places and scalars) of each call, in order."""
    data = np.frombuffer(constants.to_bytes(), np.uint8)
    found: list[object] = []
    for step in steps:
        if isinstance(step, KernelCall):
            places = [*(pointer.offset for pointer in step.pointers), *step.scalars]
            found.append((step.kernel, places))
            continue
        columns = [len(form.pointers) + len(form.scalars) for form in step.forms]
        size = 8 * step.count * sum(columns)
        table = data[step.table : step.table + size].view(np.int64).reshape(step.count, -1)
        for row in table.tolist():
            ends = list(accumulate(columns))
            for form, width, end in zip(step.forms, columns, ends, strict=True):
                found.append((form.kernel, row[end - width : end]))
    return found


@pytest.mark.parametrize(
    ("kernels", "expected"),
    [
        ("aaa", [(3, "a")]),
        ("aab", ["a", "a", "b"]),
        ("abababab", [(4, "ab")]),
        ("xaabaabaaby", ["x", (3, "aab"), "y"]),
        ("aaaaabbbab", [(5, "a"), (3, "b"), "a", "b"]),
        ("abcabc", list("abcabc")),
        ("", []),
    ],
)
def test_runs_become_loops(kernels: str, expected: list[object]) -> None:
    program = _program(kernels)
    loop_calls(program, ConstantStore())
    found = [
        (step.count, "".join(form.kernel for form in step.forms))
        if isinstance(step, CallLoop)
        else step.kernel
        for step in program.calls
    ]
    assert found == expected


@given(st.text("abc", max_size=60))
def test_the_calls_stay_and_keep_their_order(kernels: str) -> None:
    program, constants = _program(kernels), ConstantStore()
    before = _unrolled(program.calls, constants)
    loop_calls(program, constants)
    assert _unrolled(program.calls, constants) == before
    assert all(s.count >= SHORTEST_LOOP for s in program.calls if isinstance(s, CallLoop))
