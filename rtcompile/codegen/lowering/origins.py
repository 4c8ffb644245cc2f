"""What of a request a value of the graph is computed from, for messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rtcompile.relay_passes.matching import reads

__all__ = ["Origins", "origins_of"]

# Such as ("feature 'age'",), or ("input 'ids'",), in the order of the inputs.
Origins = tuple[str, ...]


def origins_of(expression: Any, bound: Mapping[Any, Any], inputs: Mapping[Any, Origins]) -> Origins:
    """Those of the inputs that `expression` depends on, each once.

    `inputs`: of each parameter. `bound`: what the variables of the function are bound to.
    """
    open_vars, seen = reads(expression), set()
    while open_vars:
        var = open_vars.pop()
        if var not in seen:
            seen.add(var)
            open_vars += reads(bound[var]) if var in bound else []
    found = [origin for var, origins in inputs.items() if var in seen for origin in origins]
    return tuple(dict.fromkeys(found))
