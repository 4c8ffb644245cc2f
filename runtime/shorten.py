"""Values in messages, shortened: a refusal does not repeat megabytes of what was refused.

`short_repr` is for a value that a caller or a file gave; it looks at no more of it than it shows.
`short_message` bounds a whole message, and every error of ours passes through it.
"""

from __future__ import annotations

import itertools
import reprlib
from collections.abc import Iterable

__all__ = ["first_few", "short_message", "short_repr"]

_CHARACTERS = 80  # of a value
_DIGITS = 100  # integers of more bits than this many digits are described
_HEAD, _TAIL = 6000, 1000  # of a message: what is wrong comes first, what to do last


class _Short(reprlib.Repr):
    """The beginning of a value, as text of about _CHARACTERS."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlevel, self.maxlong, self.maxother = 3, _CHARACTERS, _CHARACTERS
        self.maxlist = self.maxtuple = self.maxdict = self.maxarray = self.maxdeque = 3

    def repr_str(self, x: str, level: int) -> str:
        """A text, cut before it is quoted."""
        return _cut(x, len(x), "characters")

    def repr_bytes(self, x: bytes, level: int) -> str:
        """Bytes, cut before they are quoted."""
        return _cut(x, len(x), "bytes")

    def repr_int(self, x: int, level: int) -> str:
        """An integer; Python refuses to write very long ones."""
        bits = x.bit_length()
        if bits > 3.3 * _DIGITS:
            return f"an integer of {bits:,} bits"
        return int.__repr__(x)

    def repr_dict(self, x: dict[object, object], level: int) -> str:
        """Its first entries, in its own order: sorting them all would take long."""
        if not level:
            return "{...}"
        shown = [
            f"{self.repr1(key, level - 1)}: {self.repr1(value, level - 1)}"
            for key, value in itertools.islice(x.items(), self.maxdict)
        ]
        return "{" + ", ".join([*shown, "..."] if len(x) > self.maxdict else shown) + "}"

    def repr_set(self, x: set[object], level: int) -> str:
        """A set by its size, likewise."""
        return f"a set of {len(x):,}"

    def repr_frozenset(self, x: frozenset[object], level: int) -> str:
        """As a set."""
        return f"a set of {len(x):,}"

    def repr_ndarray(self, x: object, level: int) -> str:
        """An array by its form: what it holds may be long."""
        return f"array of shape {getattr(x, 'shape', '?')}, {getattr(x, 'dtype', '?')}"

    def repr_instance(self, x: object, level: int) -> str:
        """Any other object: bytes and texts of subclasses too, and none of their own words."""
        if isinstance(x, str):
            return self.repr_str(x, level)
        if isinstance(x, bytes):
            return self.repr_bytes(x, level)
        if isinstance(x, int) and not isinstance(x, bool):
            return self.repr_int(x, level)
        try:
            return super().repr_instance(x, level)
        except Exception:  # whatever the object's own method raises
            return f"<{type(x).__name__}>"


_SHORT = _Short()


def _cut(value: str | bytes, length: int, unit: str) -> str:
    if length <= _CHARACTERS:
        return str.__repr__(value) if isinstance(value, str) else bytes.__repr__(value)
    head = value[:_CHARACTERS]
    shown = str.__repr__(head) if isinstance(head, str) else bytes.__repr__(head)
    return f"{shown}... ({length:,} {unit})"


def short_repr(value: object) -> str:
    """`repr` of a value, cut where it is long; never raises, whatever the value is."""
    try:
        found = _SHORT.repr(value)
    except Exception:  # of a hostile subclass of list, dict and the like
        return f"<{type(value).__name__}>"
    return found if len(found) <= 4 * _CHARACTERS else f"{found[: 4 * _CHARACTERS]}..."


def first_few(values: Iterable[object], count: int, few: int = 5) -> str:
    """The first of `count` values, and how many there are beside them."""
    shown = [short_repr(value) for value, _ in zip(values, range(few), strict=False)]
    more = f" and {count - few:,} more" if count > few else ""
    return f"{', '.join(shown)}{more}"


def short_message(message: str) -> str:
    """A message of bounded length: its beginning and its end."""
    left_out = len(message) - _HEAD - _TAIL
    if left_out <= 0:
        return message
    return f"{message[:_HEAD]}... ({left_out:,} characters) ...{message[-_TAIL:]}"
