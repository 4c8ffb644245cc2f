"""How many rows a tile of a stage has, by what a row then moves through the caches.

A kernel whose input and output of a tile fit in L2 finds its input there. One with more, a layer
over every element of a sequence of each row, reads it from further away: fewer rows a tile keep it
near. But each tile reads the weights anew. So of the sizes the one is taken that reads least a row:

    weights / rows + (bytes a row of the kernels whose tile does not fit)

That is the default. `rtcompile tune` measures the sizes, with requests to the whole model, and
keeps what it finds by the stage's kernels and shapes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tvm_ffi
from tvm import relax

from rtcompile.codegen.program.program import TILE
from rtcompile.codegen.program.row_shape import evaluate_extent
from rtcompile.codegen.program.trials import Task
from rtcompile.relay_passes.lift.lift_embeddings import EMBEDDING_LOOKUP
from rtcompile.relay_passes.matching import (
    call_name,
    constant_array,
    kernel_symbol,
    reads,
    shape_of,
    static_int,
)

__all__ = ["STAGE_TILE_KERNEL", "TILE_SIZES", "stage_tile_task", "tile_rows"]

# The name and version of the sizes in tuning records.
STAGE_TILE_KERNEL = ("stage_tile", 1)

# What is measured: twice the largest default too.
TILE_SIZES = (TILE // 4, TILE // 2, TILE, 2 * TILE)

# Half of the L2 of a server's core, which has 1 MB or more: the rest is for weights and what is
# still to be read. The least rows are a multiple of 16, as `TILE` says.
_CACHE_BYTES = 512 * 1024
_SIZES = (TILE, TILE // 2, TILE // 4)


def tile_rows(bound: Mapping[Any, Any]) -> int:
    """Rows a tile of a stage, 64, 32 or 16, from the bindings of its lowered graph."""
    kernels = [value for value in bound.values() if _is_kernel(value)]
    weights = sum(map(_weight_bytes, kernels))
    row_bytes = [_row_bytes(value) for value in kernels]

    def bytes_a_row(rows: int) -> float:
        return weights / rows + sum(each for each in row_bytes if each * rows > _CACHE_BYTES)

    return min(_SIZES, key=bytes_a_row)


def stage_tile_task(mod: Any, bound: Mapping[Any, Any], default: int) -> Task:
    """What there is to tune of a stage's tile: its kernels, and the shapes that they are called on.

    `mod` has the generic kernels, which count by their structure.
    """
    digest = hashlib.sha256()
    for value in bound.values():
        if not _is_kernel(value):
            continue
        called = kernel_symbol(value)
        if not called:
            called = str(tvm_ffi.structural_hash(mod[value.args[0]]))
        types = [str(argument.ty) for argument in value.args[1].fields]
        digest.update("\n".join([called, *types, str(value.ty)]).encode())
    return Task.of(*STAGE_TILE_KERNEL, {"stage": digest.hexdigest()[:32], "default": default})


def _is_kernel(value: Any) -> bool:
    return (call_name(value) or "").startswith("relax.call_")


def _weight_bytes(value: Any) -> int:
    """Of the constants that a kernel reads whole; a look-up reads a few rows of its table."""
    if str(getattr(value.args[0], "global_symbol", "")).startswith(EMBEDDING_LOOKUP):
        return 0
    arrays = map(constant_array, value.args[1].fields)
    return sum(array.nbytes for array in arrays if array is not None)


def _row_bytes(value: Any) -> int:
    """Of a kernel's input and output that have the rows of the batch in front."""
    result = value.ty.fields if isinstance(value.ty, relax.TupleType) else [value.ty]
    read = [var.ty for var in reads(value.args[1])]
    return sum(map(_bytes_behind_the_batch, [*read, *result]))


def _bytes_behind_the_batch(ty: Any) -> int:
    if not isinstance(ty, relax.TensorType):
        return 0
    first, *extents = shape_of(relax.Var("value", ty)) or (1,)
    if static_int(first) is not None:
        return 0
    behind = [static_int(extent) for extent in extents]
    assert None not in behind  # a dynamic extent behind the batch is refused
    count = math.prod(extent or 1 for extent in behind) * evaluate_extent(first, 1)
    return count * int(np.dtype(str(ty.dtype)).itemsize)
