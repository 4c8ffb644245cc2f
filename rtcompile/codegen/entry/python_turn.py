"""Whose turn it is to run Python: a compiled call gives the caller's up, and takes the next one.

    NAME(..., turn, ...):                           # turn: (word, waiting); nothing where it is 0
        word = (word | 1) + 1 + (waiting > 0)       # give_turn. Even: no one has it
        ...
        last, same = -1, 0                          # take_turn
        for _ in range(8000):
            now = word
            same, last = same + 1 if now == last else 0, now
            if now % 2 == 0 or (same >= 2500 and waiting == 0):
                if compare_and_swap(word, now, (now + 1) | 1): break
            pause()

and where the call itself takes Python's lock

        waiting += 1                                # ask_for_lock
        ...
        waiting -= 1; word |= 1                     # has_lock

`runtime/process/python_turn.py` says what for. The functions are LLVM text as those of
`llvm_helpers.py`: TVM has no atomic operations of a CPU.
"""

from __future__ import annotations

from typing import Any

from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.word_atomics import PAUSE
from rtcompile.runtime.abi.python_turn import Turn

__all__ = ["ask_for_lock", "give_turn", "has_lock", "take_turn", "turn_llvm"]

_GIVE, _TAKE = "rtc_give_turn", "rtc_take_turn"
_ASK, _HAS = "rtc_ask_for_lock", "rtc_has_lock"

# A pause takes 15 to 50 ns by processor. For a thread that does not move, which may not come back,
# the wait is as long as to sleep and wake would take: 38 to 125 us. Where others move it is at most
# 120 to 400 us.
_PAUSES, _PAUSES_FOR_ONE = 8000, 2500


def give_turn(turn: Any) -> None:
    """Emit the end of the caller's turn. `turn`: the address of a Turn as int64, or 0."""
    T.evaluate(T.call_extern("void", _GIVE, turn))


def take_turn(turn: Any) -> None:
    """Emit the wait for the caller's next turn."""
    T.evaluate(T.call_extern("void", _TAKE, turn))


def ask_for_lock(turn: Any) -> None:
    """Emit that the caller is about to wait for Python's lock."""
    T.evaluate(T.call_extern("void", _ASK, turn))


def has_lock(turn: Any) -> None:
    """Emit that it has the lock, and so the turn."""
    T.evaluate(T.call_extern("void", _HAS, turn))


def turn_llvm(machine: str) -> str:
    """The text of the functions."""
    return "".join(_guarded(*function) for function in _SHORT) + _take(machine)


def _guarded(name: str, body: str) -> str:
    """A function that does nothing where the address is 0."""
    return f"""
define void @{name}(i64 %address) {{
  %none = icmp eq i64 %address, 0
  br i1 %none, label %end, label %some
some:
  %turn = inttoptr i64 %address to ptr
  %waiting = getelementptr i64, ptr %turn, i64 {int(Turn.WAITING)}
{body}
  br label %end
end:
  ret void
}}
"""


_SHORT = (
    (
        _GIVE,
        """
  %word = load atomic i64, ptr %turn monotonic, align 8
  %sleepers = load atomic i64, ptr %waiting monotonic, align 8
  %is_theirs = icmp ne i64 %sleepers, 0
  %theirs = zext i1 %is_theirs to i64
  %taken = or i64 %word, 1
  %free = add i64 %taken, 1
  %after = add i64 %free, %theirs
  store atomic i64 %after, ptr %turn release, align 8""",
    ),
    (_ASK, "  %before = atomicrmw add ptr %waiting, i64 1 monotonic"),
    (
        _HAS,
        """
  %before = atomicrmw sub ptr %waiting, i64 1 monotonic
  %word = load atomic i64, ptr %turn monotonic, align 8
  %held = or i64 %word, 1
  store atomic i64 %held, ptr %turn monotonic, align 8""",
    ),
)


def _take(machine: str) -> str:
    return f"""
define void @{_TAKE}(i64 %address) {{
begin:
  %turn = inttoptr i64 %address to ptr
  %waiting = getelementptr i64, ptr %turn, i64 {int(Turn.WAITING)}
  %none = icmp eq i64 %address, 0
  br i1 %none, label %end, label %look
look:
  %pauses = phi i64 [ 0, %begin ], [ %pauses_next, %pause ]
  %last = phi i64 [ -1, %begin ], [ %word, %pause ]
  %same = phi i64 [ 0, %begin ], [ %same_next, %pause ]
  %word = load atomic i64, ptr %turn monotonic, align 8
  %sleepers = load atomic i64, ptr %waiting monotonic, align 8
  %is_same = icmp eq i64 %word, %last
  %longer = add i64 %same, 1
  %same_next = select i1 %is_same, i64 %longer, i64 0
  %taken = and i64 %word, 1
  %is_free = icmp eq i64 %taken, 0
  %long = icmp uge i64 %same_next, {_PAUSES_FOR_ONE}
  %no_one = icmp eq i64 %sleepers, 0
  %left = and i1 %long, %no_one
  %may = or i1 %is_free, %left
  br i1 %may, label %try, label %pause
try:
  %above = add i64 %word, 1
  %ours_word = or i64 %above, 1
  %pair = cmpxchg ptr %turn, i64 %word, i64 %ours_word acquire monotonic
  %ours = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %ours, label %end, label %pause
pause:
  call void asm sideeffect "{PAUSE[machine]}", "~{{memory}}"()
  %pauses_next = add i64 %pauses, 1
  %go_on = icmp ult i64 %pauses_next, {_PAUSES}
  br i1 %go_on, label %look, label %end
end:
  ret void
}}
"""
