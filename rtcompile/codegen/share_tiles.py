"""Emit how several threads share the tiles of a stage's rows.

    def STAGE_rows(begin, end, ARRAYS...):
        team = status[TEAM]
        if team != 0 and it has helpers, and there are more rows than the least of a tile:
            trial = team[TRIALS + bits of end - begin]
            if trial[CALLS] < TRIALS:
                before = now()
                STAGE_tiles(begin, end, 0, TILE, ARRAYS...)
                trial[CALLS] += 1; trial[LONG] += now() - before > team[LIMIT]
                return
            if trial[LONG] * 2 > TRIALS and compare_and_swap(team[TAKEN], 0, 1):
                job = begin, end, tile, ARRAYS...; team[NEXT] = 0
                for helper in as many as there are tiles for:
                    helper[STATE] = GIVEN; sem_post(helper[SEMAPHORE])
                STAGE_tiles(begin, end, &team[NEXT], tile, ARRAYS...)
                for helper in these:
                    if not compare_and_swap(helper[STATE], GIVEN, NOTHING):     # it began
                        wait until helper[STATE] == NOTHING
                        if helper's status[CODE] != 0: status[CODE .. ROW] = its
                team[TAKEN] = 0
                return
        STAGE_tiles(begin, end, 0, TILE, ARRAYS...)

    def help(helper):                           # what a thread runs
        while not team[STOP]:
            sem_wait(helper[SEMAPHORE])
            if compare_and_swap(helper[STATE], GIVEN, BEGUN):
                if a tile is left: STAGE_tiles(job[BEGIN], job[END], &team[NEXT], job[TILE], ...)
                helper[STATE] = NOTHING

A tile has so many rows that no thread has much more to do than another. `runtime/team_plan.py`
describes the words.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen import wrapping
from rtcompile.codegen.entry.python_objects import call_python
from rtcompile.codegen.features.tir import Cell, i64
from rtcompile.codegen.internal import call_with_barriers
from rtcompile.codegen.pointers import pointer_to, values_at
from rtcompile.codegen.program import Space, StageProgram
from rtcompile.codegen.stage_main import stage_arrays, stage_rows_name, stage_tiles_name
from rtcompile.codegen.word_atomics import await_change, bit_length, now, set_word, swap_word
from runtime.abi.status import REPORT, Status
from runtime.team_plan import TRIALS, Helper, Job, State, Team, Trial

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
        self._status = T.decl_buffer((Status.WORDS,), "int64", data=arrays[Space.STATUS])

    def emit(self) -> None:
        """Emit all of it."""
        alone, rows = Cell("int32", 1), T.Bind(self._end - self._begin)
        at = T.Bind(self._status[Status.POOL])
        with T.If(tirx.And(at != 0, rows > _STEP)), T.Then():
            team = values_at(at, "int64")
            helpers = T.Bind(team[Team.HELPERS])
            with T.If(helpers > 0), T.Then():
                trial = T.Bind(Team.TRIALS + bit_length(rows) * Trial.WORDS)
                with T.If(team[trial + Trial.CALLS] < TRIALS):
                    with T.Then():
                        self._try_alone(team, trial)
                        alone.set(0)
                    with T.Else(), T.If(team[trial + Trial.LONG] * 2 > TRIALS), T.Then():
                        taken = swap_word(at + 8 * Team.TAKEN, i64(0), i64(1))
                        with T.If(taken != 0), T.Then():
                            self._share(at, team, rows, helpers)
                            alone.set(0)
        with T.If(alone.get() != 0), T.Then():
            self._alone()

    def _alone(self) -> None:
        self._tiles(i64(0), i64(self._program.tile_rows))

    def _try_alone(self, team: Any, trial: Any) -> None:
        """Threads that do so at the same time may count one call for two."""
        clock = T.Bind(team[Team.CLOCK])
        before = now(clock)
        self._alone()
        taken = T.Bind(now(clock) - before)
        is_long = tirx.Cast("int64", taken > team[Team.LIMIT])
        T.buffer_store(team, team[trial + Trial.LONG] + is_long, [trial + Trial.LONG])
        T.buffer_store(team, team[trial + Trial.CALLS] + 1, [trial + Trial.CALLS])

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

    def _share(self, at: Any, team: Any, rows: Any, most: Any) -> None:
        """`most`: helpers that there are."""
        tile = self._tile(rows, T.Bind(most + 1))
        helpers = T.Bind(tirx.min(most, tirx.truncdiv(rows - 1, tile)))  # tiles but for one
        self._enter_job(values_at(T.Bind(team[Team.JOB]), "int64"), tile)
        next_at = T.Bind(at + 8 * Team.NEXT)
        set_word(next_at, i64(0))
        post = T.Bind(team[Team.POST])
        with T.serial(helpers) as which:
            helper = T.Bind(_helper(at, which))
            set_word(helper + 8 * Helper.STATE, i64(State.GIVEN))
            call_python(post, helper + 8 * Helper.SEMAPHORE)
        self._tiles(next_at, tile)
        nap = T.Bind(team[Team.NAP])
        with T.serial(helpers) as which:
            helper = T.Bind(_helper(at, which))
            given, nothing = i64(State.GIVEN), i64(State.NOTHING)
            with T.If(swap_word(helper + 8 * Helper.STATE, given, nothing) == 0), T.Then():
                await_change(helper + 8 * Helper.STATE, i64(State.BEGUN), nap)
                told = values_at(T.Bind(values_at(helper, "int64")[Helper.STATUS]), "int64")
                with T.If(told[Status.CODE] != 0), T.Then():
                    for word in REPORT:
                        T.buffer_store(self._status, told[word], [word])
        set_word(at + 8 * Team.TAKEN, i64(0))

    def _enter_job(self, job: Any, tile: Any) -> None:
        T.buffer_store(job, self._begin, [Job.BEGIN])
        T.buffer_store(job, self._end, [Job.END])
        T.buffer_store(job, tile, [Job.TILE])
        shared = [name for name in self._arrays if name not in (Space.WORKSPACE, Space.STATUS)]
        for place, name in enumerate(shared, Job.ARGUMENTS):
            address = T.call_extern("int64", wrapping.ADDRESS, self._arrays[name])
            T.buffer_store(job, address, [place])

    def _tiles(self, next_at: Any, tile: Any) -> None:
        name = stage_tiles_name(self._program.name)
        arguments = [self._begin, self._end, next_at, tile, *self._arrays.values()]
        call_with_barriers(name, arguments)


def help_rows(program: StageProgram, constants_bytes: int) -> Any:
    """The internal PrimFunc `help(helper)`, of the stage whose tiles are shared."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(HELP)
        T.func_attr({"tirx.is_scheduled": True})
        helper = T.arg("helper", T.int64())
        own = values_at(helper, "int64")
        at = T.Bind(own[Helper.TEAM])
        team, going = values_at(at, "int64"), Cell("int32", 1)
        wait, job_at = T.Bind(team[Team.WAIT]), T.Bind(team[Team.JOB])
        state = T.Bind(helper + 8 * Helper.STATE)
        with T.While(going.get() != 0):
            call_python(wait, helper + 8 * Helper.SEMAPHORE)
            T.evaluate(T.call_extern("void", wrapping.BARRIER))
            going.set(tirx.Cast("int32", team[Team.STOP] == 0))
            given = swap_word(state, i64(State.GIVEN), i64(State.BEGUN))
            with T.If(given != 0), T.Then():
                job = values_at(job_at, "int64")
                status = values_at(T.Bind(own[Helper.STATUS]), "int64")
                T.buffer_store(status, i64(0), [Status.CODE])
                T.evaluate(T.call_extern("void", wrapping.BARRIER))
                left = team[Team.NEXT] * job[Job.TILE] < job[Job.END] - job[Job.BEGIN]
                with T.If(left), T.Then():
                    _help(program, constants_bytes, job, own, at)
                set_word(state, i64(State.NOTHING))
    return builder.get()


def _help(program: StageProgram, constants_bytes: int, job: Any, own: Any, at: Any) -> None:
    """Emit a helper's share of a job."""
    places = {Space.WORKSPACE: Helper.WORKSPACE, Space.STATUS: Helper.STATUS}
    pointers, place = [], Job.ARGUMENTS
    for name, _, dtype in stage_arrays(program, constants_bytes):
        if name in places:
            pointers.append(pointer_to(T.Bind(own[places[name]]), dtype))
        else:
            pointers.append(pointer_to(T.Bind(job[place]), dtype))
            place += 1
    begin, end, tile = (T.Bind(job[word]) for word in (Job.BEGIN, Job.END, Job.TILE))
    arguments = [begin, end, T.Bind(at + 8 * Team.NEXT), tile, *pointers]
    call_with_barriers(stage_tiles_name(program.name), arguments)


def _helper(team: Any, which: Any) -> Any:
    return team + 8 * (Team.FIRST + which * Helper.WORDS)
