"""The CPUs that a module can be compiled for, and what each must be able to do."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtcompile.errors import UnsupportedError

__all__ = ["TARGETS", "CpuTarget", "resolve_target"]


@dataclass(frozen=True)
class CpuTarget:
    """A CPU level. `features` are the flags of /proc/cpuinfo that the machine must show.

    `widest_panel`: columns of the widest dense panel that fits the vector registers with 6 rows.
    """

    name: str
    machine: str
    features: tuple[str, ...]
    widest_panel: int
    mcpu: str
    mattr: tuple[str, ...] = ()
    triple: str = ""

    def tvm_target(self) -> dict[str, Any]:
        """The target as TVM takes it."""
        target: dict[str, Any] = {"kind": "llvm", "mcpu": self.mcpu, "num-cores": 1}
        if self.mattr:
            target["mattr"] = list(self.mattr)
        if self.triple:
            target["mtriple"] = self.triple
        return target


_V2 = ("sse4_2", "popcnt", "ssse3")
_V3 = (*_V2, "avx2", "fma", "bmi2", "f16c")
_V4 = (*_V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")

# From the least to the most able; `host` is the last one this machine can run.
TARGETS: dict[str, CpuTarget] = {
    target.name: target
    for target in (
        CpuTarget("x86-64-v2", "x86_64", _V2, 8, "x86-64-v2"),
        CpuTarget("x86-64-v3", "x86_64", _V3, 16, "x86-64-v3"),
        # LLVM prefers 256-bit vectors at this level; every CPU that has it today gains from 512.
        CpuTarget("x86-64-v4", "x86_64", _V4, 64, "x86-64-v4", ("-prefer-256-bit",)),
    )
}


def cpu_flags() -> frozenset[str]:
    """The flags of this machine's CPU, as Linux names them."""
    for line in Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines():
        if line.startswith(("flags", "Features")):
            return frozenset(line.split(":", 1)[1].split())
    return frozenset()


def resolve_target(name: str) -> CpuTarget:
    """The target called `name`; "host" is the best one that this machine can run."""
    if name == "host":
        flags = cpu_flags()
        able = [target for target in TARGETS.values() if flags.issuperset(target.features)]
        if not able:
            raise UnsupportedError(
                "this machine's CPU is below x86-64-v2: name a --target to compile for another"
            )
        return able[-1]
    if name not in TARGETS:
        near = difflib.get_close_matches(name, ["host", *TARGETS], n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UnsupportedError(
            f"target {name!r} is not supported{hint} Supported: host, {', '.join(TARGETS)}"
        )
    return TARGETS[name]
