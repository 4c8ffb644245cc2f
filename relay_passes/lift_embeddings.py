"""Recognise embedding look-ups: a `take` of rows of a constant matrix by integer ids.

    take(W, ids, axis=0)   ->   call_dps_packed("rtc.embedding_lookup", (W, ids))

W is a constant [rows, d], ids an integer tensor of any shape. Behind the name stands a kernel that
checks every id; the table leaves the graph's constants for a section of its own, so that it can be
memory-mapped and updated. The ids may come straight from a graph input or, as deepctr-torch exports
it, from a column of a float matrix (`strided_slice`, then `astype`).
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir import IRModule

from relay_passes.matching import call_name, constant_array, dtype_of, rewrite_main
from relay_passes.report import PassReport

__all__ = ["EMBEDDING_LOOKUP", "lift_embeddings"]

EMBEDDING_LOOKUP = "rtc.embedding_lookup"


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):  # type: ignore[misc]
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report

    def visit_call_(self, op: Any) -> Any:
        call = super().visit_call_(op)
        if call_name(call) != "relax.take":
            return call
        table, ids = call.args
        matrix = constant_array(table)
        if matrix is None or matrix.ndim != 2 or int(call.attrs.axis) != 0:
            return call
        if str(matrix.dtype) != "float32" or dtype_of(ids) not in ("int32", "int64"):
            self._report.refused.append(f"take from {matrix.dtype} by {dtype_of(ids)}")
            return call
        self._report.applied += 1
        return relax.op.call_dps_packed(
            EMBEDDING_LOOKUP, relax.Tuple([table, ids]), out_ty=op.ty
        )


def lift_embeddings(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every look-up of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
