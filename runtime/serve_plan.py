"""What the compiled function `serve` is told of a request, and what it says of it.

    serve(fields, ids, found, words)

reads the user's values and the ids of items, looks these up, encodes, runs the stages that the
manifest's `serve` names, in that order, and says in its words how that went. `fields` is the
address of a dict and `ids` that of a list or tuple; either is 0 where the words' values or rows
stand there already. `found` is that of a dict of the outputs' names and contiguous numpy arrays
that are to have the answer, or 0. `words` are int64: those of Word, then for each stage the
addresses of its workspace, its status, its inputs and its outputs, as its function takes them; of
the first stage without the inputs, which are the encoded columns and the scratch.
`rtcompile/codegen/serve.py` emits it, `runtime/serve.py` calls it.
"""

from __future__ import annotations

__all__ = ["SERVE", "Answer", "Names", "Outcome", "Word"]

SERVE = "serve"  # the function's name in the module


class Word:
    """Places among the words; those from SCRATCH on are addresses."""

    OUTCOME = 0  # see Outcome
    NEEDED = 1  # bytes of scratch, where it is too small
    SCRATCH_BYTES = 2  # its size
    SCRATCH_PER_BYTE = 3  # what it needs for each byte and value that was encoded
    SCRATCH_FIXED = 4  # and in any case
    COUNT = 5  # columns of the plan
    ROWS = 6  # of the cross stage; 0: it does not run. Those of `ids`, where they are given
    ROOM = 7  # rows that there is memory for
    READS = 8  # whether it was called with Python's lock, and may give that up
    SCRATCH = 9
    PLAN = 10
    STATE = 11
    ENCODED = 12  # the data, columns, words, offsets, numbers and text of an encoder's memory
    COLUMNS = 13
    VALUES = 18  # words of `value_bytes.Room`, which `fields` are written to
    NAMES = 19  # see Names
    IDS = 20  # words of `item_index_plan.Ids`
    INDEX = 21  # and of `Index`
    CONSTANTS = 22
    TURN = 23  # the word that says whose turn it is to run Python
    BRIEF = 24  # a word: calls of so many rows or fewer are brief, and keep the lock
    ANSWERS = 25  # words of Answer, an output of the cross stage
    STAGES = 26


class Names:
    """Words about the user's fields: from FIRST on the addresses of their names, which are strings,
    one a column of the plan and then those of other fields."""

    SIZE = 0  # of the dict
    COUNT = 1  # of the names
    FIRST = 2


class Answer:
    """Words about an output."""

    NAME = 0  # address of its name, a string
    FROM = 1  # address of what the cross stage writes
    ROW_BYTES = 2
    SHARED_BYTES = 3  # where all rows share it
    TO = 4  # address of the array's values; compiled code's own
    WORDS = 5


class Outcome:
    """How a request went."""

    DONE = 0
    LEFT = 1  # a column is left to the runtime: nothing ran
    SCRATCH = 2  # NEEDED says how large it must be: nothing ran
    UNREAD = 3  # the runtime is to read the fields and the ids, and look these up: nothing ran
    STAGE = 4  # and the number of the stage whose status says what is wrong
