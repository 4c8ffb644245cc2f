"""Whose turn it is to run Python: a compiled call gives the caller's up, and takes the next one.

    NAME(..., turn, ...):
        if turn != 0: *turn = FREE
        ...
        if turn != 0:
            done = 0
            for _ in range(8000):
                word = *turn
                done += word == DONE
                if word == FREE or (word == DONE and done >= 600):
                    if compare_and_swap(turn, word, TAKEN): break
                pause()

`runtime/python_turn.py` says what for. The functions are LLVM text as those of `wrapping.py`: TVM
has no atomic operations of a CPU.
"""

from __future__ import annotations

from typing import Any

from tvm.tirx.script.builder import ir as T

from runtime.python_turn import Turn

__all__ = ["give_turn", "take_turn", "turn_llvm"]

_GIVE, _TAKE = "rtc_give_turn", "rtc_take_turn"

# A pause takes 15 to 50 ns by processor. The longest wait is then 120 to 400 us, longer than the
# Python of a request and than a sleeping thread takes to wake; that for a thread which may not come
# back is 9 to 30 us.
_PAUSES, _PAUSES_WHEN_DONE = 8000, 600
_PAUSE = {"x86_64": "pause", "aarch64": "yield"}


def give_turn(turn: Any) -> None:
    """Emit the end of the caller's turn. `turn`: the address of the word as int64, or 0."""
    T.evaluate(T.call_extern("void", _GIVE, turn))


def take_turn(turn: Any) -> None:
    """Emit the wait for the caller's next turn."""
    T.evaluate(T.call_extern("void", _TAKE, turn))


def turn_llvm(machine: str) -> str:
    """The text of both functions."""
    return f"""
define void @{_GIVE}(i64 %address) {{
  %none = icmp eq i64 %address, 0
  br i1 %none, label %end, label %give
give:
  %turn = inttoptr i64 %address to ptr
  store atomic i64 {Turn.FREE}, ptr %turn release, align 8
  br label %end
end:
  ret void
}}
define void @{_TAKE}(i64 %address) {{
begin:
  %turn = inttoptr i64 %address to ptr
  %none = icmp eq i64 %address, 0
  br i1 %none, label %end, label %look
look:
  %pauses = phi i64 [ 0, %begin ], [ %pauses_next, %pause ]
  %done = phi i64 [ 0, %begin ], [ %done_next, %pause ]
  %word = load atomic i64, ptr %turn monotonic, align 8
  %is_free = icmp eq i64 %word, {Turn.FREE}
  %is_done = icmp eq i64 %word, {Turn.DONE}
  %more_done = zext i1 %is_done to i64
  %done_next = add i64 %done, %more_done
  %long = icmp uge i64 %done_next, {_PAUSES_WHEN_DONE}
  %left = and i1 %is_done, %long
  %may = or i1 %is_free, %left
  br i1 %may, label %try, label %pause
try:
  %pair = cmpxchg ptr %turn, i64 %word, i64 {Turn.TAKEN} acquire monotonic
  %ours = extractvalue {{ i64, i1 }} %pair, 1
  br i1 %ours, label %end, label %pause
pause:
  call void asm sideeffect "{_PAUSE[machine]}", "~{{memory}}"()
  %pauses_next = add i64 %pauses, 1
  %go_on = icmp ult i64 %pauses_next, {_PAUSES}
  br i1 %go_on, label %look, label %end
end:
  ret void
}}
"""
