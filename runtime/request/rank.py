"""`Ranker.rank` as compiled code: what most requests take, with no bytecode in their way.

    memory = idle.pop(); found = answer(user, items, context) in it; idle.append(memory)
    return found

Where there is no memory, or it has no room, or the request is none that compiled code reads,
`Ranking.rank` takes it from its beginning. `abi/rank.py` says what the function is told.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from typing import Any

from rtcompile.runtime.abi.rank import Addresses, Arguments, Entry
from rtcompile.runtime.items.item_table import ItemTable
from rtcompile.runtime.memory.struct_memory import allocate
from rtcompile.runtime.process.python_entry import python_function
from rtcompile.runtime.request.serve import Server

__all__ = ["rank_entry"]


def rank_entry(
    documented: Callable[..., Any],
    module: Any,
    server: Server,
    items: ItemTable,
    idle: list[Any],
    otherwise: Callable[..., Any],
) -> Callable[..., Any]:
    """A function that is called as the method `documented`, and has its name and its text.

    `idle`: tuples of the words of a request and its memory. `otherwise` takes what is left.
    """
    pop, names = idle.pop, tuple(sys.intern(field.name.lower()) for field in Arguments.FIELDS)
    given = {
        Entry.PYTHON: server.python,
        Entry.BRIEF: server.brief.address,
        Entry.CURRENT: items.current_at,
        Entry.IDLE: id(idle),
        Entry.POP: id(pop),
        Entry.ELSE: id(otherwise),
        Entry.HAS_CONTEXT: server.takes_context,
    }
    given |= {Entry.NAMES.at(k): id(name) for k, name in enumerate(names)}
    words = allocate(Entry, given=given).array
    parameters = "$self, /, user, items, context=None"
    text = f"rank({parameters})\n--\n\n{inspect.getdoc(documented) or ''}"
    kept = (module, server, items, idle, pop, otherwise, names)
    at = server.addresses[Addresses.RANK]
    return python_function("rank", documented.__module__, text, at, words, *kept)
