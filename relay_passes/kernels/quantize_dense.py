"""Bring dense layers to the precision that the plan gives them.

int8, with the input's range known, or with one of its own a row:

    rtc.dense.STEPS(x, W, b, streams)
      ->  q = rtc.quantize.static(x, [1 / s, z])
          rtc.dense_int8.static.float32.STEPS(q, W', start, factor, b, streams)
      ->  q, scale = rtc.quantize.signed(x)         "unsigned" where x has no negative value
          rtc.dense_int8.dynamic.float32.STEPS(q, W', start, factor, b, scale, streams)

W' = round(W / t), t of each column its largest magnitude / 127, unless the plan gives it; factor =
s t; start = -z sum W', what the zero point adds to each column's sum. bf16:

      ->  rtc.dense_bf16.float32.STEPS(rtc.to_bf16(x), bits of W, b, streams)

A layer of less than LEAST_DEPTH x LEAST_COLUMNS stays: bringing its input down costs more than it
saves. Layers that read the same value share what is made of it.

To calibrate, the plan may ask for less or more: `rtc.observe.K(x)`, which counts x, in the place of
layer K's input; or every precision beside the others, and `rtc.select.K(them)` that takes one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.dialect.epilogue import Epilogue
from rtcompile.relay_passes.kernels.fuse_dense import dense_steps, is_dense
from rtcompile.relay_passes.kernels.gather_blocks import BLOCKS
from rtcompile.relay_passes.kernels.precision import (
    FLOAT32,
    LayerPrecision,
    Mode,
    PrecisionPlan,
)
from rtcompile.relay_passes.kernels.trim_sequences import most_rows
from rtcompile.relay_passes.matching import (
    bindings,
    call_name,
    constant_array,
    kernel_symbol,
    rewrite_main,
    shape_of,
)
from rtcompile.relay_passes.report import PassReport
from rtcompile.relay_passes.stage.split_stages import SPREAD

__all__ = [
    "BYTES_A_STEP",
    "DENSE_BF16",
    "DENSE_INT8",
    "DYNAMIC_ZERO",
    "LEAST_COLUMNS",
    "LEAST_DEPTH",
    "OBSERVE",
    "PAIR",
    "QUANTIZE",
    "SELECT",
    "TO_BF16",
    "DenseLayer",
    "bf16_bits",
    "dense_layers",
    "describe_layers",
    "quantize_dense",
    "quantize_weight",
]

DENSE_INT8, DENSE_BF16 = "rtc.dense_int8", "rtc.dense_bf16"
QUANTIZE, TO_BF16 = "rtc.quantize", "rtc.to_bf16"
OBSERVE, SELECT = "rtc.observe", "rtc.select"

LEAST_DEPTH, LEAST_COLUMNS = 16, 16

# Values of a row that one instruction takes: rows of bytes and of bf16 are padded to whole ones.
BYTES_A_STEP, PAIR = 4, 2

# The zero point of a row that has a range of its own, and values of both signs.
DYNAMIC_ZERO = 128

_NEVER_NEGATIVE = ("relax.nn.relu", "relax.sigmoid", "relax.exp", "relax.abs", "relax.nn.softmax")


@dataclass(frozen=True)
class DenseLayer:
    """A layer that can be quantized. `rows`: of its input, for each row of its stage."""

    stage: str
    depth: int
    columns: int
    rows: int


def dense_layers(function: Any) -> dict[Any, Any]:
    """The dense layers of a function that can be quantized: variable -> call, in order."""
    found = {}
    for var, value in bindings(function).items():
        if not is_dense(value):
            continue
        depth, columns = shape_of(value.args[1].fields[1]) or (0, 0)
        if depth >= LEAST_DEPTH and columns >= LEAST_COLUMNS:
            found[var] = value
    return found


def quantize_weight(
    weight: npt.NDArray[np.float32], columns: npt.NDArray[np.float32] | None = None
) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """W [depth, columns] as int8, and the scale of each column.

    By the scales that are given, or by each column's largest magnitude: q in [-127, 127] then. A
    column of zeros has the scale 0; one with a NaN or an infinity has the scale NaN.
    """
    if columns is not None:
        rounded = np.round(weight / np.where(columns != 0, columns, np.float32(1)))
        return np.clip(rounded, -128, 127).astype(np.int8), columns
    largest = np.abs(weight).max(axis=0)
    finite = np.isfinite(largest)
    scale = np.where(finite, largest / np.float32(127), np.float32(np.nan))
    divisor = np.where(finite & (scale > 0), scale, np.float32(1))
    rounded = np.round(np.where(np.isfinite(weight), weight, 0) / divisor)
    return np.clip(rounded, -127, 127).astype(np.int8), scale.astype(np.float32)


def bf16_bits(array: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """To the nearest bfloat16, ties to even."""
    bits = np.ascontiguousarray(array, np.float32).view(np.uint32).astype(np.uint64)
    rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
    return np.where(np.isnan(array), 0x7FC0, rounded).astype(np.uint16)


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport, plan: PrecisionPlan) -> None:
        super().__init__(mod)
        self._report, self._plan = report, plan
        self._bound = bindings(mod["main"])
        layers = dense_layers(mod["main"]).values()
        self._names = [(call, f"{report.stage}/{k}") for k, call in enumerate(layers)]
        self._made: dict[tuple[Any, ...], Any] = {}

    def visit_call_(self, op: Any) -> Any:
        call = super().visit_call_(op)
        name = next((name for layer, name in self._names if layer.same_as(op)), None)
        if name is None:
            return call
        given = self._plan.layers.get(name, FLOAT32)
        if self._plan.mode is Mode.OBSERVE:
            return self._observed(call, name)
        if self._plan.mode is Mode.SWITCH:
            return self._switched(call, name, op, given)
        return self._as(given, call, op)

    def _as(self, given: LayerPrecision, call: Any, op: Any) -> Any:
        """The call, in the precision that is given."""
        if given.level == "float32":
            return call
        self._report.applied += 1
        if given.level == "bf16":
            return self._bf16(call, op)
        return self._int8(call, op, given)

    def _bf16(self, call: Any, op: Any) -> Any:
        source, weight, bias, *streams = call.args[1].fields
        matrix = constant_array(weight)
        assert matrix is not None  # it is a dense layer's
        values = self._once(("bf16", source), lambda: _lowered(source, TO_BF16, PAIR, "uint16"))
        name = f"{DENSE_BF16}.float32.{dense_steps(call)}"
        fields = [values, relax.const(bf16_bits(matrix)), bias, *streams]
        return relax.op.call_dps_packed(name, relax.Tuple(fields), out_ty=op.ty)

    def _int8(self, call: Any, op: Any, given: LayerPrecision) -> Any:
        source, weight, bias, *streams = call.args[1].fields
        matrix = constant_array(weight)
        assert matrix is not None  # it is a dense layer's
        bytes_, columns = quantize_weight(matrix, given.columns)
        total = bytes_.astype(np.int32).sum(axis=0, dtype=np.int32)
        if given.scale is not None:
            scale, zero, form = np.float32(given.scale), given.zero, "static"
            q, more = self._static(source, given), []
        else:
            signed = not self._never_negative(op.args[1].fields[0])
            scale, zero, form = np.float32(1), DYNAMIC_ZERO if signed else 0, "dynamic"
            q, row_scale = self._dynamic(source, "signed" if signed else "unsigned")
            more = [row_scale]
        constants = [bytes_, np.int32(-zero) * total, scale * columns]
        fields = [q, *map(relax.const, constants), bias, *more, *streams]
        name = f"{DENSE_INT8}.{form}.float32.{dense_steps(call)}"
        return relax.op.call_dps_packed(name, relax.Tuple(fields), out_ty=op.ty)

    def _static(self, source: Any, given: LayerPrecision) -> Any:
        assert given.scale is not None
        entry = np.array([1 / given.scale, given.zero], np.float32)

        def make() -> Any:
            name = f"{QUANTIZE}.static"
            return _lowered(source, name, BYTES_A_STEP, "uint8", relax.const(entry))

        return self._once(("static", given.scale, given.zero, source), make)

    def _dynamic(self, source: Any, form: str) -> tuple[Any, Any]:
        def make() -> Any:
            extents = list(source.ty.shape.values)
            types = [
                relax.TensorType([*extents[:-1], _padded(extents[-1], BYTES_A_STEP)], "uint8"),
                relax.TensorType([*extents[:-1], 1], "float32"),
            ]
            name = f"{QUANTIZE}.{form}"
            return relax.op.call_dps_packed(name, relax.Tuple([source]), out_ty=types)

        both = self._once((form, source), make)
        return tuple(
            self._once((form, index, source), lambda index=index: relax.TupleGetItem(both, index))
            for index in range(2)
        )

    def _once(self, key: tuple[Any, ...], make: Any) -> Any:
        if key not in self._made:
            self._made[key] = self.builder_.emit(make())
        return self._made[key]

    def _observed(self, call: Any, name: str) -> Any:
        source, *others = call.args[1].fields
        if kernel_symbol(self.lookup_binding(source)).startswith(f"{OBSERVE}."):
            return call
        self._report.applied += 1
        number = name.rsplit("/", 1)[1]
        seen = relax.op.call_dps_packed(
            f"{OBSERVE}.{number}", relax.Tuple([source]), out_ty=source.ty
        )
        fields = relax.Tuple([self.builder_.emit(seen), *others])
        return relax.op.call_dps_packed(kernel_symbol(call), fields, out_ty=call.ty)

    def _switched(self, call: Any, name: str, op: Any, given: LayerPrecision) -> Any:
        number = name.rsplit("/", 1)[1]
        forms = []
        for level in self._plan.levels:
            as_given = given if given.level == level else LayerPrecision(level)
            forms.append(self.builder_.emit(self._as(as_given, call, op)))
        return relax.op.call_dps_packed(f"{SELECT}.{number}", relax.Tuple(forms), out_ty=op.ty)

    def _never_negative(self, expression: Any) -> bool:
        """Whether a value of the function before the pass is known to have no negative element."""
        value: Any = self._bound.get(expression)
        name = call_name(value)
        if name in ("relax.reshape", "relax.permute_dims"):
            return self._never_negative(value.args[0])
        symbol = kernel_symbol(value)
        if symbol.startswith("rtc.softmax."):
            return True
        if symbol.startswith(f"{BLOCKS}.") or symbol == SPREAD:
            # What they join and multiply; the table of blocks is a constant.
            parts = [part for part in value.args[1].fields if isinstance(part, relax.Var)]
            return all(map(self._never_negative, parts))
        if value is not None and is_dense(value):
            steps = Epilogue.parse(dense_steps(value)).steps
            last = steps[-1] if steps else None
            return last is not None and (
                last.operator in ("sigmoid", "exp", "abs")
                or (last.operator == "maximum" and "0.0" in last.operands)
            )
        return name in _NEVER_NEGATIVE


def _padded(extent: Any, step: int) -> int:
    return -(-int(extent) // step) * step


def _lowered(source: Any, name: str, step: int, dtype: str, *more: Any) -> Any:
    """A call that brings `source` down to `dtype`, its rows padded to whole steps."""
    extents = list(source.ty.shape.values)
    ty = relax.TensorType([*extents[:-1], _padded(extents[-1], step)], dtype)
    return relax.op.call_dps_packed(name, relax.Tuple([source, *more]), out_ty=ty)


def describe_layers(mod: IRModule, stage: str) -> dict[str, DenseLayer]:
    """The layers of `main` that can be quantized, by name."""
    found = {}
    for number, call in enumerate(dense_layers(mod["main"]).values()):
        source, weight = call.args[1].fields[:2]
        depth, columns = shape_of(weight) or (0, 0)
        rows = [
            extent if isinstance(extent, int) else most_rows(extent)
            for extent in (shape_of(source) or ())[:-1]
        ]
        found[f"{stage}/{number}"] = DenseLayer(stage, depth, columns, math.prod(rows))
    return found


def quantize_dense(mod: IRModule, report: PassReport, plan: PrecisionPlan) -> IRModule:
    """Rewrite every layer of `main` that the plan names. Idempotent: what is done is no layer."""
    return rewrite_main(mod, _Rewriter(mod, report, plan))
