"""What threads that work together need: a compare-and-swap, a counter, a wait, a clock.

    swap_word(address, old, new)    -> whether the word was `old`, and is `new` now
    set_word(address, value)        # what was written before is seen with it
    next_tile(address, last)        -> the word, which is one more now; last + 1 where address is 0
    await_change(address, value, nap):
        while the word is `value`: pause(), or nap(50) once it was looked at often
    now(clock)                      -> nanoseconds, by C's clock_gettime
    bit_length(count)               # of a number above 0

Addresses, words and numbers are int64. The functions are LLVM text as those of `llvm_helpers.py`:
TVM has no atomic operations of a CPU.
"""

from __future__ import annotations

from typing import Any

from tvm.tirx.script.builder import ir as T

__all__ = [
    "PAUSE",
    "atomics_llvm",
    "await_change",
    "bit_length",
    "next_tile",
    "now",
    "set_word",
    "swap_word",
]

_SWAP, _SET, _NEXT, _AWAIT = "rtc_swap_word", "rtc_set_word", "rtc_next_tile", "rtc_await_change"
_NOW, _BITS = "rtc_now", "rtc_bit_length"

# To the processor: others get on meanwhile.
PAUSE = {"x86_64": "pause", "aarch64": "yield"}

_LOOKS, _NAP = 4000, 50  # 60 to 200 microseconds of pauses; microseconds


def swap_word(address: Any, old: Any, new: Any) -> Any:
    """Emit a compare-and-swap; whether it did, an int64."""
    return T.Bind(T.call_extern("int64", _SWAP, address, old, new))


def set_word(address: Any, value: Any) -> None:
    """Emit a store behind all stores before it."""
    T.evaluate(T.call_extern("void", _SET, address, value))


def next_tile(address: Any, last: Any) -> Any:
    """Emit the taking of a tile."""
    return T.Bind(T.call_extern("int64", _NEXT, address, last))


def await_change(address: Any, value: Any, nap: Any) -> None:
    """Emit a wait. `nap`: the address of C's usleep."""
    T.evaluate(T.call_extern("void", _AWAIT, address, value, nap))


def now(clock: Any) -> Any:
    """Emit a look at the clock that only goes on. `clock`: the address of C's clock_gettime."""
    return T.Bind(T.call_extern("int64", _NOW, clock))


def bit_length(count: Any) -> Any:
    """Emit it."""
    return T.Bind(T.call_extern("int64", _BITS, count))


def atomics_llvm(machine: str) -> str:
    """The text of the functions."""
    return f"""
define i64 @{_SWAP}(i64 %address, i64 %old, i64 %new) {{
  %word = inttoptr i64 %address to ptr
  %pair = cmpxchg ptr %word, i64 %old, i64 %new acq_rel monotonic
  %done = extractvalue {{ i64, i1 }} %pair, 1
  %r = zext i1 %done to i64
  ret i64 %r
}}
define void @{_SET}(i64 %address, i64 %value) {{
  %word = inttoptr i64 %address to ptr
  store atomic i64 %value, ptr %word release, align 8
  ret void
}}
define i64 @{_NEXT}(i64 %address, i64 %last) {{
  %none = icmp eq i64 %address, 0
  br i1 %none, label %alone, label %shared
alone:
  %after = add i64 %last, 1
  ret i64 %after
shared:
  %word = inttoptr i64 %address to ptr
  %taken = atomicrmw add ptr %word, i64 1 monotonic
  ret i64 %taken
}}
define void @{_AWAIT}(i64 %address, i64 %value, i64 %nap) {{
begin:
  %word = inttoptr i64 %address to ptr
  %sleep = inttoptr i64 %nap to ptr
  br label %look
look:
  %looks = phi i64 [ 0, %begin ], [ %more, %pause ], [ %looks, %doze ]
  %now = load atomic i64, ptr %word acquire, align 8
  %same = icmp eq i64 %now, %value
  br i1 %same, label %wait, label %end
wait:
  %often = icmp uge i64 %looks, {_LOOKS}
  br i1 %often, label %doze, label %pause
pause:
  call void asm sideeffect "{PAUSE[machine]}", "~{{memory}}"()
  %more = add i64 %looks, 1
  br label %look
doze:
  %slept = call i32 %sleep(i32 {_NAP})
  br label %look
end:
  ret void
}}
define i64 @{_NOW}(i64 %clock) {{
  %time = alloca [2 x i64], align 8
  %function = inttoptr i64 %clock to ptr
  %r = call i32 %function(i32 1, ptr %time)
  %seconds = load i64, ptr %time, align 8
  %place = getelementptr i64, ptr %time, i64 1
  %nanoseconds = load i64, ptr %place, align 8
  %most = mul i64 %seconds, 1000000000
  %all = add i64 %most, %nanoseconds
  ret i64 %all
}}
declare i64 @llvm.ctlz.i64(i64, i1)
define i64 @{_BITS}(i64 %count) {{
  %zeros = call i64 @llvm.ctlz.i64(i64 %count, i1 false)
  %bits = sub i64 64, %zeros
  ret i64 %bits
}}
"""
