"""Which calls are brief, by what `runtime/process/brief_calls.py` has found out."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.structs import Struct
from rtcompile.runtime.abi.brief_calls import BriefRows

__all__ = ["is_brief", "is_tried"]


def is_brief(rows: Any, brief: Struct) -> Any:
    """Emit whether a call of so many rows is known to be brief."""
    return T.Bind(rows <= brief[BriefRows.MOST])


def is_tried(rows: Any, brief: Struct) -> Any:
    """Emit whether it is known if it is."""
    most, least = brief[BriefRows.MOST], brief[BriefRows.LEAST_LONG]
    return T.Bind(tirx.Or(rows <= most, rows >= least))
