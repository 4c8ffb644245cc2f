"""Emit the ahead-of-time main function of a stage.

    def STAGE(begin, end, constants, workspace, status, inputs..., outputs...):
        for tile in range(ceil((end - begin) / 64)):
            start = begin + 64 * tile
            rows = min(64, end - start)
            kernel_1(&inputs[0][start * width], &constants[4096], &workspace[0], rows)
            kernel_2(...)
            ...

Rows [begin, end) of every per-row buffer are computed, so several threads may share a request.
Everything is passed in; nothing is allocated; the function is reentrant.
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.embedding_lookup import STATUS_WORDS
from rtcompile.codegen.program import TILE, KernelCall, Pointer, Port, Space, StageProgram

__all__ = ["stage_main"]


def stage_main(program: StageProgram, functions: dict[str, Any], constants_bytes: int) -> Any:
    """The stage's public PrimFunc. `functions` maps kernel names to GlobalVars."""
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name(program.name)
        T.func_attr(
            {
                "global_symbol": program.name,
                "tirx.is_scheduled": True,
                "tirx.noalias": True,
                "s_tir": True,
            }
        )
        begin = T.arg("begin", T.int64())
        end = T.arg("end", T.int64())
        memory = {
            Space.CONSTANTS: T.arg("constants", T.buffer((constants_bytes,), "uint8")),
            Space.WORKSPACE: T.arg(
                "workspace", T.buffer((max(program.workspace_bytes, 64),), "uint8")
            ),
            Space.STATUS: T.arg("status", T.buffer((STATUS_WORDS,), "int64")),
        }
        inputs = [_port_buffer("input", i, port) for i, port in enumerate(program.inputs)]
        outputs = [_port_buffer("output", i, port) for i, port in enumerate(program.outputs)]
        with T.serial(tvm.tirx.floordiv(end - begin + (TILE - 1), TILE)) as tile:
            start = begin + tile * TILE
            rows = tirx.min(tirx.const(TILE, "int64"), end - start)
            for call in program.calls:
                _emit_call(call, program, functions, (memory, inputs, outputs), start, rows)
    return builder.get()


def _port_buffer(kind: str, index: int, port: Port) -> Any:
    """A flat buffer of any length; the caller checks lengths."""
    length = tirx.Var(f"{kind}_{index}_length", "int64")
    return T.arg(f"{kind}_{index}", T.buffer((length,), port.dtype))


def _emit_call(
    call: KernelCall, program: StageProgram, functions: Any, arenas: Any, start: Any, rows: Any
) -> None:
    arguments = [_address(pointer, program, arenas, start) for pointer in call.pointers]
    arguments.append(rows * call.rows_factor)
    arguments.extend(tirx.const(scalar, "int64") for scalar in call.scalars)
    function, return_type = functions[call.kernel]
    T.evaluate(tvm.ir.Call(function, arguments, ret_ty=return_type))


def _address(pointer: Pointer, program: StageProgram, arenas: Any, start: Any) -> Any:
    memory, inputs, outputs = arenas
    if pointer.space in (Space.INPUT, Space.OUTPUT):
        is_input = pointer.space == Space.INPUT
        port = (program.inputs if is_input else program.outputs)[pointer.index]
        buffer = (inputs if is_input else outputs)[pointer.index]
        element = 0 if port.per_request else start * port.row_elements
        return T.address_of(buffer[element])
    return T.address_of(memory[pointer.space][pointer.offset])
