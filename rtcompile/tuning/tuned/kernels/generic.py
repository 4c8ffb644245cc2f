"""Kernels that no template covers: how their loops are ordered, fused, cut into vectors, unrolled.

A task holds the function itself. The reference is the same function as TVM compiles it unscheduled.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import tvm
import tvm_ffi
from tvm import tirx

from rtcompile.codegen.lowering.generic import (
    GENERIC_KERNEL,
    GenericConfig,
    generic_configs,
    lower_generic,
    text_function,
)
from rtcompile.codegen.program.row_shape import evaluate_extent
from rtcompile.codegen.program.trials import Config, Task
from rtcompile.errors import TuningError
from rtcompile.targets import Registers
from rtcompile.tuning.tuned.kernels.base import Case, counts_of
from rtcompile.tuning.tuned.kernels.data import generator

__all__ = ["Generic"]

Array = npt.NDArray[Any]


class Generic:
    """Legalised PrimFuncs of one result."""

    name, version = GENERIC_KERNEL
    parameters: ClassVar[dict[str, type]] = {"function": str, "least": int, "most": int}

    def configs(self, task: Task, registers: Registers) -> Sequence[Config]:
        """Schedules."""
        return [config.as_dict() for config in generic_configs()]

    def product(self, task: Task) -> tuple[int | str, ...]:
        """The function."""
        return (task.values["function"],)

    def operations(self, task: Task) -> float:
        """As many as the elements that it reads and writes."""
        buffers = _buffers(_function(task))
        rows = sum(counts_of(task))
        return float(sum(np.prod(_shape(buffer, rows)) for buffer in buffers))

    def case(self, task: Task, config: Config, registers: Registers) -> Case:
        """The function on random values. Raises TuningError where it has several results."""
        arrays, result, expected = _data(task)
        kernel = lower_generic(_function(task), "kernel", GenericConfig.of(config))
        rows = max(counts_of(task))
        lent = [
            np.zeros([evaluate_extent(extent, rows) for extent in shape], _numpy(dtype))
            for shape, dtype in kernel.temporaries
        ]
        given = [*(array.copy() for array in arrays), *lent]
        counts, texts = counts_of(task), "".join(sorted(kernel.llvm))
        return Case(kernel.function, tuple(given), counts, result, expected, llvm=texts)


def _function(task: Task) -> Any:
    return text_function(str(task.values["function"]))


def _buffers(function: Any) -> list[Any]:
    return [one for one in function.params if isinstance(one.ty, tirx.buffer.BufferType)]


def _shape(buffer: Any, rows: int) -> list[int]:
    return [evaluate_extent(extent, rows) for extent in buffer.shape]


def _numpy(dtype: str) -> str:
    return "bool" if dtype == "bool" else dtype


@lru_cache(maxsize=4)
def _data(task: Task) -> tuple[tuple[Array, ...], int, Array]:
    """The arrays of a call of all rows, which of them is written, and what it then holds."""
    function, rows, rng = _function(task), max(counts_of(task)), generator(task)
    buffers = _buffers(function)
    written: list[Any] = []
    tvm_ffi.structural_walk(
        function.body, (tirx.BufferStore, lambda node: written.append(node.buffer)), order="post"
    )
    results = [i for i, one in enumerate(buffers) if any(one.same_as(other) for other in written)]
    if len(results) != 1:
        raise TuningError("a kernel of several results is not tuned")
    arrays = [_values(rng, _shape(buffer, rows), str(buffer.dtype)) for buffer in buffers]
    arrays[results[0]][...] = 0
    module = tvm.IRModule({"main": function.with_attr("global_symbol", "main")})
    given = [tvm.runtime.tensor(array) for array in arrays]
    compiled = tvm.compile(module, target="llvm")
    scalars = [rows for one in function.params if not isinstance(one.ty, tirx.buffer.BufferType)]
    compiled["main"](*given, *scalars)
    return tuple(arrays), results[0], given[results[0]].numpy()


def _values(rng: np.random.Generator, shape: Sequence[int], dtype: str) -> Array:
    """Whole numbers are 0 or 1: whatever they index has these."""
    if dtype.startswith("float"):
        return rng.normal(size=shape).astype(dtype)
    return rng.integers(0, 2, shape).astype(_numpy(dtype))
