"""Multiply each side of a matmul's operand by its rows of the matrix when it is known.

    concat((user, item, cross), -1) @ W
        ->   cross @ W_cross + item @ W_item + user @ W_user

and the same through sums, expansions and constant factors (`linear_form.py`): the first layer of an
attention unit, concat((q, k, q - k, q * k), -1) @ W, becomes one product once an item, one once a
request, and one of a quarter of the depth a row. Batch normalisation before a layer disappears in
its matrix. The sums are reordered: exact up to rounding.

An item's share is split off from a depth of `_SMALLEST_ITEM_DEPTH` on: below it, reading its result
from the item table costs more than it saves.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.analysis.binding_times import BindingTime, binding_times
from rtcompile.relay_passes.analysis.linear_form import LinearForm, Term, linear_form
from rtcompile.relay_passes.matching import (
    bindings,
    call_name,
    constant_array,
    rewrite_main,
    shape_of,
)
from rtcompile.relay_passes.report import PassReport

__all__ = ["split_products"]

_SMALLEST_ITEM_DEPTH = 16

_ORDER = (BindingTime.CROSS, BindingTime.ITEM, BindingTime.USER, BindingTime.BUILD)


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, report: PassReport) -> None:
        super().__init__(mod)
        self._report = report
        self._bound = bindings(mod["main"])
        self._times = binding_times(mod["main"])

    def visit_call_(self, op: Any) -> Any:
        if call_name(op) != "relax.matmul":
            return super().visit_call_(op)
        matrix, source = constant_array(op.args[1]), op.args[0]
        if matrix is None or matrix.ndim != 2 or str(matrix.dtype) != "float32":
            return super().visit_call_(op)
        if self._times.get(source) is not BindingTime.CROSS:
            return super().visit_call_(op)
        form = linear_form(source, matrix, self._bound, self._times)
        groups = self._grouped(form)
        if not {BindingTime.USER, BindingTime.ITEM} & groups.keys():
            if source in self._bound and call_name(self._bound[source]) == "relax.concat":
                self._report.refused.append("matmul of a concat: no side is known earlier")
            return super().visit_call_(op)
        self._report.applied += 1
        return self._sum(groups, op)

    def _grouped(self, form: LinearForm) -> dict[BindingTime, list[Term]]:
        groups: dict[BindingTime, list[Term]] = {}
        for term in form.terms:
            groups.setdefault(self._times[term.atom], []).append(term)
        of_item = groups.get(BindingTime.ITEM, [])
        if 0 < sum(term.weight.shape[0] for term in of_item) < _SMALLEST_ITEM_DEPTH:
            cross = groups.get(BindingTime.CROSS, [])
            if all(_key(term) == _key((cross or of_item)[0]) for term in of_item):
                groups[BindingTime.CROSS] = cross + groups.pop(BindingTime.ITEM)
        return groups

    def _sum(self, groups: dict[BindingTime, list[Term]], op: Any) -> Any:
        """The products, the row's first; every product of one view is a single matmul."""
        total = None
        for time in _ORDER:
            for terms in _by_view(groups.get(time, [])):
                part = self._product(terms)
                total = part if total is None else self.builder_.emit(relax.op.add(total, part))
        shape, wanted = shape_of(total), shape_of(op)
        assert shape is not None and wanted is not None
        if [str(e) for e in shape] != [str(e) for e in wanted]:  # nothing of the row is left
            ones = np.ones([1 if not isinstance(e, int) else e for e in wanted], np.float32)
            total = self.builder_.emit(relax.op.multiply(total, relax.const(ones)))
        return total

    def _product(self, terms: list[Term]) -> Any:
        emit = self.builder_.emit
        atoms = [self.visit_expr(term.atom) for term in terms]
        joined = emit(relax.op.concat(atoms, -1)) if len(atoms) > 1 else atoms[0]
        weight = np.ascontiguousarray(np.concatenate([term.weight for term in terms]))
        product = emit(relax.op.matmul(joined, relax.const(weight)))
        extents = [*terms[0].leading, weight.shape[1]]
        if [str(e) for e in shape_of(product) or ()] == [str(e) for e in extents]:
            return product
        return emit(relax.op.reshape(product, relax.ShapeExpr(extents)))


def _key(term: Term) -> tuple[str, str]:
    return str((shape_of(term.atom) or ())[:-1]), str(term.leading)


def _by_view(terms: list[Term]) -> list[list[Term]]:
    """Terms whose atoms can be joined: of equal leading extents and equal view."""
    found: dict[tuple[str, str], list[Term]] = {}
    for term in terms:
        found.setdefault(_key(term), []).append(term)
    return list(found.values())


def split_products(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every such matmul of `main`. Idempotent: what is left reads one side a product."""
    return rewrite_main(mod, _Rewriter(mod, report))
