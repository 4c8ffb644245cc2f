"""What the compiled function `serve` is told of a request, and what it says of it.

    serve(rows, constants, words)

encodes the user's values, runs the stages that the manifest's `serve` names, in that order, and
says in its words how that went. `words` are int64: those of Word, then for each stage the addresses
of its workspace, its status, its inputs and its outputs, as its function takes them; of the first
stage without the inputs, which are the encoded columns and the scratch.
`rtcompile/codegen/serve.py` emits it, `runtime/serve.py` calls it.
"""

from __future__ import annotations

__all__ = ["SERVE", "Outcome", "Word"]

SERVE = "serve"  # the function's name in the module


class Word:
    """Places among the words; those from SCRATCH on are addresses."""

    OUTCOME = 0  # see Outcome
    NEEDED = 1  # bytes of scratch, where it is too small
    SCRATCH_BYTES = 2  # its size
    SCRATCH_PER_BYTE = 3  # what it needs for each byte and value that was encoded
    SCRATCH_FIXED = 4  # and in any case
    COUNT = 5  # columns of the plan
    SCRATCH = 6
    PLAN = 7
    STATE = 8
    ENCODED = 9  # the data, columns, words, offsets, numbers and text of an encoder's memory
    COLUMNS = 10
    TURN = 15  # the word that says whose turn it is to run Python, or 0
    STAGES = 16


class Outcome:
    """How a request went."""

    DONE = 0
    LEFT = 1  # a column is left to the runtime: nothing ran
    SCRATCH = 2  # NEEDED says how large it must be: nothing ran
    STAGE = 3  # and the number of the stage whose status says what is wrong
