"""A builder of Relax functions that notes of each call which node of the file it comes from.

The note is the call's span, whose source is "node NAME (OPERATOR)"; passes keep spans, so a refusal
far behind the import can name the node.
"""

from __future__ import annotations

from typing import Any

from tvm import relax
from tvm.ir import SourceName, Span

__all__ = ["NodeBuilder"]


class NodeBuilder(relax.BlockBuilder):
    """`at` says which node the calls from now on come from."""

    _span: Any = None

    def at(self, name: str, operator: str) -> None:
        """What is emitted and normalised next belongs to this node."""
        self._span = Span(SourceName(f"node {name} ({operator})"), 0, 0, 0, 0)

    def emit(self, expr: Any, name_hint: str = "") -> Any:
        """Bind an expression to a variable."""
        return super().emit(self._noted(expr), name_hint)

    def normalize(self, expr: Any) -> Any:
        """An expression whose operands are bound to variables."""
        return super().normalize(self._noted(expr))

    def _noted(self, expr: Any) -> Any:
        if self._span is None:
            return expr
        if isinstance(expr, relax.Tuple):
            fields = [self._noted(field) for field in expr.fields]
            same = all(a.same_as(b) for a, b in zip(fields, expr.fields, strict=True))
            return expr if same else relax.Tuple(fields)
        if isinstance(expr, relax.TupleGetItem):
            inner = self._noted(expr.tuple_value)
            return (
                expr if inner.same_as(expr.tuple_value) else relax.TupleGetItem(inner, expr.index)
            )
        if not isinstance(expr, relax.Call) or expr.span is not None:
            return expr
        # Bound one by one: a call whose operands the builder has to bind loses its span.
        arguments = [self._operand(argument) for argument in expr.args]
        return relax.Call(expr.op, arguments, expr.attrs, expr.ty_args, self._span)

    def _operand(self, expr: Any) -> Any:
        if isinstance(expr, relax.Tuple):
            return relax.Tuple([self._operand(field) for field in expr.fields])
        return self.emit(expr) if isinstance(expr, relax.Call) else expr
