"""Which values of a graph are one and the same memory, and until when each is read.

y = kernel(x)        its root is (y, 0)
z = reshape(y)       (y, 0) too: a view is another name
a, b = kernel2(z)    (pair, 0) and (pair, 1)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tvm import relax

from rtcompile.relay_passes.kernels.quantize_dense import OBSERVE
from rtcompile.relay_passes.matching import call_name, kernel_symbol, reads

__all__ = ["VIEWS", "Root", "ValueRoots", "is_observed"]

VIEWS = ("relax.reshape",)

Root = tuple[Any, int]  # (the variable that a kernel's call is bound to, which of its results)


class ValueRoots:
    """Of a function whose bindings are `bound`, in the order in which they run.

    `roots`: of each variable. `last_use`: root -> the last step that reads it. `results`: what the
    function returns, in order.
    """

    def __init__(self, function: Any, bound: Mapping[Any, Any]) -> None:
        self.roots: dict[Any, Root] = {param: (param, 0) for param in function.params}
        self.last_use: dict[Root, int] = {}
        for step, (var, value) in enumerate(bound.items()):
            self.roots[var] = self._root_of(var, value)
            for operand in reads(value):
                if operand in self.roots:
                    self.last_use[self.roots[operand]] = step
        body = function.body.body
        value = bound.get(body, body)
        self.results = list(value.fields) if isinstance(value, relax.Tuple) else [body]

    def is_made(self, var: Any) -> bool:
        """Whether a variable is a value of its own, and no other name of one."""
        return self.roots.get(var, (None, 0))[0] is var

    def _root_of(self, var: Any, value: Any) -> Root:
        if isinstance(value, relax.Var):
            return self.roots[value]
        if call_name(value) in VIEWS and isinstance(value.args[0], relax.Var):
            return self.roots[value.args[0]]
        if is_observed(value):
            return self.roots[value.args[1].fields[0]]
        if isinstance(value, relax.TupleGetItem):
            return (self.roots[value.tuple_value][0], int(value.index))
        return (var, 0)


def is_observed(value: Any) -> bool:
    """Whether a value is another one, counted."""
    return kernel_symbol(value).startswith(f"{OBSERVE}.")
