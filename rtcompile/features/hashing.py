"""The string hashes behind `hash_bucket_size`, in plain Python: the definition, not the fast path.

`murmur` is libstdc++'s std::hash<std::string>: MurmurHash64A with seed 0xc70f6907, tail bytes read
little-endian. `farmhash` is farmhash::Fingerprint64, as TensorFlow's string_to_hash_bucket_fast
uses it. Both are public-domain or MIT-licensed algorithms by Austin Appleby and Google.
"""

from __future__ import annotations

from collections.abc import Callable

__all__ = ["HASHES", "farmhash", "murmur"]

_MASK = (1 << 64) - 1
_MURMUR_SEED = 0xC70F6907
_MURMUR = 0xC6A4A7935BD1E995

_K0 = 0xC3A5C85C97CB3127
_K1 = 0xB492B66FBE98F273
_K2 = 0x9AE16A3B2F90404F


def _shift_mix(value: int) -> int:
    return value ^ (value >> 47)


def murmur(data: bytes) -> int:
    """The unsigned 64-bit hash of `data`."""
    whole = len(data) & ~7
    state = _MURMUR_SEED ^ (len(data) * _MURMUR & _MASK)
    for start in range(0, whole, 8):
        word = int.from_bytes(data[start : start + 8], "little")
        word = _shift_mix(word * _MURMUR & _MASK) * _MURMUR & _MASK
        state = (state ^ word) * _MURMUR & _MASK
    if len(data) != whole:
        state = (state ^ int.from_bytes(data[whole:], "little")) * _MURMUR & _MASK
    state = _shift_mix(state) * _MURMUR & _MASK
    return _shift_mix(state)


def _word(data: bytes, at: int, size: int = 8) -> int:
    return int.from_bytes(data[at : at + size], "little")


def _rotate(value: int, by: int) -> int:
    return (value >> by | value << (64 - by)) & _MASK


def _swap(value: int) -> int:
    return int.from_bytes(value.to_bytes(8, "little"), "big")


def _combine(u: int, v: int, factor: int) -> int:
    a = _shift_mix((u ^ v) * factor & _MASK)
    b = _shift_mix((v ^ a) * factor & _MASK)
    return b * factor & _MASK


def farmhash(data: bytes) -> int:
    """The unsigned 64-bit fingerprint of `data`."""
    length = len(data)
    if length <= 16:
        return _farm_16(data)
    if length <= 32:
        return _farm_32(data)
    return _farm_64(data) if length <= 64 else _farm_long(data)


def _farm_16(data: bytes) -> int:
    length = len(data)
    if length >= 8:
        factor = _K2 + length * 2
        a, b = (_word(data, 0) + _K2) & _MASK, _word(data, length - 8)
        c = (_rotate(b, 37) * factor + a) & _MASK
        d = ((_rotate(a, 25) + b) * factor) & _MASK
        return _combine(c, d, factor)
    if length >= 4:
        factor = _K2 + length * 2
        return _combine(length + (_word(data, 0, 4) << 3), _word(data, length - 4, 4), factor)
    if length > 0:
        y = data[0] + (data[length >> 1] << 8)
        z = length + (data[length - 1] << 2)
        return _shift_mix((y * _K2 & _MASK) ^ (z * _K0 & _MASK)) * _K2 & _MASK
    return _K2


def _farm_32(data: bytes) -> int:
    length = len(data)
    factor = _K2 + length * 2
    a, b = _word(data, 0) * _K1 & _MASK, _word(data, 8)
    c, d = _word(data, length - 8) * factor & _MASK, _word(data, length - 16) * _K2 & _MASK
    left = (_rotate(a + b & _MASK, 43) + _rotate(c, 30) + d) & _MASK
    return _combine(left, (a + _rotate(b + _K2 & _MASK, 18) + c) & _MASK, factor)


def _farm_64(data: bytes) -> int:
    length = len(data)
    factor = _K2 + length * 2
    a, b = _word(data, 0) * _K2 & _MASK, _word(data, 8)
    c, d = _word(data, length - 8) * factor & _MASK, _word(data, length - 16) * _K2 & _MASK
    y = (_rotate(a + b & _MASK, 43) + _rotate(c, 30) + d) & _MASK
    z = _combine(y, (a + _rotate(b + _K2 & _MASK, 18) + c) & _MASK, factor)
    e, f = _word(data, 16) * factor & _MASK, _word(data, 24)
    g = (y + _word(data, length - 32)) * factor & _MASK
    h = (z + _word(data, length - 24)) * factor & _MASK
    left = (_rotate(e + f & _MASK, 43) + _rotate(g, 30) + h) & _MASK
    return _combine(left, (e + _rotate(f + a & _MASK, 18) + g) & _MASK, factor)


def _weak(data: bytes, at: int, a: int, b: int) -> tuple[int, int]:
    """Two sums over the 32 bytes at `at`, seeded with a and b."""
    w, x, y, z = (_word(data, at + 8 * i) for i in range(4))
    a = (a + w) & _MASK
    b = _rotate((b + a + z) & _MASK, 21)
    c = a
    a = (a + x + y) & _MASK
    return (a + z) & _MASK, (b + _rotate(a, 44) + c) & _MASK


def _farm_long(data: bytes) -> int:
    seed = 81
    x, y = seed, (seed * _K1 + 113) & _MASK
    z = _shift_mix((y * _K2 + 113) & _MASK) * _K2 & _MASK
    v, w = (0, 0), (0, 0)
    x = (x * _K2 + _word(data, 0)) & _MASK
    end = (len(data) - 1) // 64 * 64
    for at in range(0, end, 64):
        x = _rotate((x + y + v[0] + _word(data, at + 8)) & _MASK, 37) * _K1 & _MASK
        y = _rotate((y + v[1] + _word(data, at + 48)) & _MASK, 42) * _K1 & _MASK
        x ^= w[1]
        y = (y + v[0] + _word(data, at + 40)) & _MASK
        z = _rotate((z + w[0]) & _MASK, 33) * _K1 & _MASK
        v = _weak(data, at, v[1] * _K1 & _MASK, (x + w[0]) & _MASK)
        w = _weak(data, at + 32, (z + w[1]) & _MASK, (y + _word(data, at + 16)) & _MASK)
        z, x = x, z
    return _farm_last(data, x, y, z, v, w)


def _farm_last(data: bytes, x: int, y: int, z: int, v: tuple[int, int], w: tuple[int, int]) -> int:
    """The last 64 bytes, which may overlap the blocks before."""
    factor = (_K1 + ((z & 0xFF) << 1)) & _MASK
    at = len(data) - 64
    w = ((w[0] + ((len(data) - 1) & 63)) & _MASK, w[1])
    v = ((v[0] + w[0]) & _MASK, v[1])
    w = ((w[0] + v[0]) & _MASK, w[1])
    x = _rotate((x + y + v[0] + _word(data, at + 8)) & _MASK, 37) * factor & _MASK
    y = _rotate((y + v[1] + _word(data, at + 48)) & _MASK, 42) * factor & _MASK
    x ^= w[1] * 9 & _MASK
    y = (y + v[0] * 9 + _word(data, at + 40)) & _MASK
    z = _rotate((z + w[0]) & _MASK, 33) * factor & _MASK
    v = _weak(data, at, v[1] * factor & _MASK, (x + w[0]) & _MASK)
    w = _weak(data, at + 32, (z + w[1]) & _MASK, (y + _word(data, at + 16)) & _MASK)
    z, x = x, z
    left = (_combine(v[0], w[0], factor) + _shift_mix(y) * _K0 + z) & _MASK
    return _combine(left, (_combine(v[1], w[1], factor) + x) & _MASK, factor)


HASHES: dict[str, Callable[[bytes], int]] = {"murmur": murmur, "farmhash": farmhash}
