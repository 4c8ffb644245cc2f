"""Instructions that multiply bytes four at a time: what int8 dense layers are made of.

    acc[lane] += sum over i < 4 of q[i] * w[lane, i]          q unsigned, w signed, acc int32

AVX512-VNNI takes q and w as they are. NEON's multiplies two signed numbers: q - 128 is given to it,
by one exclusive or, and the missing 128 times the sum of w is part of what acc begins with
(`DotProduct.shift`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

__all__ = ["DOT_PRODUCTS", "DotProduct"]


@dataclass(frozen=True)
class DotProduct:
    """An instruction of `lanes` int32 sums. `shift` is taken from q before it is multiplied."""

    intrinsic: str
    lanes: int
    shift: int

    def emit(self, acc: Any, four: Any, weights: Any) -> Any:
        """acc + the products. `four`: an int32 of four bytes; `weights`: int8 [4 x lanes]."""
        if self.shift:
            four = four ^ tirx.const(-0x7F7F7F80, "int32")  # 0x80 in each byte
        bytes_of = T.reinterpret(f"int8x{4 * self.lanes}", tirx.Broadcast(four, self.lanes))
        dtype = f"int32x{self.lanes}"
        return T.call_llvm_pure_intrin(dtype, self.intrinsic, acc, bytes_of, weights)


DOT_PRODUCTS = {
    "avx512_vnni": DotProduct("llvm.x86.avx512.vpdpbusd.512", 16, 0),
    "neon_dotprod": DotProduct("llvm.aarch64.neon.sdot.v4i32.v16i8", 4, 128),
}
