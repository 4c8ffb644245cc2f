"""Whose turn it is to run Python, among the threads that rank.

A thread that comes back from compiled code takes Python's lock. Where another one has it, Python
puts the thread to sleep, and to wake it takes longer than the Python of a whole request: two
threads that rank small requests would do less than one. So the thread first waits its turn awake,
in compiled code (`rtcompile/codegen/entry/python_turn.py`), as long as a word of the process says
that another one that ranks runs Python.

The word counts: it is odd from where a thread came back until it, or another, is in compiled code
again. A thread that went on to something else leaves it odd, so a wait in which the count stands
still is short. A second word says how many threads wait for the lock. Where one sleeps, the turn is
its own: others would take the lock before it is awake, and wake it in vain over and over.

The words are a hint, and nothing goes wrong where they are: the lock is what keeps threads apart.
"""

from __future__ import annotations

import os

from rtcompile.runtime.abi.python_turn import Turn
from rtcompile.runtime.memory.struct_memory import allocate

__all__ = ["TURN", "PythonTurn"]


class PythonTurn:
    """`words`: of a Turn. They lie at `address`, alone in their cache lines."""

    def __init__(self) -> None:
        turn = allocate(Turn)
        self.words, self.address = turn.words, turn.address

    def forget(self) -> None:
        """Of a process that has no other threads any more."""
        self.words[Turn.COUNT] = self.words[Turn.WAITING] = 0


TURN = PythonTurn()
os.register_at_fork(after_in_child=TURN.forget)
