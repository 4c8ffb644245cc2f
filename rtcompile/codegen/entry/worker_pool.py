"""Emit how several threads share the tiles of a stage's rows.

    def STAGE_rows(begin, end, ARRAYS...):
        pool = status[POOL]
        if pool != 0 and it has workers, and there are more rows than the least of a tile:
            trial = pool[TRIALS + bits of end - begin]
            if trial[CALLS] < TRIALS:
                before = now()
                STAGE_tiles(begin, end, 0, TILE, ARRAYS...)
                trial[CALLS] += 1; trial[LONG] += now() - before > pool[LIMIT]
                return
            if trial[LONG] * 2 > TRIALS and compare_and_swap(pool[TAKEN], 0, 1):
                job = begin, end, tile, ARRAYS...; pool[NEXT] = 0
                for worker in as many as there are tiles for:
                    worker[STATE] = GIVEN; sem_post(worker[SEMAPHORE])
                STAGE_tiles(begin, end, &pool[NEXT], tile, ARRAYS...)
                for worker in these:
                    if not compare_and_swap(worker[STATE], GIVEN, NOTHING):     # it began
                        wait until worker[STATE] == NOTHING
                        if worker's status[CODE] != 0: status[CODE .. ROW] = its
                pool[TAKEN] = 0
                return
        STAGE_tiles(begin, end, 0, TILE, ARRAYS...)

    def help(worker):                           # what a thread runs
        while not pool[STOP]:
            sem_wait(worker[SEMAPHORE])
            if compare_and_swap(worker[STATE], GIVEN, BEGUN):
                if a tile is left: STAGE_tiles(job[BEGIN], job[END], &pool[NEXT], job[TILE], ...)
                worker[STATE] = NOTHING

A tile has so many rows that no thread has much more to do than another.
`runtime/abi/worker_pool.py` describes the structs.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit import llvm_helpers as wrapping
from rtcompile.codegen.emit.linkage import call_with_barriers
from rtcompile.codegen.emit.structs import Struct, struct_at
from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.emit.word_atomics import (
    await_change,
    bit_length,
    now,
    set_word,
    swap_word,
)
from rtcompile.codegen.entry.python_objects import call_python
from rtcompile.codegen.entry.stage import stage_arrays, stage_rows_name, stage_tiles_name
from rtcompile.codegen.program.program import Space, StageProgram
from rtcompile.runtime.abi.status import REPORT, Status
from rtcompile.runtime.abi.worker_pool import TRIALS, Job, Pool, State, Trial, Worker

__all__ = ["HELP", "help_rows", "shared_rows"]

HELP = "help"  # the internal function's name

# Rows of a tile are a multiple of it, as `program.TILE` says.
_STEP = 16


def shared_rows(program: StageProgram, constants_bytes: int) -> Any:
    """The internal PrimFunc `STAGE_rows` of a stage whose tiles are shared."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(stage_rows_name(program.name))
        T.func_attr({"tirx.is_scheduled": True})
        begin, end = T.arg("begin", T.int64()), T.arg("end", T.int64())
        arrays = {
            name: T.arg(name, T.handle(dtype))
            for name, _, dtype in stage_arrays(program, constants_bytes)
        }
        _Shared(program, begin, end, arrays).emit()
    return builder.get()


class _Shared:
    """Emits a call of a stage. `arrays`: pointers by the names of its arrays."""

    def __init__(self, program: StageProgram, begin: Any, end: Any, arrays: Any) -> None:
        self._program, self._begin, self._end, self._arrays = program, begin, end, arrays
        words = T.decl_buffer((Status.WORDS,), "int64", data=arrays[Space.STATUS])
        self._status = Struct(Status, words)

    def emit(self) -> None:
        """Emit all of it."""
        alone, rows = Cell("int32", 1), T.Bind(self._end - self._begin)
        at = T.Bind(self._status[Status.POOL])
        with T.If(tirx.And(at != 0, rows > _STEP)), T.Then():
            pool = struct_at(Pool, at)
            workers = T.Bind(pool[Pool.COUNT])
            with T.If(workers > 0), T.Then():
                trial = pool.inner(Pool.TRIALS, bit_length(rows))
                with T.If(trial[Trial.CALLS] < TRIALS):
                    with T.Then():
                        self._try_alone(pool, trial)
                        alone.set(0)
                    with T.Else(), T.If(trial[Trial.LONG] * 2 > TRIALS), T.Then():
                        taken = swap_word(pool.address_of(Pool.TAKEN), i64(0), i64(1))
                        with T.If(taken != 0), T.Then():
                            self._share(pool, rows, workers)
                            alone.set(0)
        with T.If(alone.get() != 0), T.Then():
            self._alone()

    def _alone(self) -> None:
        self._tiles(i64(0), i64(self._program.tile_rows))

    def _try_alone(self, pool: Struct, trial: Struct) -> None:
        """Threads that do so at the same time may count one call for two."""
        clock = T.Bind(pool[Pool.CLOCK])
        before = now(clock)
        self._alone()
        taken = T.Bind(now(clock) - before)
        is_long = tirx.Cast("int64", taken > pool[Pool.LIMIT])
        trial[Trial.LONG] = trial[Trial.LONG] + is_long
        trial[Trial.CALLS] = trial[Trial.CALLS] + 1

    def _tile(self, rows: Any, threads: Any) -> Any:
        """Emit the choice of the rows of a tile: the most with which no thread has over an eighth
        more than its share, where each takes its turn."""
        tile = Cell("int64", i64(self._program.tile_rows))

        def most_rows() -> Any:
            before = T.Bind(tirx.truncdiv(rows - 1, tile.get()))  # tiles but for the last
            last, turns = rows - before * tile.get(), T.Bind(tirx.truncdiv(before, threads))
            alone = tirx.EQ(before, turns * threads)
            return turns * tile.get() + tirx.Select(alone, last, tile.get())

        uneven = Cell("int32", 1)
        with T.While(tirx.And(tile.get() > _STEP, uneven.get() != 0)):
            is_uneven = T.Bind(most_rows() * threads * 8 > rows * 9)
            uneven.set(tirx.Cast("int32", is_uneven))
            tile.add(tirx.Select(is_uneven, i64(-_STEP), i64(0)))
        return T.Bind(tile.get())

    def _share(self, pool: Struct, rows: Any, most: Any) -> None:
        """`most`: workers that there are."""
        tile = self._tile(rows, T.Bind(most + 1))
        workers = T.Bind(tirx.min(most, tirx.truncdiv(rows - 1, tile)))  # tiles but for one
        self._enter_job(pool.follow(Pool.JOB), tile)
        next_at = T.Bind(pool.address_of(Pool.NEXT))
        set_word(next_at, i64(0))
        post = T.Bind(pool[Pool.POST])
        with T.serial(workers) as which:
            worker = T.Bind(_worker(pool, which))
            set_word(worker + Worker.STATE.byte, i64(State.GIVEN))
            call_python(post, worker + Worker.SEMAPHORE.byte)
        self._tiles(next_at, tile)
        nap = T.Bind(pool[Pool.NAP])
        with T.serial(workers) as which:
            worker = T.Bind(_worker(pool, which))
            given, nothing = i64(State.GIVEN), i64(State.NOTHING)
            with T.If(swap_word(worker + Worker.STATE.byte, given, nothing) == 0), T.Then():
                await_change(worker + Worker.STATE.byte, i64(State.BEGUN), nap)
                told = struct_at(Worker, worker).follow(Worker.STATUS)
                with T.If(told[Status.CODE] != 0), T.Then():
                    for field in REPORT:
                        self._status[field] = told[field]
        set_word(pool.address_of(Pool.TAKEN), i64(0))

    def _enter_job(self, job: Struct, tile: Any) -> None:
        job[Job.BEGIN], job[Job.END] = self._begin, self._end
        job[Job.TILE] = tile
        shared = [name for name in self._arrays if name not in (Space.WORKSPACE, Space.STATUS)]
        for place, name in enumerate(shared):
            address = T.call_extern("int64", wrapping.ADDRESS, self._arrays[name])
            job[Job.ARGUMENTS.at(place)] = address

    def _tiles(self, next_at: Any, tile: Any) -> None:
        name = stage_tiles_name(self._program.name)
        arguments = [self._begin, self._end, next_at, tile, *self._arrays.values()]
        call_with_barriers(name, arguments)


def help_rows(program: StageProgram, constants_bytes: int) -> Any:
    """The internal PrimFunc `help(worker)`, of the stage whose tiles are shared."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(HELP)
        T.func_attr({"tirx.is_scheduled": True})
        at = T.arg("worker", T.int64())
        own = struct_at(Worker, at)
        pool, going = struct_at(Pool, T.Bind(own[Worker.POOL])), Cell("int32", 1)
        wait, job_at = T.Bind(pool[Pool.WAIT]), T.Bind(pool[Pool.JOB])
        state = T.Bind(own.address_of(Worker.STATE))
        with T.While(going.get() != 0):
            call_python(wait, own.address_of(Worker.SEMAPHORE))
            T.evaluate(T.call_extern("void", wrapping.BARRIER))
            going.set(tirx.Cast("int32", pool[Pool.STOP] == 0))
            given = swap_word(state, i64(State.GIVEN), i64(State.BEGUN))
            with T.If(given != 0), T.Then():
                job, status = struct_at(Job, job_at), own.follow(Worker.STATUS)
                status[Status.CODE] = i64(0)
                T.evaluate(T.call_extern("void", wrapping.BARRIER))
                left = pool[Pool.NEXT] * job[Job.TILE] < job[Job.END] - job[Job.BEGIN]
                with T.If(left), T.Then():
                    _help(program, constants_bytes, job, own, pool)
                set_word(state, i64(State.NOTHING))
    return builder.get()


def _help(
    program: StageProgram, constants_bytes: int, job: Struct, own: Struct, pool: Struct
) -> None:
    """Emit a worker's share of a job."""
    places = {Space.WORKSPACE: Worker.WORKSPACE, Space.STATUS: Worker.STATUS}
    pointers, place = [], 0
    for name, _, dtype in stage_arrays(program, constants_bytes):
        if name in places:
            pointers.append(own.pointer(places[name], dtype))
        else:
            pointers.append(job.pointer(Job.ARGUMENTS.at(place), dtype))
            place += 1
    begin, end, tile = (T.Bind(job[field]) for field in (Job.BEGIN, Job.END, Job.TILE))
    arguments = [begin, end, T.Bind(pool.address_of(Pool.NEXT)), tile, *pointers]
    call_with_barriers(stage_tiles_name(program.name), arguments)


def _worker(pool: Struct, which: Any) -> Any:
    """Where one of them lies."""
    return pool.address_of_element(Pool.WORKERS, which)
