"""Whose turn it is to run Python, among the threads that rank.

A thread that comes back from compiled code takes Python's lock. Where another one has it, Python
puts the thread to sleep, and to wake it takes longer than the Python of a whole request: two
threads that rank small requests would do less than one. So the thread first waits its turn awake,
in compiled code (`rtcompile/codegen/python_turn.py`), for as long as a word of the process says
that another one that ranks runs Python.

The word is a hint, and nothing goes wrong where it is: the lock is what keeps threads apart.
"""

from __future__ import annotations

from runtime.arrays import aligned_empty
from runtime.input_table import address

__all__ = ["TURN", "PythonTurn", "Turn"]


class Turn:
    """What the word says."""

    FREE = 0  # no thread that ranks runs Python
    TAKEN = 1  # one does, and will be back in compiled code in some microseconds
    DONE = 2  # one has answered its request: it may run on, or begin another at once


class PythonTurn:
    """The word. It lies at `address`, alone in its cache lines."""

    def __init__(self) -> None:
        array = aligned_empty(16, "int64")
        array[:] = Turn.FREE
        self.address = address(array)
        self._words = array.data

    def begin(self) -> None:
        """The calling thread runs Python of a request."""
        self._words[0] = Turn.TAKEN

    def end(self) -> None:
        """It has done with that."""
        self._words[0] = Turn.DONE


TURN = PythonTurn()
