"""A probe table that one thread changes while others search it, without a lock.

    enter:   keys, value = ...; release(hash)     # who sees the hash sees all of the slot
    set:     release(value)
    search:  acquire(hash); acquire(address of the text); keys
    value:   acquire(value)

A slot that is taken keeps its hash and its key for good; only its value changes. The text may move
to where there is more room, before a slot is taken that points there; the old one stays readable.

The functions are LLVM text as those of `llvm_helpers.py`: TVM has no atomic operations of a CPU. On
x86 they are plain loads and stores.
"""

from __future__ import annotations

from typing import Any

from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.pointers import values_at
from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.features.hash_table import Piece, Searched
from rtcompile.runtime.abi.item_index import Slot
from rtcompile.runtime.abi.layout import Field

__all__ = ["SHARED_LLVM", "SharedTable", "acquire", "release"]

_ACQUIRE, _RELEASE = "rtc_acquire", "rtc_release"

SHARED_LLVM = f"""
define i64 @{_ACQUIRE}(ptr %from) {{
  %word = load atomic i64, ptr %from acquire, align 8
  ret i64 %word
}}
define void @{_RELEASE}(ptr %to, i64 %word) {{
  store atomic i64 %word, ptr %to release, align 8
  ret void
}}
"""


class SharedTable(Searched):
    """Of one key a slot. `text`: the struct and its field with the address of the keys' text."""

    def __init__(self, address: Any, last: Any, text: tuple[Struct, Field]) -> None:
        super().__init__(address, last, None)
        self._text_at = text

    def text_now(self) -> Any:
        """See Searched."""
        return values_at(acquire(*self._text_at), "uint8")

    def enter(self, at: Any, hashed: Any, key: Piece, value: Any) -> None:
        """Take an empty slot."""
        self._set_keys(at, (key,))
        super().set_word(at, value)
        release(self.slot(at), Slot.HASH, hashed)

    def set_word(self, at: Any, word: Any) -> None:
        """See Searched."""
        release(self.slot(at), Slot.VALUE, word)

    def word(self, at: Any) -> Any:
        """See Searched."""
        return acquire(self.slot(at), Slot.VALUE)

    def _hash_at(self, at: Any) -> Any:
        return acquire(self.slot(at), Slot.HASH)


def acquire(struct: Struct, field: Field) -> Any:
    """A field, before anything that is read behind this."""
    return T.Bind(T.call_extern("int64", _ACQUIRE, T.address_of(struct[field])))


def release(struct: Struct, field: Field, word: Any) -> None:
    """Emit the store of a field, after anything that was stored before it."""
    T.evaluate(T.call_extern("void", _RELEASE, T.address_of(struct[field]), word))
