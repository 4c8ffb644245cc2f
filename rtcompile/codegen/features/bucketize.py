"""From a token or a number to its id. What they emit:

hash         id = hash(token) mod buckets
integer      id = the integer that the token spells; a token that spells none has no id
vocabulary   probe an open-addressing table until the token or an empty slot is met
boundaries   id = count of boundaries at or below the number, by halving
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.structs import Struct
from rtcompile.codegen.emit.tir import (
    Cell,
    add,
    i64,
    load_word,
    low_bytes,
    multiply,
    subtract,
    u64,
)
from rtcompile.codegen.features.string_hash import STRING_HASHES, murmur
from rtcompile.features import hashing
from rtcompile.runtime.abi.layout import BUILD, Layout, word

__all__ = [
    "Integer",
    "VocabularySlot",
    "boundary_count",
    "compare_bytes",
    "hash_bucket",
    "is_digit",
    "is_space",
    "parse_integer",
    "probe_vocabulary",
    "vocabulary_table",
]

_MOST_DIGITS = 19


class VocabularySlot(Layout, owner=BUILD):
    """A slot of a vocabulary's hash table."""

    HASH = word()
    CODE = word()
    FIRST = word()  # byte of the word, in the bytes of all
    SIZE = word()  # of the word; below 0 of an empty slot


def hash_bucket(name: str, text: Any, begin: Any, size: Any, buckets: Any) -> Any:
    """The hash modulo `buckets`."""
    hashed = STRING_HASHES[name](text, begin, size)
    return T.Bind(tirx.Cast("int64", tirx.truncmod(hashed, tirx.Cast("uint64", buckets))))


class Integer:
    """An integer read from text: `value`, and whether there was one."""

    def __init__(self, value: Any, valid: Any) -> None:
        self.value = value
        self.valid = valid


def parse_integer(text: Any, begin: Any, size: Any) -> Integer:
    """[space] [sign] digits [. zeros] [space], within int64."""
    at, end = Cell("int64", begin), Cell("int64", begin + size)
    with T.While(tirx.And(at.get() < end.get(), is_space(text[at.get()]))):
        at.add(1)
    with T.While(tirx.And(end.get() > at.get(), is_space(text[tirx.max(at.get(), end.get() - 1)]))):
        end.add(-1)
    first = T.Bind(text[at.get()])
    negative = T.Bind(tirx.And(at.get() < end.get(), first == _char("-")))
    signed = T.Bind(tirx.Or(negative, tirx.And(at.get() < end.get(), first == _char("+"))))
    at.add(tirx.Cast("int64", signed))
    value, digits, significant = (
        Cell("uint64", u64(0)),
        Cell("int64", i64(0)),
        Cell("int64", i64(0)),
    )
    with T.While(tirx.And(at.get() < end.get(), is_digit(text[at.get()]))):
        digit = T.Bind(tirx.Cast("uint64", text[at.get()] - _char("0")))
        value.set(add(multiply(value.get(), u64(10)), digit))
        digits.add(1)
        counts = tirx.Or(significant.get() > 0, digit != u64(0))
        significant.add(tirx.Cast("int64", counts))
        at.add(1)
    with T.If(tirx.And(at.get() < end.get(), text[at.get()] == _char("."))), T.Then():
        at.add(1)
        with T.While(tirx.And(at.get() < end.get(), text[at.get()] == _char("0"))):
            at.add(1)
    most = u64((1 << 63) - 1) + tirx.Cast("uint64", negative)
    spelled = tirx.And(digits.get() > 0, at.get() == end.get())
    fits = tirx.And(significant.get() <= _MOST_DIGITS, value.get() <= most)
    valid = T.Bind(tirx.And(spelled, fits))
    bits = tirx.Select(negative, subtract(u64(0), value.get()), value.get())
    return Integer(T.Bind(T.reinterpret("int64", bits)), valid)


def _char(character: str) -> Any:
    return tirx.const(ord(character), "uint8")


def is_digit(byte: Any) -> Any:
    """0 to 9."""
    return tirx.And(byte >= _char("0"), byte <= _char("9"))


def is_space(byte: Any) -> Any:
    """Space, or one of the five controls from tab to carriage return."""
    return tirx.Or(byte == _char(" "), tirx.And(byte >= _char("\t"), byte <= _char("\r")))


def vocabulary_table(
    entries: tuple[tuple[bytes, int], ...],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """(slots [a power of two, words of one], the words' bytes). Half of the slots stay empty."""
    capacity = 1 << max(3, (2 * len(entries) - 1).bit_length())
    slots = np.zeros((capacity, VocabularySlot.WORDS), np.int64)
    slots[:, VocabularySlot.SIZE] = -1
    words = b"".join(text for text, _ in entries)
    first = 0
    for text, code in entries:
        hashed = hashing.murmur(text)
        slot = hashed & (capacity - 1)
        while slots[slot, VocabularySlot.SIZE] >= 0:
            slot = (slot + 1) & (capacity - 1)
        slots[slot, VocabularySlot.HASH] = hashed - (1 << 64) if hashed >> 63 else hashed
        slots[slot, VocabularySlot.CODE] = code
        slots[slot, VocabularySlot.FIRST] = first
        slots[slot, VocabularySlot.SIZE] = len(text)
        first += len(text)
    return slots, np.frombuffer(words + bytes(16), np.uint8)


def probe_vocabulary(
    table: tuple[Any, Any, Any], text: Any, begin: Any, size: Any, unlisted: Any
) -> Any:
    """The code of a word. `table`: slots, words, last slot. Equal hashes are not trusted."""
    slots, words, last = table
    hashed = T.Bind(T.reinterpret("int64", murmur(text, begin, size)))
    slot, code, going = Cell("int64", hashed & last), Cell("int64", unlisted), Cell("int32", 1)
    with T.While(going.get() != 0):
        here = Struct(VocabularySlot, slots, T.Bind(slot.get() * VocabularySlot.WORDS))
        length = T.Bind(here[VocabularySlot.SIZE])
        slot.set((slot.get() + 1) & last)
        with T.If(length < 0), T.Then():
            going.set(0)
        with T.If(tirx.And(length == size, here[VocabularySlot.HASH] == hashed)), T.Then():
            different = Cell("uint64", u64(0))
            compare_bytes(different, (words, here[VocabularySlot.FIRST]), (text, begin), size)
            with T.If(different.get() == u64(0)), T.Then():
                code.set(here[VocabularySlot.CODE])
                going.set(0)
    return T.Bind(code.get())


def compare_bytes(different: Cell, one: tuple[Any, Any], other: tuple[Any, Any], size: Any) -> None:
    """Set bits of `different` where one[0][one[1]:] and the other's `size` bytes differ."""

    def difference(at: Any) -> Any:
        return load_word(one[0], one[1] + at) ^ load_word(other[0], other[1] + at)

    with T.serial(size >> i64(3)) as k:
        different.set(different.get() | difference(k * 8))
    tail = T.Bind(size & i64(7))
    with T.If(tail > 0), T.Then():
        different.set(different.get() | (difference(size - tail) & low_bytes(tail)))


def boundary_count(boundaries: Any, count: Any, number: Any) -> Any:
    """How many of `count` sorted float32 boundaries are at or below `number`; 0 for NaN.

    Halving without a branch: what a number is compared with is not to be foreseen.
    """
    low, left = Cell("int64", i64(0)), Cell("int64", count)
    with T.While(left.get() > 1):
        half = T.Bind(left.get() >> i64(1))
        below = T.Bind(boundaries[low.get() + half - 1] <= number)
        low.add(tirx.Select(below, half, i64(0)))
        left.add(i64(0) - half)
    return T.Bind(low.get() + tirx.Cast("int64", boundaries[low.get()] <= number))
