"""Activations to bytes: float32 rows to uint8 rows, by a calibrated range or by each row's own.

static, with the range's `scale` and zero point z as constants (`inverse` is 1 / scale):

    q[i, k] = trunc(clamp(x[i, k] * inverse + z, 0, 255) + 0.5)

dynamic, for values of both signs (z = 128), or of none below zero (z = 0):

    largest = max over |x[i, :]|;  scale[i] = largest / 127      (255 where none is below zero)
    q[i, k] = trunc(x[i, k] / scale[i] + z + 0.5)

A row of q has the depth rounded up to BYTES_A_STEP bytes; what is behind the depth is not written
and meets weights of zero. Outside a static range a value saturates, and a NaN counts as the range's
low end. A dynamic row with a NaN or an infinity has the scale NaN, so that all its results are NaN;
one whose largest value is below SMALLEST has the scale 0: its results are the bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from relay_passes.quantize_dense import BYTES_A_STEP, DYNAMIC_ZERO
from rtcompile.codegen.lanes import LANES, chunks, fold, reduce_lanes, start_lanes

__all__ = [
    "SMALLEST",
    "QuantizeShape",
    "padded_depth",
    "quantize_kernel",
]

# Below it, the inverse of a scale would leave the range of float32.
SMALLEST = 1e-30

_INFINITY = 0x7F800000  # its bits


def padded_depth(depth: int) -> int:
    """Bytes of a row of `depth` quantized values."""
    return -(-depth // BYTES_A_STEP) * BYTES_A_STEP


@dataclass(frozen=True)
class QuantizeShape:
    """What a kernel is specialised for: values a row, and `form` static, signed or unsigned."""

    depth: int
    form: str

    @property
    def name(self) -> str:
        """Name of the kernel; equal shapes share one."""
        return f"quantize_rows_{self.form}_{self.depth}"


def quantize_kernel(shape: QuantizeShape) -> Any:
    """A PrimFunc (x*, range*, q*, rows) where static, else (x*, q*, scale*, rows).

    x is float32 [rows, depth], range float32 [2] of inverse and zero point, q uint8 [rows, padded
    depth], scale float32 [rows].
    """
    static = shape.form == "static"
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(shape.name)
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        x_at = T.arg("x", T.handle("float32"))
        range_at = T.arg("range", T.handle("float32")) if static else None
        q_at = T.arg("q", T.handle("uint8"))
        scale_at = None if static else T.arg("scale", T.handle("float32"))
        rows = T.arg("rows", T.int64())
        x = T.decl_buffer((rows, shape.depth), "float32", data=x_at)
        q = T.decl_buffer((rows, padded_depth(shape.depth)), "uint8", data=q_at)
        if static:
            given = T.decl_buffer((2,), "float32", data=range_at)
            inverse, zero = T.Bind(given[0]), T.Bind(given[1])
            with T.serial(rows) as i:
                _write(shape.depth, x, q, i, inverse, zero)
        else:
            scale = T.decl_buffer((rows,), "float32", data=scale_at)
            with T.serial(rows) as i:
                inverse, zero = _own_range(shape, x, scale, i)
                _write(shape.depth, x, q, i, inverse, zero)
    return builder.get()


def _own_range(shape: QuantizeShape, x: Any, scale: Any, row: Any) -> tuple[Any, Any]:
    """Store the row's scale; returns its inverse and the zero point."""
    levels, zero = (127.0, float(DYNAMIC_ZERO)) if shape.form == "signed" else (255.0, 0.0)
    # Without their sign, bits of floats are in the order of the floats, infinity and NaN behind.
    lanes = start_lanes(0, "int32")
    fold(lanes, shape.depth, tirx.max, lambda k: _magnitude(x[row, k]))
    bits = reduce_lanes(lanes, tirx.max)
    largest = T.Bind(T.reinterpret("float32", bits))
    empty = T.Bind(largest < _f32(SMALLEST))
    width = tirx.Select(empty, _f32(0.0), largest * _f32(1.0 / levels))
    finite = bits < tirx.const(_INFINITY, "int32")
    T.buffer_store(scale, tirx.Select(finite, width, _f32(float("nan"))), [row])
    safe = T.Bind(tirx.Select(empty, _f32(1.0), largest))
    return T.Bind(tirx.Select(empty, _f32(0.0), _f32(levels) / safe)), _f32(zero)


def _write(depth: int, x: Any, q: Any, row: Any, inverse: Any, zero: Any) -> None:
    whole = depth // LANES
    if whole:
        with T.serial(whole) as i, T.vectorized(LANES) as j:
            k = i * LANES + j
            T.buffer_store(q, to_byte(x[row, k], inverse, zero), [row, k])
    for start, count in chunks(depth - whole * LANES):
        with T.vectorized(count) as j:
            k = whole * LANES + start + j
            T.buffer_store(q, to_byte(x[row, k], inverse, zero), [row, k])


def to_byte(value: Any, inverse: Any, zero: Any) -> Any:
    """The formula above, of an expression."""
    scaled = value * inverse + zero
    low = tirx.Select(scaled > _f32(0.0), scaled, _f32(0.0))
    inside = tirx.Select(low < _f32(255.0), low, _f32(255.0))
    return tirx.Cast("uint8", tirx.Cast("int32", inside + _f32(0.5)))


def _magnitude(value: Any) -> Any:
    """The bits of a float32 without its sign."""
    return T.reinterpret("int32", value) & tirx.const(0x7FFFFFFF, "int32")


def _f32(value: float) -> Any:
    return tirx.const(value, "float32")
