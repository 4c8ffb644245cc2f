"""Fold what reads no variable, and spend no time on the rest.

Upstream's FoldConstant legalises every operator before it looks whether there is anything to fold:
seconds for thousands of operators. Here it is given a function of nothing but what can be folded,
legalised as the kernels of a build are: a constant NaN stays one in a maximum. What numpy computes
to the same bits, no kernel is compiled for (`constant_arrays.py`).
"""

from __future__ import annotations

from typing import Any

from tvm import relax, tirx
from tvm.ir import GenericConst, IRModule

from rtcompile.relay_passes.exact.exact_legalize import EXACT_LEGALIZATIONS
from rtcompile.relay_passes.exact.exact_values import exact_extremes
from rtcompile.relay_passes.matching import bindings, call_name, reads, rewrite_main
from rtcompile.relay_passes.simplify.constant_arrays import constant_result

__all__ = ["fold_constants"]


@relax.expr_functor.mutator
class _Substitution(relax.PyExprMutator):
    def __init__(self, mod: IRModule, values: dict[Any, Any]) -> None:
        super().__init__(mod)
        self._values = values

    def visit_dataflow_var_(self, op: Any) -> Any:
        return self._values[op] if op in self._values else super().visit_dataflow_var_(op)

    def visit_var_(self, op: Any) -> Any:
        return self._values[op] if op in self._values else super().visit_var_(op)


def fold_constants(mod: IRModule) -> IRModule:
    """`mod` with what `main` computes from nothing but constants replaced by its value."""
    bound = bindings(mod["main"])
    foldable: dict[Any, Any] = {}
    arrays: dict[Any, Any] = {}
    for var, value in bound.items():
        if _of_constants(value) and all(read in foldable for read in reads(value)):
            array = constant_result(value, arrays)
            if array is None:
                foldable[var] = value
            else:
                arrays[var], foldable[var] = array, relax.const(array, str(array.dtype))
    values = {var: foldable[var] for var in arrays} | _values(foldable)
    return rewrite_main(mod, _Substitution(mod, values)) if values else mod


def _of_constants(value: Any) -> bool:
    """Whether a value is made of what it reads and constants, of a shape that is known."""
    if isinstance(value, relax.Call):
        name = call_name(value) or ""
        known = name.startswith("relax.") and not name.startswith("relax.call_")
        return known and not relax.analysis.free_symbolic_vars(value)
    return isinstance(value, GenericConst | relax.Tuple | relax.TupleGetItem)


def _values(foldable: dict[Any, Any]) -> dict[Any, Any]:
    """The constants that these bindings come to."""
    wanted = [var for var in foldable if isinstance(var.ty, relax.TensorType)]
    if not any(isinstance(value, relax.Call) for value in foldable.values()):
        return {}
    result = relax.Var("values", relax.TupleType([var.ty for var in wanted]))
    rows = [relax.VarBinding(var, value) for var, value in foldable.items()]
    block = relax.DataflowBlock([*rows, relax.VarBinding(result, relax.Tuple(wanted))])
    function = relax.Function([], relax.SeqExpr([block], result), result.ty)
    mod = IRModule({"main": function.with_attr("global_symbol", "main")})
    legal = relax.transform.LegalizeOps(EXACT_LEGALIZATIONS)(mod)
    for name, kernel in legal.functions.items():
        if isinstance(kernel, tirx.PrimFunc):
            legal.update_func(name, exact_extremes(kernel))
    folded = relax.transform.FoldConstant()(legal)["main"]
    fields = list(bindings(folded).values())[-1].fields
    pairs = zip(wanted, fields, strict=True)
    return {var: field for var, field in pairs if isinstance(field, GenericConst)}
