"""Lower dense layers, by panels or, of up to 4 columns, by dot products; and of outer products.

rtc.dense.STEPS(x, W, b, streams)
rtc.outer_dense.STEPS(a, b, W, bias)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rtcompile.codegen.kernels.dense import (
    DENSE_KERNEL,
    default_dense,
    dense_kernel,
    dense_panels,
)
from rtcompile.codegen.kernels.dense_shape import DenseShape
from rtcompile.codegen.kernels.k_blocks import are_far, pack_parts
from rtcompile.codegen.kernels.narrow_dense import (
    MOST_COLUMNS,
    NARROW_DENSE_KERNEL,
    NARROW_DENSE_ROWS,
    narrow_dense_kernel,
    pack_narrow_row,
    pack_narrow_weight,
)
from rtcompile.codegen.kernels.outer_dense import (
    OUTER_DENSE_KERNEL,
    OuterDenseShape,
    outer_dense_kernel,
)
from rtcompile.codegen.kernels.panels import (
    PanelConfig,
    pack_columns,
    pack_weight,
    panels,
)
from rtcompile.codegen.program.program import TILE, Pointer
from rtcompile.codegen.program.row_shape import rows_factor
from rtcompile.relay_passes.dialect.epilogue import Epilogue
from rtcompile.relay_passes.kernels.fuse_dense import DENSE
from rtcompile.relay_passes.kernels.fuse_outer_products import OUTER_DENSE, SYMMETRIC
from rtcompile.relay_passes.kernels.trim_sequences import most_rows
from rtcompile.relay_passes.matching import constant_array, kernel_symbol, shape_of

if TYPE_CHECKING:
    from rtcompile.codegen.lowering.network import NetworkLowering

__all__ = ["DENSE_LAYERS"]

_Pack = Callable[[Any], Any]  # an array, as its kernel reads it


def _dense(lowering: NetworkLowering, var: Any, value: Any) -> None:
    source, weight, bias, *streams = value.args[1].fields
    matrix, row = constant_array(weight), constant_array(bias)
    assert matrix is not None and row is not None  # fuse_dense matched constants
    epilogue = Epilogue.parse(kernel_symbol(value)[len(DENSE) + 1 :])
    shape = DenseShape(matrix.shape[0], matrix.shape[1], epilogue)
    extents = (shape_of(source) or ())[:-1]
    factor, room = rows_factor(extents), most_rows(extents[0])
    choose = _narrow_dense if shape.columns <= MOST_COLUMNS else _panel_dense
    name, pack_matrix, pack_row = choose(lowering, shape, factor, room)

    def packed(constant: Any) -> Pointer:
        return lowering.constants.add(pack_row(constant.reshape(-1)))

    pointers = (
        lowering.at(source),
        lowering.constants.add(pack_matrix(matrix)),
        packed(row),
        *(
            packed(constant_array(stream)) if form == "row" else lowering.at(stream)
            for form, stream in zip(epilogue.streams, streams, strict=True)
        ),
        lowering.place((var, 0), var.ty),
    )
    lowering.call_over(name, pointers, extents, takes_length=epilogue.by_length)


def _panel_dense(
    lowering: NetworkLowering, shape: DenseShape, factor: int, room: int
) -> tuple[str, _Pack, _Pack]:
    task = lowering.task(DENSE_KERNEL, shape.at_length(room).parameters, factor)
    far = are_far(shape.weight_bytes)
    default = default_dense(lowering.registers, int(task.values["most"]), far)
    config = PanelConfig.of(lowering.choices.config(task, default.as_dict()))
    plain = config == default_dense(lowering.registers, TILE, far)
    name = shape.name if plain else f"{shape.name}_{config.tag}"
    lowering.kernel(name, lambda: dense_kernel(shape, lowering.registers, config))
    cut = dense_panels(shape.columns, lowering.registers, config)
    return name, lambda matrix: pack_parts(matrix, cut, config), lambda row: pack_columns(row, cut)


def _narrow_dense(
    lowering: NetworkLowering, shape: DenseShape, factor: int, room: int
) -> tuple[str, _Pack, _Pack]:
    task = lowering.task(NARROW_DENSE_KERNEL, shape.at_length(room).parameters, factor)
    rows = lowering.choices.config(task, {"rows": NARROW_DENSE_ROWS})["rows"]
    name = shape.name if rows == NARROW_DENSE_ROWS else f"{shape.name}_r{rows}"
    lowering.kernel(name, lambda: narrow_dense_kernel(shape, rows))
    return name, pack_narrow_weight, pack_narrow_row


def _outer_dense(lowering: NetworkLowering, var: Any, value: Any) -> None:
    left, right, weight, bias = value.args[1].fields
    matrix, row = constant_array(weight), constant_array(bias)
    assert matrix is not None and row is not None  # fuse_dense matched constants
    steps = kernel_symbol(value)[len(OUTER_DENSE) + 1 :]
    symmetric = steps.startswith(SYMMETRIC)
    epilogue = Epilogue.parse(steps.removeprefix(SYMMETRIC).removeprefix("."))
    rows, columns = (int((shape_of(source) or ())[-1]) for source in (left, right))
    shape = OuterDenseShape(rows, columns, matrix.shape[1], epilogue, symmetric)
    factor = rows_factor((shape_of(left) or ())[:-1])
    config, tag = lowering.panel_config(OUTER_DENSE_KERNEL, shape.parameters, factor)
    name = shape.name + tag
    lowering.kernel(name, lambda: outer_dense_kernel(shape, lowering.registers, config))
    cut = panels(shape.columns, lowering.registers, config)
    pointers = (
        lowering.at(left),
        lowering.at(right),
        lowering.constants.add(pack_weight(matrix, cut)),
        lowering.constants.add(pack_columns(row, cut)),
        lowering.place((var, 0), var.ty),
    )
    lowering.call(name, pointers, factor)


# Prefix of a call's name -> how it is lowered.
DENSE_LAYERS: dict[str, Callable[[NetworkLowering, Any, Any], None]] = {
    DENSE: _dense,
    OUTER_DENSE: _outer_dense,
}
