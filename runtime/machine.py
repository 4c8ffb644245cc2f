"""What this machine can run."""

from __future__ import annotations

import platform
from pathlib import Path
from typing import Any

from runtime.errors import TargetError

__all__ = ["check_target"]


def check_target(path: Path, target: dict[str, Any]) -> None:
    """Raise TargetError unless this machine is what `target`, of a manifest, asks for."""
    if platform.machine() != target["machine"]:
        raise TargetError(
            f"{path}: compiled for {target['name']} on {target['machine']}, but this machine is "
            f"{platform.machine()}; build with a matching --target"
        )
    missing = sorted(set(target["features"]) - _cpu_flags())
    if missing:
        raise TargetError(
            f"{path}: compiled for {target['name']}, but this CPU lacks {', '.join(missing)}; "
            "build with a lower --target"
        )


def _cpu_flags() -> frozenset[str]:
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", errors="replace")
    except OSError:
        return frozenset()
    for line in text.splitlines():
        if line.startswith(("flags", "Features")):
            return frozenset(line.split(":", 1)[1].split())
    return frozenset()
