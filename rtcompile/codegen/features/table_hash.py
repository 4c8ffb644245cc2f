"""The hash of probe tables: of no meaning outside a request, so as quick as it can be.

    up to 16 bytes   (first eight * A) ^ (last eight * B), folded; keys are mostly that short
    longer           murmur

Shorter words than eight bytes are loaded whole and masked: texts are padded.
"""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.tir import (
    Cell,
    add,
    load_word,
    low_bytes,
    multiply,
    u64,
)
from rtcompile.codegen.features.string_hash import murmur

__all__ = ["mixed", "quick_hash"]

_A, _B, _C = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xD6E8FEB86659FD93
_SHORT = 16


def quick_hash(text: Any, begin: Any, size: Any) -> Any:
    """uint64."""
    result = Cell("uint64", u64(0))
    with T.If(size <= _SHORT):
        with T.Then():
            word = T.Bind(load_word(text, begin))
            cut = T.Bind(word & low_bytes(tirx.min(size, tirx.const(7, "int64"))))
            first = T.Bind(tirx.Select(size < 8, cut, word))
            behind = tirx.max(begin, begin + size - 8)
            last = T.Bind(tirx.Select(size < 8, u64(0), load_word(text, T.Bind(behind))))
            sized = add(multiply(last, u64(_B)), tirx.Cast("uint64", size))
            result.set(_folded(multiply(first, u64(_A)) ^ sized))
        with T.Else():
            result.set(murmur(text, begin, size))
    return T.Bind(result.get())


def mixed(one: Any, other: Any) -> Any:
    """The hash of two keys, of theirs."""
    return _folded(add(multiply(one, u64(_A)), other))


def _folded(value: Any) -> Any:
    bits = T.Bind(value)
    bits = T.Bind(multiply(bits ^ (bits >> u64(32)), u64(_C)))
    return T.Bind(bits ^ (bits >> u64(29)))
