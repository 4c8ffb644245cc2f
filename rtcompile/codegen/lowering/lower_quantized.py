"""Lower the calls of `relay_passes/kernels/quantize_dense.py` and `keep_lowered.py`.

rtc.quantize.FORM(x, [range])                                        a byte a value
rtc.dense_int8.FORM.OUTPUT.STEPS(q, W, start, factor, b, [scale], [range], streams)
rtc.to_bf16(x)                                                       half of a value's bits
rtc.dense_bf16.OUTPUT.STEPS(x, W, b, streams)
rtc.select.K(forms)                                                  one of them, by a register
rtc.observe.K(x)                                                     x itself, counted
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rtcompile.codegen.kernels.dense_bf16 import (
    DENSE_BF16_KERNEL,
    bf16_name,
    bf16_panels,
    dense_bf16_kernel,
    pack_bf16_weight,
    round_kernel,
    round_name,
)
from rtcompile.codegen.kernels.dense_int8 import (
    DENSE_INT8_KERNEL,
    Int8Shape,
    dense_int8_kernel,
    dot_product,
    int8_panels,
    pack_int8_weight,
)
from rtcompile.codegen.kernels.dense_shape import DenseShape
from rtcompile.codegen.kernels.dot_bf16 import DOT_BF16_LLVM
from rtcompile.codegen.kernels.observe_rows import OBSERVE as OBSERVE_KERNEL
from rtcompile.codegen.kernels.observe_rows import Observed, observe_kernel
from rtcompile.codegen.kernels.panels import Panel, pack_columns
from rtcompile.codegen.kernels.quantize_rows import QuantizeShape, quantize_kernel
from rtcompile.codegen.kernels.select_rows import select_kernel, select_name
from rtcompile.codegen.program.program import Pointer
from rtcompile.codegen.program.row_shape import rows_factor
from rtcompile.relay_passes.dialect.epilogue import Epilogue
from rtcompile.relay_passes.kernels.quantize_dense import (
    DENSE_BF16,
    DENSE_INT8,
    OBSERVE,
    QUANTIZE,
    SELECT,
    TO_BF16,
)
from rtcompile.relay_passes.kernels.trim_sequences import most_rows
from rtcompile.relay_passes.matching import constant_array, kernel_symbol, shape_of

if TYPE_CHECKING:
    from rtcompile.codegen.lowering.network import NetworkLowering

__all__ = ["QUANTIZED"]


def _quantize(lowering: NetworkLowering, var: Any, value: Any) -> None:
    source, *entry = value.args[1].fields
    extents = shape_of(source) or ()
    shape = QuantizeShape(int(extents[-1]), kernel_symbol(value)[len(QUANTIZE) + 1 :])
    lowering.kernel(shape.name, lambda: quantize_kernel(shape))
    types = [var.ty] if entry else list(var.ty.fields)
    results = [lowering.place((var, index), ty) for index, ty in enumerate(types)]
    pointers = (lowering.at(source), *map(lowering.at, entry), *results)
    lowering.call_over(shape.name, pointers, extents[:-1])


def _dense_int8(lowering: NetworkLowering, var: Any, value: Any) -> None:
    form, output, *steps = kernel_symbol(value)[len(DENSE_INT8) + 1 :].split(".", 2)
    epilogue = Epilogue.parse(".".join(steps))
    q, weight, start, factor, bias, *rest = value.args[1].fields
    more = rest[: len(rest) - len(epilogue.streams)]
    matrix, begin = constant_array(weight), constant_array(start)
    assert matrix is not None and begin is not None  # the pass made them
    shape = Int8Shape(
        DenseShape(matrix.shape[0], matrix.shape[1], epilogue), form == "dynamic", output
    )
    extents = (shape_of(q) or ())[:-1]
    count = rows_factor(extents)
    task = replace(shape, dense=shape.dense.at_length(most_rows(extents[0])))
    config, tag = lowering.panel_config(DENSE_INT8_KERNEL, task.parameters, count)
    name = shape.name + tag
    lowering.kernel(name, lambda: dense_int8_kernel(shape, lowering.registers, config))
    cut = int8_panels(matrix.shape[1], lowering.registers, config)
    shift = dot_product(lowering.registers).shift
    shifted = begin + np.int32(shift) * matrix.astype(np.int32).sum(axis=0, dtype=np.int32)
    pointers = (
        lowering.at(q),
        lowering.constants.add(pack_int8_weight(matrix, cut)),
        lowering.constants.add(pack_columns(shifted, cut)),
        *(_columns(lowering, constant_array(row), cut) for row in (factor, bias)),
        *map(lowering.at, more),
        *_streams(lowering, epilogue, rest[len(more) :], cut),
        lowering.place((var, 0), var.ty),
    )
    lowering.call_over(name, pointers, extents, takes_length=epilogue.by_length)


def _to_bf16(lowering: NetworkLowering, var: Any, value: Any) -> None:
    (source,) = value.args[1].fields
    extents = shape_of(source) or ()
    depth = int(extents[-1])
    lowering.program.llvm.add(DOT_BF16_LLVM)
    lowering.kernel(round_name(depth), lambda: round_kernel(depth))
    pointers = (lowering.at(source), lowering.place((var, 0), var.ty))
    lowering.call_over(round_name(depth), pointers, extents[:-1])


def _dense_bf16(lowering: NetworkLowering, var: Any, value: Any) -> None:
    output, *steps = kernel_symbol(value)[len(DENSE_BF16) + 1 :].split(".", 1)
    epilogue = Epilogue.parse(".".join(steps))
    x, weight, bias, *streams = value.args[1].fields
    bits = constant_array(weight)
    assert bits is not None  # the pass made it
    shape = DenseShape(bits.shape[0], bits.shape[1], epilogue)
    lowering.program.llvm.add(DOT_BF16_LLVM)
    extents = (shape_of(x) or ())[:-1]
    count = rows_factor(extents)
    parameters = {**shape.at_length(most_rows(extents[0])).parameters, "output": output}
    config, tag = lowering.panel_config(DENSE_BF16_KERNEL, parameters, count)
    name = bf16_name(shape, output) + tag
    lowering.kernel(name, lambda: dense_bf16_kernel(shape, lowering.registers, output, config))
    cut = bf16_panels(shape.columns, lowering.registers, config)
    pointers = (
        lowering.at(x),
        lowering.constants.add(pack_bf16_weight(bits, cut)),
        _columns(lowering, constant_array(bias), cut),
        *_streams(lowering, epilogue, streams, cut),
        lowering.place((var, 0), var.ty),
    )
    lowering.call_over(name, pointers, extents, takes_length=epilogue.by_length)


def _columns(
    lowering: NetworkLowering, row: npt.NDArray[Any] | None, cut: tuple[Panel, ...]
) -> Pointer:
    assert row is not None  # a constant of the call
    pointer: Pointer = lowering.constants.add(pack_columns(row.reshape(-1), cut))
    return pointer


def _streams(
    lowering: NetworkLowering, epilogue: Epilogue, streams: list[Any], cut: tuple[Panel, ...]
) -> list[Pointer]:
    return [
        _columns(lowering, constant_array(stream), cut) if form == "row" else lowering.at(stream)
        for form, stream in zip(epilogue.streams, streams, strict=True)
    ]


def _select(lowering: NetworkLowering, var: Any, value: Any) -> None:
    forms = list(value.args[1].fields)
    name, number = select_name(len(forms)), int(kernel_symbol(value)[len(SELECT) + 1 :])
    lowering.kernel(name, lambda: select_kernel(len(forms)))
    word = lowering.status_words(number, 1)
    extents = shape_of(var) or ()
    pointers = (*map(lowering.at, forms), word, lowering.place((var, 0), var.ty))
    lowering.call_over(name, pointers, extents[:-1], (int(extents[-1]),))


def _observe(lowering: NetworkLowering, var: Any, value: Any) -> None:
    (source,) = value.args[1].fields
    number, extents = int(kernel_symbol(value)[len(OBSERVE) + 1 :]), shape_of(source) or ()
    lowering.kernel(OBSERVE_KERNEL, observe_kernel)
    words = lowering.status_words(number, Observed.WORDS)
    pointers = (lowering.at(source), words)
    lowering.call_over(OBSERVE_KERNEL, pointers, extents[:-1], (int(extents[-1]),))


# Prefix of a call's name -> how it is lowered.
QUANTIZED: dict[str, Callable[[NetworkLowering, Any, Any], None]] = {
    QUANTIZE: _quantize,
    DENSE_INT8: _dense_int8,
    TO_BF16: _to_bf16,
    DENSE_BF16: _dense_bf16,
    SELECT: _select,
    OBSERVE: _observe,
}
