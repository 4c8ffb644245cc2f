"""`rtcompile bench embeddings`: a look-up by table dtype, beside fp32.

One thread looks up random ids in a table of a million rows, which no cache holds in fp32, and in
one of ten thousand, which the caches hold. All in turns in one process.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import tvm_ffi
from rich.table import Table

from rtcompile.codegen.kernels.embedding_lookup import LookupShape, lookup_kernel
from rtcompile.codegen.library.module import compile_stages
from rtcompile.codegen.program.constants import ConstantStore
from rtcompile.codegen.program.program import (
    KernelCall,
    Pointer,
    Port,
    Space,
    StageProgram,
)
from rtcompile.codegen.program.table_dtypes import TableDtypes
from rtcompile.codegen.program.table_format import DTYPES
from rtcompile.compile.stage_entries import describe_stage
from rtcompile.files.scratch_folder import scratch_folder
from rtcompile.runtime.memory.arrays import aligned_empty
from rtcompile.runtime.stages.stage import Stage
from rtcompile.targets import resolve_target

__all__ = ["LookupTiming", "lookup_table", "time_lookups"]

ROWS = (10_000, 1_000_000)
DIMENSIONS = (16, 64)
_IDS = 1 << 14
# As many sets of ids in turn: a set whose rows were read just now would find them in the cache.
_SETS = 32
_TURNS, _CALLS = 60, 8


@dataclass(frozen=True)
class LookupTiming:
    """Nanoseconds a row of a table, and the table's bytes."""

    rows: int
    dimension: int
    dtype: str
    nanoseconds: float
    bytes: int


def time_lookups(
    rows: Sequence[int] = ROWS, dimensions: Sequence[int] = DIMENSIONS
) -> list[LookupTiming]:
    """Of every dtype, for tables of normal random numbers."""
    return [timing for d in dimensions for r in rows for timing in _time_table(r, d)]


def _time_table(rows: int, dimension: int) -> list[LookupTiming]:
    rng = np.random.default_rng(0)
    table = rng.standard_normal((rows, dimension), np.float32)
    ids = [_aligned(rng.integers(0, rows, _IDS)) for _ in range(_SETS)]
    found = {dtype: _lookup(table, dtype) for dtype in DTYPES}
    calls = {
        dtype: partial(_next, iter(_endless(ids)), stage) for dtype, (stage, _) in found.items()
    }
    taken = _fastest(calls)
    return [
        LookupTiming(rows, dimension, dtype, 1e9 * taken[dtype] / _IDS, size)
        for dtype, (_, size) in found.items()
    ]


def _fastest(calls: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Seconds a call of each in the fastest of many short turns.

    A call takes less than a millisecond, and whatever else runs on the machine meanwhile empties
    the caches that it is about: medians say more of the neighbours than of the table.
    """
    taken = dict.fromkeys(calls, float("inf"))
    for _ in range(_TURNS):
        for name, call in calls.items():
            begin = time.perf_counter()
            for _ in range(_CALLS):
                call()
            taken[name] = min(taken[name], (time.perf_counter() - begin) / _CALLS)
    return taken


def _aligned(values: np.ndarray) -> np.ndarray:
    out = aligned_empty(len(values), "int64")
    out[:] = values
    return out


def _endless(ids: list[np.ndarray]) -> Iterator[np.ndarray]:
    while True:
        yield from ids


def _next(ids: Iterator[np.ndarray], run: Callable[[np.ndarray], object]) -> object:
    return run(next(ids))


def _lookup(table: np.ndarray, dtype: str) -> tuple[Callable[[np.ndarray], object], int]:
    """A call with ids, and the bytes of the table."""
    constants = ConstantStore(TableDtypes(dtype))
    stored = constants.add_table("t", table)
    shape = LookupShape(stored.format, "int64")
    out = Port("out", "float32", (table.shape[1],))
    program = StageProgram("look_up", (Port("ids", "int64", ()),), (out,))
    program.kernels[shape.name] = lookup_kernel(shape)
    at = (stored.at, Pointer(Space.INPUT), Pointer(Space.OUTPUT), Pointer(Space.STATUS))
    program.calls.append(KernelCall(shape.name, at, 1, (stored.rows, 0, 0, 1), with_start=True))
    data = constants.to_bytes()
    library = compile_stages([program], len(data), resolve_target("host"))
    with scratch_folder() as folder:
        path = folder / "look_up.so"
        path.write_bytes(library)
        module = tvm_ffi.load_module(str(path))
        # As an artifact's: pages of a file, which are small ones.
        held = folder / "constants"
        held.write_bytes(data)
        memory = np.memmap(held, np.uint8, "c")
    stage = Stage(module["look_up"], describe_stage(program), tvm_ffi.from_dlpack(memory))
    results = stage.allocate(_IDS)
    return (
        lambda ids: stage.call(_IDS, [tvm_ffi.from_dlpack(ids), *results.arguments]),
        stored.bytes,
    )


def lookup_table(timings: Sequence[LookupTiming]) -> Table:
    """Nanoseconds a row, how many times as fast as fp32, and the size beside fp32's."""
    shown = Table("rows", "dimension", "dtype", "ns a row", "speed", "bytes", "of fp32")
    for one in timings:
        (full,) = (
            other
            for other in timings
            if (other.rows, other.dimension, other.dtype) == (one.rows, one.dimension, "fp32")
        )
        shown.add_row(
            f"{one.rows:,}",
            str(one.dimension),
            one.dtype,
            f"{one.nanoseconds:.1f}",
            f"{full.nanoseconds / one.nanoseconds:.2f}x",
            f"{one.bytes:,}",
            f"{one.bytes / full.bytes:.2f}",
        )
    return shown
