"""What this machine can run."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rtcompile.runtime.errors import TargetError

__all__ = ["check_target", "last_runnable", "what_lacks"]

Target = Mapping[str, Any]  # of a manifest: its name, machine and features


def check_target(path: Path, targets: Sequence[Target]) -> None:
    """Raise TargetError unless this machine can run code for one of `targets`."""
    reasons = [what_lacks(target) for target in targets]
    if "" in reasons:
        return
    if len(targets) == 1:
        name, machine = targets[0]["name"], targets[0]["machine"]
        raise TargetError(f"{path}: compiled for {name} on {machine}, but {reasons[0]}")
    listed = "".join(
        f"\n  - {t['name']} on {t['machine']}: {r}" for t, r in zip(targets, reasons, strict=True)
    )
    raise TargetError(f"{path}: this machine can run none of its targets:{listed}")


def last_runnable(targets: Sequence[Target]) -> int:
    """The index of the last that this machine can run; of the very last if there is none."""
    able = [
        index for index, target in enumerate(targets) if len(targets) > 1 and not what_lacks(target)
    ]
    return able[-1] if able else len(targets) - 1


def what_lacks(target: Target) -> str:
    """What this machine lacks for the target and what to do, or ''."""
    if platform.machine() != target["machine"]:
        return f"this machine is {platform.machine()}; build with a matching --target"
    missing = sorted(set(target["features"]) - _cpu_flags())
    if missing:
        return f"this CPU lacks {', '.join(missing)}; build with a lower --target"
    return ""


def _cpu_flags() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        if line.startswith(("flags", "Features")):
            return frozenset(line.split(":", 1)[1].split())
    return frozenset()
