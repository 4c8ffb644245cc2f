"""From text to numbers: one definition for the reference, the encoder and the kernels.

An id is an optional sign and decimal digits, with white space around, within int64; text that is a
number with a fraction of zeros ("3.0") counts as its integer, as columns that went through a float
have it. A real number is what `strtod` reads: digits with fraction and exponent, `nan`, `inf` or
`infinity` in any case, white space around. Anything else is no number.
"""

from __future__ import annotations

import re

__all__ = ["format_integer", "parse_float", "parse_int"]

_SPACE = b" \t\n\r\v\f"
_INTEGER = re.compile(rb"([+-]?)(\d+)(?:\.0*)?")
_REAL = re.compile(
    rb"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|nan|inf|infinity)", re.IGNORECASE
)
_LOWEST, _HIGHEST = -(1 << 63), (1 << 63) - 1


def parse_int(text: bytes) -> int | None:
    """The integer that `text` spells, or None."""
    match = _INTEGER.fullmatch(text.strip(_SPACE))
    # More digits than int64 has, leading zeros aside, can only be out of range.
    if match is None or len(match[2].lstrip(b"0")) > 19:
        return None
    value = int(match[2]) if match[1] != b"-" else -int(match[2])
    return value if _LOWEST <= value <= _HIGHEST else None


def parse_float(text: bytes) -> float | None:
    """The float64 nearest to what `text` spells, or None."""
    match = _REAL.fullmatch(text.strip(_SPACE))
    return float(match[0]) if match else None


def format_integer(value: int) -> bytes:
    """An integer as it is hashed: decimal digits."""
    return b"%d" % value
