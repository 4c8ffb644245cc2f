"""Keep lower precision between layers: a layer writes what the next one reads.

    y = rtc.dense_int8.FORM.float32.STEPS(...)       ->  q = rtc.dense_int8.FORM.uint8.STEPS(..., r)
    q = rtc.quantize.static(y, r)

    y = rtc.dense_bf16.float32.STEPS(...)            ->  h = rtc.dense_bf16.uint16.STEPS(...)
    h = rtc.to_bf16(y)

where one such call, of whatever many layers, is all that reads y. The layer's way out then rounds
its results, and the float32 values never reach memory. A reshape between the two is looked through
where it keeps the last axis.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.kernels.quantize_dense import (
    DENSE_BF16,
    DENSE_INT8,
    QUANTIZE,
    TO_BF16,
)
from rtcompile.relay_passes.matching import (
    bindings,
    call_name,
    kernel_symbol,
    rewrite_main,
    shape_of,
    use_counts,
)
from rtcompile.relay_passes.report import PassReport

__all__ = ["keep_lowered"]


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        function = mod["main"]
        self._bound, self._uses = bindings(function), use_counts(function)

    def visit_call_(self, op: Any) -> Any:
        name = kernel_symbol(op)
        if name not in (f"{QUANTIZE}.static", TO_BF16):
            return super().visit_call_(op)
        source, *entry = op.args[1].fields
        layer = self._layer(source, DENSE_INT8 if entry else DENSE_BF16)
        if layer is None:
            return super().visit_call_(op)
        self._report.applied += 1
        head, streams, lower = _fields(layer)
        fields = [self.visit_expr(field) for field in (*head, *entry, *streams)]
        return relax.op.call_dps_packed(lower, relax.Tuple(fields), out_ty=op.ty)

    def _layer(self, source: Any, kind: str) -> Any:
        """The layer of a kind that `source` is the result of, where nobody else reads it."""
        value: Any = self._bound.get(source)
        if self._uses.get(source) != 1:
            return None
        if call_name(value) == "relax.reshape" and isinstance(value.args[0], relax.Var):
            before, after = shape_of(value.args[0]) or (), shape_of(source) or ()
            if before[-1:] != after[-1:] or self._uses.get(value.args[0]) != 1:
                return None
            value = self._bound.get(value.args[0])
        return value if kernel_symbol(value).startswith(f"{kind}.") and _is_float(value) else None


def _parts(layer: Any) -> tuple[str, list[str], str]:
    """(the kind of a layer with its form, its output and steps, what the output is otherwise)."""
    name = kernel_symbol(layer)
    if name.startswith(f"{DENSE_INT8}."):
        form, *rest = name[len(DENSE_INT8) + 1 :].split(".", 2)
        return f"{DENSE_INT8}.{form}", rest, "uint8"
    return DENSE_BF16, name[len(DENSE_BF16) + 1 :].split(".", 1), "uint16"


def _is_float(layer: Any) -> bool:
    return _parts(layer)[1][0] == "float32"


def _fields(layer: Any) -> tuple[list[Any], list[Any], str]:
    """The fields before and behind the place of a range, and the name of the call with it."""
    kind, rest, lower = _parts(layer)
    fields = list(layer.args[1].fields)
    count = {DENSE_BF16: 3, f"{DENSE_INT8}.dynamic": 6}.get(kind, 5)
    return fields[:count], fields[count:], ".".join([kind, lower, *rest[1:]])


def keep_lowered(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such pair of `main`. Idempotent."""
    return rewrite_main(mod, _Rewriter(mod, report))
