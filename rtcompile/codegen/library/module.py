"""Compile the stages into one shared library that needs libc, libm and libtvm_ffi only.

    values      what reads and encodes values, and finds items: the same in all libraries
    kernels     a few a unit, of one stage
    stages      a main function a stage, what serves a request, the counter of a profiled build

LLVM writes an object file of each unit, for any machine; `link.py` makes them a library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tvm

from rtcompile.codegen.emit.linkage import (
    address_llvm,
    addresses_function,
    as_internal,
    symbol_of,
)
from rtcompile.codegen.emit.llvm_helpers import with_wrapping
from rtcompile.codegen.emit.word_atomics import atomics_llvm
from rtcompile.codegen.entry.answer import ANSWER, ANSWER_REQUEST, answer_function, answer_request
from rtcompile.codegen.entry.encode_values import ENCODE_VALUES, encode_main, encode_values
from rtcompile.codegen.entry.item_index import LOOK_UP_ITEMS, item_index_main, look_up_items
from rtcompile.codegen.entry.profile_probes import COUNTER, counter_function
from rtcompile.codegen.entry.python_entry import entry_llvm, entry_symbol
from rtcompile.codegen.entry.python_objects import PYTHON_LLVM
from rtcompile.codegen.entry.python_turn import turn_llvm
from rtcompile.codegen.entry.rank import RANK, rank_function
from rtcompile.codegen.entry.serve import (
    SERVE_REQUEST,
    answered_outputs,
    serve_function,
    serve_request,
    served_stages,
)
from rtcompile.codegen.entry.stage import (
    SHARED_STAGE,
    stage_main,
    stage_rows,
    stage_rows_name,
    stage_tiles_name,
)
from rtcompile.codegen.entry.value_bytes import write_function, write_functions
from rtcompile.codegen.entry.worker_pool import HELP, help_rows, shared_rows
from rtcompile.codegen.features.shared_table import SHARED_LLVM
from rtcompile.codegen.library.compile_units import compile_units
from rtcompile.codegen.library.link import find_linker, link
from rtcompile.codegen.program.program import StageProgram
from rtcompile.runtime.abi.encode_values import ENCODE
from rtcompile.runtime.abi.item_index import ITEM_INDEX
from rtcompile.runtime.abi.rank import ADDRESSES, Addresses
from rtcompile.runtime.abi.serve import SERVE
from rtcompile.runtime.abi.value_bytes import WRITE
from rtcompile.runtime.abi.worker_pool import WORKER_AT, WorkerAddress
from rtcompile.targets import CpuTarget

__all__ = ["compile_stages", "stages_to_units", "values_unit"]

_KERNELS_A_UNIT = 8


def stages_to_units(
    stages: Sequence[StageProgram], constants_bytes: int, machine: str
) -> list[Any]:
    """The IRModules of a library."""
    more = "".join(sorted({text for stage in stages for text in stage.llvm}))
    units = [values_unit()] if any(stage.reads_columns for stage in stages) else []
    known: set[str] = set()
    for stage in stages:
        kernels = {name: k for name, k in stage.kernels.items() if name not in known}
        known.update(kernels)
        named = sorted(kernels)
        for first in range(0, len(named), _KERNELS_A_UNIT):
            part = named[first : first + _KERNELS_A_UNIT]
            units.append(_unit({}, {name: kernels[name] for name in part}, more))
    public = {s.name: stage_main(s, constants_bytes) for s in stages}
    internal = {stage_tiles_name(s.name): stage_rows(s, constants_bytes) for s in stages}
    sharing, helping, helping_llvm = _sharing(stages, constants_bytes)
    serving, behind, entries = _serving(served_stages(stages))
    public |= sharing | serving
    internal |= helping | behind
    for intrinsic in {stage.counter for stage in stages if stage.counter}:
        public[COUNTER] = counter_function(intrinsic)
    texts = atomics_llvm(machine), turn_llvm(machine), PYTHON_LLVM, entry_llvm(entries, machine)
    units.append(_unit(public, internal, "".join(texts) + helping_llvm))
    return units


def _sharing(
    stages: Sequence[StageProgram], constants_bytes: int
) -> tuple[dict[str, Any], dict[str, Any], str]:
    """What shares a stage's tiles: public functions, internal ones, LLVM text."""
    shared = [stage for stage in stages if stage.name == SHARED_STAGE]
    if not shared:
        return {}, {}, ""
    (stage,) = shared
    rows, worker = shared_rows(stage, constants_bytes), help_rows(stage, constants_bytes)
    at = addresses_function(WORKER_AT, {WorkerAddress.WORK: symbol_of(HELP)})
    internal = {stage_rows_name(stage.name): rows, HELP: worker}
    return {WORKER_AT: at}, internal, address_llvm(symbol_of(HELP))


def _serving(
    served: Sequence[StageProgram],
) -> tuple[dict[str, Any], dict[str, Any], list[str]]:
    """What serves a request: public functions, internal ones, and which of these Python calls."""
    if not served:
        return {}, {}, []
    public, internal = {SERVE: serve_function()}, {SERVE_REQUEST: serve_request(served)}
    outputs = answered_outputs(served)
    if not outputs:
        return public, internal, []
    entries = {Addresses.RANK: RANK, Addresses.ANSWER: ANSWER}
    symbols = {field: entry_symbol(name) for field, name in entries.items()}
    public[ADDRESSES] = addresses_function(ADDRESSES, symbols)
    internal |= {RANK: rank_function(), ANSWER: answer_function()}
    internal[ANSWER_REQUEST] = answer_request(outputs)
    return public, internal, [*entries.values()]


def values_unit() -> Any:
    """The functions ENCODE, WRITE and ITEM_INDEX, and those that `serve` calls of them."""
    public = {ENCODE: encode_main(), WRITE: write_function(), ITEM_INDEX: item_index_main()}
    internal = {ENCODE_VALUES: encode_values(), LOOK_UP_ITEMS: look_up_items()}
    internal |= write_functions()
    return _unit(public, internal, PYTHON_LLVM + SHARED_LLVM)


def _unit(public: Mapping[str, Any], internal: Mapping[str, Any], llvm: str) -> Any:
    """An IRModule. `llvm`: text of functions that its functions call beside those of all."""
    functions = {**public}
    functions |= {symbol_of(name): as_internal(name, f) for name, f in internal.items()}
    first = next(iter(functions))
    functions[first] = with_wrapping(functions[first], llvm)
    return tvm.IRModule({tvm.ir.GlobalVar(name): f for name, f in functions.items()})


def compile_stages(
    stages: Sequence[StageProgram], constants_bytes: int, target: CpuTarget
) -> bytes:
    """The shared library's bytes. Raises ToolchainError."""
    linker = find_linker(target)
    units = stages_to_units(stages, constants_bytes, target.machine)
    return link(linker, compile_units(units, target))
