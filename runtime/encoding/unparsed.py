"""Values that are there but cannot be read: counted by feature, or where that is strict, refused.

Numbers that are none, entries of a map without a key or without what parts key and value: a feature
goes on without them, with its default where nothing is left.
"""

from __future__ import annotations

import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterable

from rtcompile.runtime.abi.layout import Words
from rtcompile.runtime.abi.status import SHOWN_BYTES, Code, Status, Tallied
from rtcompile.runtime.errors import RequestError
from rtcompile.runtime.shorten import short_repr

__all__ = ["UnparsedValues", "unparsed_error", "unparsed_value"]


def unparsed_value(feature: str, where: str, row: int, value: object) -> RequestError:
    """What is told of a value. `where` names its column."""
    text = value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value
    return _error(f"feature {feature!r}: {where}", ", ", row, f"{short_repr(text)} cannot be read")


def _error(who: str, between: str, row: int, what: str) -> RequestError:
    return RequestError(f"{who}{between}row {row}: {what}", f"{who}: {what}")


def unparsed_error(feature: str, words: Words) -> RequestError:
    """What the status of a stage tells of the first value that could not be read."""
    row, size = words[Status.ROW], words[Tallied.SIZE]
    who = f"feature {feature!r}"
    if words[Status.CODE] == Code.UNEQUAL:
        longest = words[Tallied.TEXT]
        return _error(who, ": ", row, f"{size} elements beside {longest} of what they belong to")
    if words[Status.CODE] == Code.NO_ID:
        number = struct.unpack("d", struct.pack("q", words[Status.GIVEN]))[0]
        return _error(who, ": ", row, f"{number:.9g} is no 64-bit integer")
    shown = bytes(words[Tallied.TEXT.at(k)] for k in range(min(size, SHOWN_BYTES)))
    text = f"{short_repr(shown.decode('utf-8', 'backslashreplace'))}"
    more = f"... ({size:,} bytes)" if size > len(shown) else ""
    return _error(who, ": ", row, f"{text}{more} cannot be read")


class UnparsedValues:
    """Takes those that are met while columns are encoded; from any thread."""

    def __init__(self, strict: bool = False) -> None:
        self.strict = strict
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def add(
        self, features: Iterable[str], where: Callable[[], str], row: int, value: object
    ) -> None:
        """Count a value for the features that read it. Raises RequestError where strict."""
        for feature in features:
            if self.strict:
                raise unparsed_value(feature, where(), row, value)
            with self._lock:
                self._counts[feature] += 1

    def counts(self) -> dict[str, int]:
        """By feature, so far."""
        with self._lock:
            return dict(self._counts)
