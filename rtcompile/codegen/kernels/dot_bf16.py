"""bfloat16: float32 without its lower half, and the instructions that round to and multiply it.

    acc[lane] += a[0] * b[lane, 0] + a[1] * b[lane, 1]       acc float32

TVM's code generator turns a bfloat16 vector into float32 before an intrinsic sees it. So the
instructions come in as LLVM text: functions over bits, which are always inlined.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.relay_passes.kernels.quantize_dense import PAIR

__all__ = [
    "BF16_LANES",
    "DOT_BF16_LLVM",
    "dot_bf16",
    "padded_pairs",
    "to_bf16",
    "vector_to_bf16",
]

BF16_LANES = 16

_NAME, _ROUND = "rtc_dot_bf16", "rtc_round_bf16"

DOT_BF16_LLVM = f"""
declare <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(
  <16 x float>, <32 x bfloat>, <32 x bfloat>)
define <16 x float> @{_NAME}(<16 x float> %acc, <16 x i32> %a, <16 x i32> %b) {{
  %x = bitcast <16 x i32> %a to <32 x bfloat>
  %y = bitcast <16 x i32> %b to <32 x bfloat>
  %r = call <16 x float> @llvm.x86.avx512bf16.dpbf16ps.512(
    <16 x float> %acc, <32 x bfloat> %x, <32 x bfloat> %y)
  ret <16 x float> %r
}}
declare <16 x bfloat> @llvm.x86.avx512bf16.cvtneps2bf16.512(<16 x float>)
define <16 x i16> @{_ROUND}(<16 x float> %x) {{
  %r = call <16 x bfloat> @llvm.x86.avx512bf16.cvtneps2bf16.512(<16 x float> %x)
  %bits = bitcast <16 x bfloat> %r to <16 x i16>
  ret <16 x i16> %bits
}}
"""


def padded_pairs(depth: int) -> int:
    """Pairs of a row of `depth` values; the last one is filled up with a zero weight."""
    return -(-depth // PAIR)


def dot_bf16(acc: Any, pair: Any, weights: Any) -> Any:
    """acc + the products. `pair`: an int32 of two values; `weights`: int32 [16], a pair a lane."""
    broadcast = tirx.Broadcast(pair, BF16_LANES)
    return T.call_pure_extern(f"float32x{BF16_LANES}", _NAME, acc, broadcast, weights)


def to_bf16(value: Any) -> Any:
    """A float32 expression as the bits of a bfloat16, uint16: to the nearest, ties to even."""
    bits = T.reinterpret("uint32", value)
    half = (bits >> _u32(16)) & _u32(1)
    rounded = (bits + half + _u32(0x7FFF)) >> _u32(16)
    # Rounding could carry a NaN over into an infinity.
    return tirx.Cast("uint16", tirx.Select(tirx.isnan(value), _u32(0x7FC0), rounded))


def vector_to_bf16(values: Any) -> Any:
    """A vector of 16 float32 as bits, uint16; the instruction takes denormals for zero."""
    return T.call_pure_extern(f"uint16x{BF16_LANES}", _ROUND, values)


def _u32(value: int) -> Any:
    return tirx.const(value, "uint32")
