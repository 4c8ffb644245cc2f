"""Activations to bytes: float32 rows to uint8 rows, by a calibrated range or by each row's own.

static, with the range's `scale` and zero point z as constants (`inverse` is 1 / scale):

    q[i, k] = trunc(clamp(x[i, k] * inverse + (z + 0.5), 0, 255.5))

dynamic, for values of both signs (z = 128), or of none below zero (z = 0):

    largest = max over |x[i, :]|;  scale[i] = largest / 127      (255 where none is below zero)
    q[i, k] = trunc(x[i, k] / scale[i] + (z + 0.5))

A row of q has the depth rounded up to BYTES_A_STEP bytes; what is behind the depth is not written
and meets weights of zero. Outside a static range a value saturates, and a NaN counts as the range's
low end. A dynamic row with a NaN or an infinity has the scale NaN, so that all its results are NaN;
one whose largest value is below SMALLEST has the scale 0: its results are the bias.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.kernels.lanes import (
    LANES,
    chunks,
    fold,
    reduce_lanes,
    start_lanes,
)
from rtcompile.relay_passes.kernels.quantize_dense import BYTES_A_STEP, DYNAMIC_ZERO

__all__ = [
    "ABOVE",
    "SMALLEST",
    "QuantizeShape",
    "bounded_byte",
    "padded_depth",
    "quantize_kernel",
    "to_byte",
]

# Below it, the inverse of a scale would leave the range of float32.
SMALLEST = 1e-30

_INFINITY = 0x7F800000  # its bits

ABOVE = 255.5  # half a step above the last one

# Rows whose ranges are found at once; they lie in L1 when they are read again.
_GROUP = 8


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
            inverse, half = T.Bind(given[0]), T.Bind(given[1] + _f32(0.5))
            with T.serial(rows) as i:
                _write(shape.depth, x, q, i, lambda value: to_byte(value, inverse, half))
        else:
            scale = T.decl_buffer((rows,), "float32", data=scale_at)
            with T.serial((rows + (_GROUP - 1)) // _GROUP) as group:
                first = T.Bind(group * _GROUP)
                count = T.Bind(tirx.min(tirx.const(_GROUP, "int64"), rows - first))
                _group(shape, x, q, scale, (first, count))
    return builder.get()


def _group(shape: QuantizeShape, x: Any, q: Any, scale: Any, at: tuple[Any, Any]) -> None:
    """At most _GROUP rows by their own ranges: all maxima first, then all ranges in one vector."""
    first, count = at
    largest = T.alloc_buffer((_GROUP,), "int32")
    widths, inverses = (T.alloc_buffer((_GROUP,), "float32") for _ in range(2))
    with T.vectorized(_GROUP) as j:
        T.buffer_store(largest, tirx.const(0, "int32"), [j])
    with T.serial(count) as i:
        # Without their sign, bits of floats are in the order of the floats, infinity and NaN last.
        lanes = start_lanes(0, "int32")
        fold(lanes, shape.depth, tirx.max, lambda k: _magnitude(x[first + i, k]))
        T.buffer_store(largest, reduce_lanes(lanes, tirx.max), [i])
    levels, zero = (127.0, float(DYNAMIC_ZERO)) if shape.form == "signed" else (255.0, 0.0)
    with T.vectorized(_GROUP) as j:
        T.buffer_store(widths, _width(largest[j], levels), [j])
    with T.vectorized(_GROUP) as j:
        T.buffer_store(inverses, _inverse(largest[j], levels), [j])
    with T.serial(count) as i:
        T.buffer_store(scale, widths[i], [first + i])
        inverse = T.Bind(inverses[i])
        _write(shape.depth, x, q, first + i, lambda value: _inside(value * inverse, zero + 0.5))


def _width(bits: Any, levels: float) -> Any:
    """A row's scale, by the bits of its largest magnitude."""
    largest = T.reinterpret("float32", bits)
    width = tirx.Select(largest < _f32(SMALLEST), _f32(0.0), largest * _f32(1.0 / levels))
    return tirx.Select(bits < tirx.const(_INFINITY, "int32"), width, _f32(float("nan")))


def _inverse(bits: Any, levels: float) -> Any:
    largest = T.reinterpret("float32", bits)
    empty = largest < _f32(SMALLEST)
    return tirx.Select(empty, _f32(0.0), _f32(levels) / tirx.Select(empty, _f32(1.0), largest))


def _inside(steps: Any, half: float) -> Any:
    """A value in steps that is in the range, or NaN, as a byte; `half`: a half above the zero."""
    moved = steps + _f32(half)
    known = tirx.Select(moved < _f32(ABOVE), moved, _f32(ABOVE))
    return tirx.Cast("uint8", tirx.Cast("int32", known))


def _write(depth: int, x: Any, q: Any, row: Any, convert: Callable[[Any], Any]) -> None:
    whole = depth // LANES
    if whole:
        with T.serial(whole) as i, T.vectorized(LANES) as j:
            k = i * LANES + j
            T.buffer_store(q, convert(x[row, k]), [row, k])
    for start, count in chunks(depth - whole * LANES):
        with T.vectorized(count) as j:
            k = whole * LANES + start + j
            T.buffer_store(q, convert(x[row, k]), [row, k])


def to_byte(value: Any, inverse: Any, half: Any) -> Any:
    """The formula above, of an expression; `half` is the zero point and a half."""
    return bounded_byte(value * inverse + half, _f32(0.0), _f32(ABOVE))


def bounded_byte(moved: Any, low: Any, high: Any) -> Any:
    """A value in steps, half a step up, kept between the bounds, as a byte. A NaN: `low`."""
    above = tirx.Select(moved > low, moved, low)
    inside = tirx.Select(above < high, above, high)
    return tirx.Cast("uint8", tirx.Cast("int32", inside))


def _magnitude(value: Any) -> Any:
    """The bits of a float32 without its sign."""
    return T.reinterpret("int32", value) & tirx.const(0x7FFFFFFF, "int32")


def _f32(value: float) -> Any:
    return tirx.const(value, "float32")
