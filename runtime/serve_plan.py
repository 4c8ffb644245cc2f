"""What the compiled function `serve` is told of a request, and what it says of it.

    serve(words)

encodes the user's fields, runs the stages that the manifest's `serve` names, in that order, and
says in its words how that went: the values of the fields and the places of the items stand there
already. A context stage does not run, nor what follows it. Two functions that Python calls as its
own do all of a request, and give what `Ranker.rank` does:

    rank(user, items, ...)          # of the entry of `rank_plan.py`
    answer(user, items, context)    # of words, or None where these say what is in the way

`words` are int64: those of Word, then for each stage the addresses of its workspace, its status,
its inputs and its outputs, as its function takes them; of a stage of features without the inputs,
which are its encoded columns and its scratch.
`rtcompile/codegen/serve.py` emits it, `runtime/serve.py` calls it.
"""

from __future__ import annotations

__all__ = ["SERVE", "Answer", "Features", "Names", "Outcome", "Part", "Stored", "Word"]

SERVE = "serve"  # the function's name in the module


class Word:
    """Places among the words; those from IDS on are addresses."""

    OUTCOME = 0  # see Outcome
    ROWS = 1  # of the cross stage
    WHOLE = 2  # whether the cross stage is to run
    READS = 3  # whether it was called with Python's lock, and may give that up
    IDS = 4  # words of `abi.item_index.IdList`
    INDEX = 5  # and of `Index`
    STORED = 6  # a word: the address of words of Stored
    CONSTANTS = 7
    PYTHON = 8  # words of `python_objects.Known`
    TURN = 9  # words that say whose turn it is to run Python
    BRIEF = 10  # words of `brief_calls`: calls of so many rows or fewer are brief, keep the lock
    ANSWERS = 11  # words of Answer, an output of the cross stage
    FEATURES = 12  # words of Features: of each stage of features, in order
    ROOM = 14  # rows that there is memory for, a number
    VERSION = 15  # of the items that INDEX and STORED are of, see `rank_plan.Current`; a number
    STAGES = 16


class Part:
    """Words about the columns of one side that a stage reads; those from PLAN on are addresses.

    All is 0 where there is nothing to read of the side.
    """

    COUNT = 0  # of the columns, which the plan has
    PLAN = 1
    NAMES = 2  # see Names
    VALUES = 3  # words of `value_bytes.Room`, which the fields are written to
    STATE = 4
    ENCODED = 5  # the data, columns, words, offsets, numbers and text of an encoder's memory
    WORDS = 11


class Features:
    """Words about a stage of features; those from ITEM_PLACES on are addresses, and parts."""

    SCRATCH_BYTES = 0  # its size
    # What it needs: for each byte and value that was encoded, for each of the user's if all rows
    # share them, for each row, and in any case.
    PER_BYTE, PER_SHARED, PER_ROW, FIXED = 1, 2, 3, 4
    NEEDED = 5  # that, where it is too small
    LONGEST = 6  # elements, values and bytes of the longest item
    ITEMS = 7  # columns of the items
    ITEM_PLACES = 8  # which columns those of the items are
    COLUMNS = 9  # descriptors, of the columns of all sides
    SCRATCH = 10
    USER = 11  # words of Part
    CONTEXT = USER + Part.WORDS
    WORDS = CONTEXT + Part.WORDS


class Names:
    """Words about the fields of a side: from FIRST on the addresses of their names, which are
    strings, one a column of the plan and then those of fields that no column reads."""

    SIZE = 0  # of the dict
    COUNT = 1  # of the names
    FIRST = 2


class Stored:
    """Words about the encoded columns of the item table: from FIRST on their descriptors."""

    OBJECT = 0  # address of Python's object that keeps what they point into
    LONGEST = 1  # see Features
    FIRST = 2


class Answer:
    """Words about an output."""

    NAME = 0  # address of its name, a string
    FROM = 1  # address of what the cross stage writes
    ROW_BYTES = 2
    SHARED_BYTES = 3  # where all rows share it
    TO = 4  # address of the array's values; compiled code's own
    DTYPE = 5  # address of numpy's
    DIMENSIONS, EXTENTS = 6, 7  # of the array: how many, and the address of them, int64
    BY_ROWS = 8  # whether the first extent is that of the rows, which compiled code enters
    WORDS = 9


class Outcome:
    """How a request went."""

    DONE = 0
    LEFT = 1  # a column is left to the runtime: nothing ran
    SCRATCH = 2  # NEEDED says how large that of a stage of features must be: nothing ran
    # The runtime is to read the fields and the ids, and look these up, or has to make room for the
    # rows: nothing ran.
    UNREAD = 3
    STAGE = 4  # and the number of the stage whose status says what is wrong
