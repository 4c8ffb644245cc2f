"""The CPUs that a module can be compiled for: what each must be able to do, and its registers."""

from __future__ import annotations

import difflib
import platform
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rtcompile.errors import UnsupportedError

__all__ = ["TARGETS", "CpuTarget", "Registers", "resolve_target", "resolve_targets", "runs_here"]

_FLOAT_BITS = 32
_NARROWEST = 8


@dataclass(frozen=True)
class Registers:
    """The vector registers of a CPU: how many, of how many bits, and whether a product is fused.

    A dense block keeps rows x columns of sums in registers. A step of its depth loads a row of
    weights and broadcasts one value of each row: the weights take a register a vector, the
    broadcast one, and so does a product that is not fused with its addition.

    `int8`: the instruction that multiplies bytes, by its name in `codegen/dot_product.py`, or "".
    `bf16`: whether there is one that multiplies pairs of bfloat16.
    """

    count: int
    bits: int
    fused: bool = True
    int8: str = ""
    bf16: bool = False

    def block_rows(self, columns: int) -> int:
        """Rows of a block of `columns` columns: as many as the registers hold."""
        vectors = max(1, columns * _FLOAT_BITS // self.bits)
        return (self.count - vectors - (1 if self.fused else 2)) // vectors

    def widest_panel(self) -> int:
        """Columns of the block that multiplies most often a load; a power of two, 8 at least."""
        widths = [_NARROWEST << k for k in range(5)]
        return max((w for w in widths if self.block_rows(w) > 0), key=self._products_a_load)

    def _products_a_load(self, columns: int) -> float:
        rows, vectors = self.block_rows(columns), max(1, columns * _FLOAT_BITS // self.bits)
        return rows * vectors / (rows + vectors)


@dataclass(frozen=True)
class CpuTarget:
    """A CPU level. `features` are the flags of /proc/cpuinfo that the machine must show."""

    name: str
    machine: str
    features: tuple[str, ...]
    registers: Registers
    mcpu: str
    mattr: tuple[str, ...] = ()

    @property
    def triple(self) -> str:
        """The GNU name of the machine, as compilers and linkers take it."""
        return f"{self.machine}-linux-gnu"

    def tvm_target(self) -> dict[str, Any]:
        """The target as TVM takes it."""
        target: dict[str, Any] = {
            "kind": "llvm",
            "mtriple": self.triple,
            "mcpu": self.mcpu,
            "num-cores": 1,
        }
        if self.mattr:
            target["mattr"] = list(self.mattr)
        return target


_V2 = ("sse4_2", "popcnt", "ssse3")
_V3 = (*_V2, "avx2", "fma", "bmi2", "f16c")
_V4 = (*_V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
_VNNI = (*_V4, "avx512_vnni")
_BF16 = (*_VNNI, "avx512_bf16")
_ARM = ("fp", "asimd")
_N1 = (*_ARM, "aes", "atomics", "asimddp", "asimdhp", "asimdrdm", "crc32", "fphp", "lrcpc")
_V1 = (*_N1, "bf16", "fcma", "i8mm", "jscvt")

_SSE, _AVX2, _AVX512 = Registers(16, 128, fused=False), Registers(16, 256), Registers(32, 512)
_AVX512_VNNI = replace(_AVX512, int8="avx512_vnni")
_AVX512_BF16 = replace(_AVX512_VNNI, bf16=True)
_NEON = Registers(32, 128)
_NEON_DOT = replace(_NEON, int8="neon_dotprod")

# LLVM prefers 256-bit vectors at this level; every CPU that has it today gains from 512. And where
# it unrolled a loop over columns, it would vectorise the one over rows, by gathers and scatters.
_WIDE = ("-prefer-256-bit", "+prefer-no-gather", "+prefer-no-scatter")
_WIDE_VNNI = (*_WIDE, "+avx512vnni")
_WIDE_BF16 = (*_WIDE_VNNI, "+avx512bf16")

# Of each machine from the least to the most able; `host` is the last one that this one can run.
TARGETS: dict[str, CpuTarget] = {
    target.name: target
    for target in (
        CpuTarget("x86-64-v2", "x86_64", _V2, _SSE, "x86-64-v2"),
        CpuTarget("x86-64-v3", "x86_64", _V3, _AVX2, "x86-64-v3"),
        CpuTarget("x86-64-v4", "x86_64", _V4, _AVX512, "x86-64-v4", _WIDE),
        CpuTarget("x86-64-v4-vnni", "x86_64", _VNNI, _AVX512_VNNI, "x86-64-v4", _WIDE_VNNI),
        CpuTarget("x86-64-v4-bf16", "x86_64", _BF16, _AVX512_BF16, "x86-64-v4", _WIDE_BF16),
        CpuTarget("aarch64-generic", "aarch64", _ARM, _NEON, "generic"),
        CpuTarget("aarch64-neoverse-n1", "aarch64", _N1, _NEON_DOT, "neoverse-n1"),
        # Its two SVE units of 256 bits do as much as its four of NEON, which the kernels fill.
        CpuTarget("aarch64-neoverse-v1", "aarch64", _V1, _NEON_DOT, "neoverse-v1", ("-sve",)),
    )
}


def cpu_flags() -> frozenset[str]:
    """The flags of this machine's CPU, as Linux names them."""
    for line in Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines():
        if line.startswith(("flags", "Features")):
            return frozenset(line.split(":", 1)[1].split())
    return frozenset()


def runs_here(target: CpuTarget) -> bool:
    """Whether this machine can run the target's code."""
    return platform.machine() == target.machine and cpu_flags().issuperset(target.features)


def resolve_targets(names: Iterable[str]) -> tuple[CpuTarget, ...]:
    """The targets of these names, each once, those of a machine from the least to the most able.

    Raises UnsupportedError.
    """
    wanted = {resolve_target(name).name for name in names}
    if not wanted:
        raise UnsupportedError("no target is named: give one at least")
    return tuple(target for name, target in TARGETS.items() if name in wanted)


def resolve_target(name: str) -> CpuTarget:
    """The target called `name`; "host" is the best one that this machine can run."""
    if name == "host":
        able = [target for target in TARGETS.values() if runs_here(target)]
        if not able:
            raise UnsupportedError(
                f"this machine's CPU ({platform.machine()}) is below every target: name a --target "
                f"to compile for another ({', '.join(TARGETS)})"
            )
        return able[-1]
    if name not in TARGETS:
        near = difflib.get_close_matches(name, ["host", *TARGETS], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UnsupportedError(
            f"target {name!r} is not supported{hint} Supported: host, {', '.join(TARGETS)}"
        )
    return TARGETS[name]
