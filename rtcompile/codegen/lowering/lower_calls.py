"""Lower calls of templates that are no dense layers.

rtc.batch_matmul.KIND(a, b)             two small matrices a row
rtc.shared_matmul.KIND(a, b)            a small matrix a row by one for all
rtc.softmax.WIDTH(x)                    softmax of contiguous rows
rtc.blocks.ROWS(..., table)             one copy for all parts, products among them
rtc.recurrence.CELL(p, R, r, given)     all steps of a recurrent layer
rtc.spread(x)                           the user's row for every row, once a request
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from rtcompile.codegen.kernels.batch_matmul import (
    BATCH_MATMUL_KERNEL,
    BatchMatmulShape,
    batch_matmul_kernel,
    scratch_elements,
    shared_matmul_kernel,
    shared_scratch_elements,
)
from rtcompile.codegen.kernels.blocks import (
    BlockCopy,
    BlocksKernel,
    blocks_kernel,
    kernel_widths,
)
from rtcompile.codegen.kernels.recurrence import RecurrenceShape, pack_recurrent, recurrence_kernel
from rtcompile.codegen.kernels.recurrence import scratch_elements as recurrence_scratch
from rtcompile.codegen.kernels.softmax import softmax_kernel, softmax_name
from rtcompile.codegen.program.program import Pointer, Space
from rtcompile.codegen.program.row_shape import rows_factor
from rtcompile.relay_passes.analysis.row_blocks import row_width
from rtcompile.relay_passes.dialect.recurrence import RECURRENCE, RecurrenceForm
from rtcompile.relay_passes.kernels.gather_blocks import BLOCKS
from rtcompile.relay_passes.lift.lift_batch_matmuls import BATCH_MATMUL
from rtcompile.relay_passes.lift.lift_shared_matmuls import SHARED_MATMUL
from rtcompile.relay_passes.lift.lift_softmax import SOFTMAX
from rtcompile.relay_passes.matching import constant_array, kernel_symbol, shape_of
from rtcompile.relay_passes.stage.split_stages import SPREAD

if TYPE_CHECKING:
    from rtcompile.codegen.lowering.network import NetworkLowering

__all__ = ["TEMPLATES"]


def _batch_matmul(lowering: NetworkLowering, var: Any, value: Any) -> None:
    left, right = value.args[1].fields
    source, result = shape_of(left) or (), shape_of(var) or ()
    transposed = kernel_symbol(value).endswith(".nt")
    shape = BatchMatmulShape(source[-2], source[-1], result[-1], transposed)
    factor = rows_factor(result[:-2])
    config, tag = lowering.panel_config(BATCH_MATMUL_KERNEL, shape.parameters, factor)
    name = shape.name + tag
    lowering.kernel(name, lambda: batch_matmul_kernel(shape, lowering.registers, config))
    pointers = [lowering.at(left), lowering.at(right), lowering.place((var, 0), var.ty)]
    scratch = lowering.plan.take(4 * scratch_elements(shape, lowering.registers, config))
    pointers.append(Pointer(Space.WORKSPACE, scratch))
    lowering.call(name, tuple(pointers), factor)
    lowering.plan.give(scratch)


def _shared_matmul(lowering: NetworkLowering, var: Any, value: Any) -> None:
    left, right = value.args[1].fields
    source, result = shape_of(left) or (), shape_of(var) or ()
    transposed = kernel_symbol(value).endswith(".nt")
    shape = BatchMatmulShape(source[-2], source[-1], result[-1], transposed)
    name = f"shared_{shape.name}"
    lowering.kernel(name, lambda: shared_matmul_kernel(shape, lowering.registers))
    scratch = lowering.plan.take(4 * shared_scratch_elements(shape, lowering.registers))
    pointers = (
        lowering.at(left),
        lowering.at(right),
        lowering.place((var, 0), var.ty),
        Pointer(Space.WORKSPACE, scratch),
    )
    lowering.call(name, pointers, rows_factor(result[:-1]))
    lowering.plan.give(scratch)


def _recurrence(lowering: NetworkLowering, var: Any, value: Any) -> None:
    form = RecurrenceForm.of(kernel_symbol(value))
    share, matrix, inner, *given = value.args[1].fields
    recurrent = constant_array(matrix)
    assert recurrent is not None  # the importer takes constants only
    results = list(var.ty.fields)
    sequence = lowering.is_read((var, 0))
    steps = (shape_of(share) or ())[1]
    shape = RecurrenceShape(form, recurrent.shape[0], int(steps), sequence)
    lowering.kernel(shape.name, lambda: recurrence_kernel(shape, lowering.registers))
    kept = range(0 if sequence else 1, len(results))
    scratch = lowering.plan.take(4 * recurrence_scratch(shape, lowering.program.tile_rows))
    pointers = (
        lowering.at(share),
        lowering.constants.add(pack_recurrent(recurrent, shape, lowering.registers)),
        *map(lowering.at, (inner, *given)),
        *(lowering.place((var, place), results[place]) for place in kept),
        Pointer(Space.WORKSPACE, scratch),
    )
    lowering.call(shape.name, pointers, 1)
    lowering.plan.give(scratch)


def _softmax(lowering: NetworkLowering, var: Any, value: Any) -> None:
    (source,) = value.args[1].fields
    width = int(kernel_symbol(value)[len(SOFTMAX) + 1 :])
    name = softmax_name(width)
    lowering.kernel(name, lambda: softmax_kernel(width))
    pointers = (lowering.at(source), lowering.place((var, 0), var.ty))
    lowering.call(name, pointers, rows_factor(shape_of(var) or ()) // width)


def _spread(lowering: NetworkLowering, var: Any, value: Any) -> None:
    (source,) = value.args[1].fields
    elements = math.prod((shape_of(var) or ())[1:])
    place = lowering.spread(lowering.at(source), elements, str(var.ty.dtype))
    lowering.put((var, 0), place)


def _blocks(lowering: NetworkLowering, var: Any, value: Any) -> None:
    *sources, last = value.args[1].fields
    rows, dtype = int(kernel_symbol(value)[len(BLOCKS) + 1 :]), str(var.ty.dtype)
    table, target = constant_array(last), lowering.place((var, 0), var.ty)
    assert table is not None  # gather_blocks made it
    size = np.dtype(dtype).itemsize
    origins = [_origin(lowering.at(source), size) for source in sources]
    steps = [row_width(source, rows) or 0 for source in sources]
    groups: dict[tuple[Pointer, ...], list[BlockCopy]] = {}
    place = 0
    for left, left_at, right, right_at, width in table.tolist():
        operands = [(left, left_at)] + ([(right, right_at)] if right >= 0 else [])
        arenas = tuple(origins[source][0] for source, _ in operands)
        reads = tuple((origins[source][1] + at, steps[source]) for source, at in operands)
        entry = None
        if len(arenas) == 1 and arenas[0].space == Space.INPUT_TABLE:
            arenas, entry = (Pointer(Space.INPUTS),), arenas[0].offset
        groups.setdefault(arenas, []).append(BlockCopy(reads, width, place, entry))
        place += width
    factor = rows_factor((shape_of(var) or ())[:1]) * rows
    for arenas, copies in groups.items():
        for width, chosen in kernel_widths(copies).items():
            inputs = arenas[0].space == Space.INPUTS
            kernel = BlocksKernel(dtype, len(arenas) == 2, width, inputs)
            lowering.kernel(kernel.name, partial(blocks_kernel, kernel))
            places = lowering.constants.add(np.array([c.row() for c in chosen], np.int64))
            pointers, scalars = (*arenas, places, target), (len(chosen), place)
            lowering.call(kernel.name, pointers, factor, scalars, with_start=inputs)


def _origin(at: Pointer, size: int) -> tuple[Pointer, int]:
    """The arena that a place is read from, and how many elements of `size` bytes into it.

    What lies in the workspace shares an arena; an input is one of its own.
    """
    shared = at.space in (Space.WORKSPACE, Space.CONSTANTS)
    return (Pointer(at.space), at.offset // size) if shared else (at, 0)


# Prefix of a call's name -> how it is lowered.
TEMPLATES: dict[str, Callable[[NetworkLowering, Any, Any], None]] = {
    BATCH_MATMUL: _batch_matmul,
    BLOCKS: _blocks,
    SOFTMAX: _softmax,
    SHARED_MATMUL: _shared_matmul,
    SPREAD: _spread,
    RECURRENCE: _recurrence,
}
