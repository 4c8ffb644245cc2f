"""Lower the calls of `relay_passes/kernels/trim_sequences.py`.

rtc.positions.FORM.SYMBOL(mask)         the length of the request's sequence, before the first tile
rtc.trim(x, l), rtc.trim.product(q, k, l)   the rows of the positions up to it
rtc.pad_positions(s, l)                 a value for every position again
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rtcompile.codegen.kernels.trim_rows import (
    PAD_KERNEL,
    PRODUCT_KERNEL,
    TRIM_KERNEL,
    last_position_kernel,
    last_position_name,
    pad_positions_kernel,
    trim_product_kernel,
    trim_rows_kernel,
)
from rtcompile.codegen.program.program import KernelCall
from rtcompile.relay_passes.kernels.trim_sequences import PAD_POSITIONS, POSITIONS, TRIM
from rtcompile.relay_passes.matching import dtype_of, kernel_symbol, shape_of

if TYPE_CHECKING:
    from rtcompile.codegen.lowering.network import NetworkLowering

__all__ = ["TRIMMED"]


def _positions(lowering: NetworkLowering, var: Any, value: Any) -> None:
    (mask,) = value.args[1].fields
    form, symbol = kernel_symbol(value)[len(POSITIONS) + 1 :].split(".")
    dtype, width = dtype_of(mask), math.prod((shape_of(mask) or ())[1:])
    name = last_position_name(form, dtype)
    lowering.kernel(name, lambda: last_position_kernel(form, dtype))
    length = lowering.length_of_sequence(symbol)
    lowering.put((var, 0), length)
    call = KernelCall(name, (lowering.at(mask), length), 1, (width,))
    lowering.program.prologue.append(call)


def _trim(lowering: NetworkLowering, var: Any, value: Any) -> None:
    *given, end = value.args[1].fields
    depth = int((shape_of(var) or ())[-1])
    pointers = (*map(lowering.at, given), lowering.place((var, 0), var.ty), lowering.at(end))
    if len(given) > 1:
        lowering.kernel(PRODUCT_KERNEL, trim_product_kernel)
        lowering.call(PRODUCT_KERNEL, pointers, 1, (depth,), takes_length=True)
        return
    lowering.kernel(TRIM_KERNEL, trim_rows_kernel)
    room = int((shape_of(given[0]) or ())[1])
    lowering.call(TRIM_KERNEL, pointers, 1, (room, depth), takes_length=True)


def _pad(lowering: NetworkLowering, var: Any, value: Any) -> None:
    source, end = value.args[1].fields
    lowering.kernel(PAD_KERNEL, pad_positions_kernel)
    pointers = (lowering.at(source), lowering.place((var, 0), var.ty), lowering.at(end))
    room = int((shape_of(var) or ())[1])
    lowering.call(PAD_KERNEL, pointers, 1, (room,), takes_length=True)


# Prefix of a call's name -> how it is lowered.
TRIMMED: dict[str, Callable[[NetworkLowering, Any, Any], None]] = {
    POSITIONS: _positions,
    TRIM: _trim,
    PAD_POSITIONS: _pad,
}
