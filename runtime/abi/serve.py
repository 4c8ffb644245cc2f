"""A request, as the compiled function `serve` takes it.

    serve(request)

encodes the user's fields, runs the stages that the manifest's `serve` names, in that order, and
says in the request how that went: the values of the fields and the places of the items stand there
already. A context stage does not run, nor what follows it. Two functions that Python calls as its
own do all of a request, and give what `Ranker.rank` does:

    rank(user, items, ...)          # `rank.py`
    answer(user, items, context)    # `answer.py`

`rtcompile/codegen/entry/serve.py` emits it, `runtime/request/serve.py` calls it.
"""

from __future__ import annotations

from rtcompile.runtime.abi.answer import Output
from rtcompile.runtime.abi.brief_calls import BriefRows
from rtcompile.runtime.abi.item_index import IdList, Index
from rtcompile.runtime.abi.layout import (
    BOTH,
    COMPILED,
    RUNTIME,
    Layout,
    pointer,
    pointers,
    word,
    words,
)
from rtcompile.runtime.abi.python_objects import PythonApi
from rtcompile.runtime.abi.python_turn import Turn
from rtcompile.runtime.abi.serve_features import StageFeatures, StoredNow
from rtcompile.runtime.abi.status import Status

__all__ = ["SERVE", "Outcome", "Request", "StageCall"]

SERVE = "serve"  # the function's name in the module


class Request(Layout, owner=RUNTIME):
    """One running request, and what it is served with."""

    OUTCOME = word(owner=COMPILED)  # see Outcome
    ROWS = word(owner=BOTH)  # of the cross stage
    WHOLE = word()  # whether the cross stage is to run
    READS = word()  # whether it was called with Python's lock, and may give that up
    IDS = pointer(to=IdList)
    INDEX = pointer(to=Index)
    STORED = pointer(to=StoredNow)
    CONSTANTS = pointer()
    PYTHON = pointer(to=PythonApi)
    TURN = pointer(to=Turn)
    BRIEF = pointer(to=BriefRows)  # calls of so few rows keep the lock
    ANSWERS = pointer(to=Output)  # one an output of the cross stage
    FEATURES = pointers(2, to=StageFeatures)  # one a stage of features, in order
    ROOM = word()  # rows that there is memory for
    VERSION = word()  # of the items that INDEX and STORED are of, see Current in `rank.py`
    STAGES = words()  # a StageCall each, one behind the other


class StageCall(Layout, owner=RUNTIME):
    """What a stage is called with."""

    WORKSPACE = pointer()
    STATUS = pointer(to=Status)
    # Its inputs and its outputs, as its function takes them; of a stage of features without the
    # inputs, which are its encoded columns and its scratch.
    ARGUMENTS = pointers()


class Outcome:
    """How a request went."""

    DONE = 0
    LEFT = 1  # a column is left to the runtime: nothing ran
    SCRATCH = 2  # NEEDED says how large that of a stage of features must be: nothing ran
    # The runtime is to read the fields and the ids, and look these up, or has to make room for the
    # rows: nothing ran.
    UNREAD = 3
    STAGE = 4  # and the number of the stage whose status says what is wrong
