"""Emit the ahead-of-time functions of a stage: its rows, and the main function around them.

    def STAGE_rows(begin, end, constants*, workspace*, status*, inputs*..., outputs*...):
        tile = 0
        while tile < ceil((end - begin) / 64):  # or the rows of the program's tile
            start = begin + 64 * tile
            rows = min(64, end - start)
            kernel_1(&inputs[0][start * width], &constants[4096], &workspace[0], rows)
            kernel_2(...)
            ...
            tile += 1

    def STAGE(begin, end, constants, workspace, status, inputs..., outputs...):  # tensors
        STAGE_rows(begin, end, &constants[0], &workspace[0], ...)

What depends on the request alone runs once, before the first tile.

Rows [begin, end) of every per-row buffer are computed. Everything is passed in; nothing is
allocated; all functions are reentrant. Several threads may share the tiles of the cross stage: the
former is STAGE_tiles there, with two more arguments, where the number of the next tile is, 0 for a
thread that is alone, and the rows of a tile. STAGE_rows says who does what (`worker_pool.py`).
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit import llvm_helpers as wrapping
from rtcompile.codegen.emit.linkage import call_internal
from rtcompile.codegen.emit.pointers import ANY, pointer_to
from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.emit.word_atomics import next_tile
from rtcompile.codegen.entry.packed_api import Array, tensor_main
from rtcompile.codegen.entry.profile_probes import emit_probed, status_words
from rtcompile.codegen.program.program import (
    CallLoop,
    KernelCall,
    Pointer,
    Space,
    StageProgram,
)
from rtcompile.runtime.abi.stage import PortEntry
from rtcompile.runtime.abi.status import Status

__all__ = [
    "SHARED_STAGE",
    "stage_arrays",
    "stage_main",
    "stage_rows",
    "stage_rows_name",
    "stage_tiles_name",
]

SHARED_STAGE = "cross"  # whose tiles several threads may share


def stage_rows_name(stage: str) -> str:
    """The name of a stage's internal function."""
    return f"{stage}_rows"


def stage_tiles_name(stage: str) -> str:
    """The name of the internal function with a stage's tiles."""
    return f"{stage}_tiles" if stage == SHARED_STAGE else stage_rows_name(stage)


def stage_rows(program: StageProgram, constants_bytes: int) -> Any:
    """The internal PrimFunc with the stage's tiles."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(stage_tiles_name(program.name))
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        begin, end = T.arg("begin", T.int64()), T.arg("end", T.int64())
        next_at, most = i64(0), i64(program.tile_rows)
        if program.name == SHARED_STAGE:
            next_at, most = T.arg("next", T.int64()), T.arg("tile_rows", T.int64())
        pointers = [
            (name, T.arg(name, T.handle(dtype)), size, dtype)
            for name, size, dtype in stage_arrays(program, constants_bytes)
        ]
        buffers = {
            name: T.decl_buffer((ANY if size is None else size,), dtype, data=pointer)
            for name, pointer, size, dtype in pointers
        }
        whole = begin, T.Bind(end - begin)
        # What is spread over the rows of a tile has as many rows as the first one.
        once = tirx.const(0, "int64"), T.Bind(tirx.min(most, end - begin))
        emitter = _Emitter(program, buffers, once, whole)
        for step, first_call in enumerate(program.prologue):
            emitter.emit(step, first_call)
        tiles = tirx.truncdiv(end - begin + (most - 1), most)
        if program.input_table and any(port.per_request for port in program.outputs):
            tiles = tirx.max(tiles, i64(1))  # what has no rows is there for no rows too
        count, tile = T.Bind(tiles), Cell("int64", next_tile(next_at, i64(-1)))
        with T.While(tile.get() < count):
            start = T.Bind(begin + tile.get() * most)
            rows = T.Bind(tirx.min(most, end - start))
            emitter = _Emitter(program, buffers, (start, rows), whole)
            for step, call in enumerate(program.calls, len(program.prologue)):
                emitter.emit(step, call)
            tile.set(next_tile(next_at, tile.get()))
    return builder.get()


def stage_main(program: StageProgram, constants_bytes: int) -> Any:
    """The stage's public PrimFunc."""
    arrays = stage_arrays(program, constants_bytes)
    turn = Space.STATUS, Status.TURN
    rows = stage_rows_name(program.name)
    return tensor_main(program.name, ("begin", "end"), arrays, rows, turn)


def stage_arrays(program: StageProgram, constants_bytes: int) -> list[Array]:
    """What the functions are passed behind the scalars."""
    found: list[Array] = [
        (Space.CONSTANTS, constants_bytes, "uint8"),
        (Space.WORKSPACE, max(program.workspace_bytes, 64), "uint8"),
        (Space.STATUS, status_words(program), "int64"),
    ]
    sides = (
        (program.input_table, program.inputs, Space.INPUT_TABLE, Space.INPUT),
        (program.output_table, program.outputs, Space.OUTPUT_TABLE, Space.OUTPUT),
    )
    for is_table, ports, table, each in sides:
        if is_table:
            found.append((table, max(PortEntry.WORDS * len(ports), 1), "int64"))
        else:
            found += [(_port(each, i), None, _bits_of(port.dtype)) for i, port in enumerate(ports)]
    return found


def _bits_of(dtype: str) -> str:
    """The dtype that an array is passed as: bfloat16 as its bits, which numpy can give away."""
    return "uint16" if dtype == "bfloat16" else dtype


def _port(space: str, index: int) -> str:
    return f"{space}_{index}"


class _Emitter:
    """Emits the calls of one tile. `tile`, `whole`: first row and rows, of it and of the call."""

    def __init__(self, program: StageProgram, buffers: Any, tile: Any, whole: Any) -> None:
        self._program, self._buffers = program, buffers
        self._tile, self._whole = tile, whole

    def emit(self, step: int, call: KernelCall | CallLoop) -> None:
        """The `step`-th of the stage, timed where the build is profiled."""
        emit_probed(self._program, self._buffers[Space.STATUS], step, lambda: self._emit(call))

    def _emit(self, call: KernelCall | CallLoop) -> None:
        """One call, or a loop of calls whose places are read from the constants."""
        if isinstance(call, KernelCall):
            offsets = [pointer.offset for pointer in call.pointers]
            self._call(call, offsets, [tirx.const(s, "int64") for s in call.scalars])
            return
        columns = sum(len(form.pointers) + len(form.scalars) for form in call.forms)
        first, data = call.table // 8, self._buffers[Space.CONSTANTS].data
        places = T.decl_buffer((first + call.count * columns,), "int64", data=data)
        with T.serial(tirx.const(call.count, "int64")) as c:
            at = T.Bind(first + c * columns)
            for form in call.forms:
                pointers, scalars = len(form.pointers), len(form.scalars)
                values = [T.Bind(places[at + k]) for k in range(pointers + scalars)]
                self._call(form, values[:pointers], values[pointers:])
                at = at + (pointers + scalars)

    def _call(self, call: KernelCall, offsets: Any, scalars: Any) -> None:
        start, rows = self._whole if call.whole else self._tile
        places = list(zip(call.pointers, offsets, strict=True))
        length = self._length(places.pop()[1]) if call.by_length or call.takes_length else None
        arguments = [self._address(pointer, offset, start) for pointer, offset in places]
        rows = rows * call.rows_factor
        arguments.append(rows * length if call.by_length else rows)
        arguments += [length] if call.takes_length else []
        arguments += [start, *scalars] if call.with_start else scalars
        call_internal(call.kernel, arguments)
        # What a kernel wrote, the next one may read under another name.
        T.evaluate(T.call_extern("void", wrapping.BARRIER))

    def _length(self, offset: Any) -> Any:
        """The int64 at `offset` bytes of the workspace."""
        data = self._buffers[Space.WORKSPACE].data
        count = max(self._program.workspace_bytes, 64) // 8
        return T.Bind(T.decl_buffer((count,), "int64", data=data)[tirx.floordiv(offset, 8)])

    def _address(self, pointer: Pointer, offset: Any, start: Any) -> Any:
        if pointer.space == Space.INPUTS:
            return T.address_of(self._buffers[Space.INPUT_TABLE][0])
        if pointer.space in (Space.INPUT_TABLE, Space.OUTPUT_TABLE):
            port = Struct(PortEntry, self._buffers[pointer.space], offset)
            at = port[PortEntry.ADDRESS] + start * port[PortEntry.ROW_BYTES]
            return pointer_to(T.Bind(at))
        if pointer.space not in (Space.INPUT, Space.OUTPUT):
            return T.address_of(self._buffers[pointer.space][offset])
        is_input = pointer.space == Space.INPUT
        given = (self._program.inputs if is_input else self._program.outputs)[pointer.index]
        buffer = self._buffers[_port(pointer.space, pointer.index)]
        return T.address_of(buffer[0 if given.per_request else start * given.row_elements])
