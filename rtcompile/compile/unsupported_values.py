"""Turn what TVM raises on a graph into a refusal that names the value which it failed on.

Each value's variable has the name of its node (`frontends/onnx/graph_importer.py`). Where a phase
fails, the values are lowered one by one: the first that fails alone is the one to name.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tvm import relax
from tvm.ir import IRModule

from rtcompile.errors import RtcompileError, UnsupportedError
from rtcompile.relay_passes.errors import PassError
from rtcompile.relay_passes.matching import bindings, call_name, reads

__all__ = ["named_failures"]

_LONGEST = 300


@contextmanager
def named_failures(what: str, *modules: Any) -> Iterator[None]:
    """Have what a phase raises on `modules` be an UnsupportedError.

    `what`: the model's path. RtcompileError passes, a PassError becomes an UnsupportedError.
    """
    try:
        yield
    except RtcompileError:
        raise
    except PassError as error:
        raise UnsupportedError(f"{what}: {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # TVM's errors have no base class in common
        culprit = next((name for module in modules for name in _failing(module)), "the graph")
        lines = [line for line in str(error).strip().splitlines() if line.strip()]
        said = (lines or [type(error).__name__])[-1].strip()
        raise UnsupportedError(
            f"{what}: {culprit} cannot be compiled in this form: {said[:_LONGEST]}; export the "
            "model without it, and report the model if you can"
        ) from error


def _failing(module: Any) -> Iterator[str]:
    """What cannot be legalised alone: operator and variable."""
    for var, value in bindings(module["main"]).items():
        name = call_name(value) or ""
        if not name.startswith("relax.") or name.startswith("relax.call_"):
            continue
        try:
            _legalize_alone(var, value)
        except Exception:  # the same classes as above
            yield f"{name.removeprefix('relax.')} (node {var.name})"


def _legalize_alone(var: Any, value: Any) -> None:
    parameters = reads(value)
    body = relax.SeqExpr([relax.DataflowBlock([relax.VarBinding(var, value)])], var)
    function = relax.Function(parameters, body, var.ty).with_attr("global_symbol", "main")
    relax.transform.LegalizeOps()(IRModule({"main": function}))
