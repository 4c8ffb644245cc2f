"""Structs of `runtime/abi`, as emitted code reads and writes them.

    request = struct_at(Request, words)     # words: an address
    request[Request.ROWS]                   # a load
    request[Request.OUTCOME] = DONE         # a store
    request.follow(Request.IDS)             # the struct that a field points to
    pool.inner(Pool.TRIALS, k)              # the k-th of the structs that lie in a field

A field of another layout, and a store to what others write alone, are a TypeError.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.pointers import pointer_to, values_at
from rtcompile.runtime.abi.layout import BOTH, COMPILED, Field, Kind, Layout

__all__ = ["Struct", "field_at", "struct_at"]


class Struct:
    """One of `layout`, whose words lie in `buffer` from `first` on.

    `address`: where the buffer begins, as int64, if that is known. `narrow`: buffers of the same
    memory, for narrow fields by their kind.
    """

    def __init__(
        self,
        layout: type[Layout],
        buffer: Any,
        first: Any = 0,
        address: Any = None,
        narrow: Mapping[Kind, Any] = MappingProxyType({}),
    ) -> None:
        self.layout, self.buffer, self._first, self._address = layout, buffer, first, address
        self._narrow = narrow

    def __getitem__(self, field: Field) -> Any:
        """Load a field."""
        at = self._at(field)
        return self._of(field)[at]

    def __setitem__(self, field: Field, value: Any) -> None:
        """Store a field."""
        at = self._at(field)
        self._check_owner(field)
        T.buffer_store(self._of(field), value, [at])

    def address_of(self, field: Field) -> Any:
        """Where a field lies, as int64."""
        return self._address + 8 * self._at(field)

    def address_of_element(self, field: Field, index: Any) -> Any:
        """Where the value or struct at an index of an array lies."""
        return self._address + 8 * (self._at(field) + index * field.stride)

    def element(self, field: Field, index: Any) -> Any:
        """Load a value of an array; the index is at least 0."""
        at = self._at(field) + index
        return self._of(field)[at]

    def element_before(self, field: Field, count: Any) -> Any:
        """Load the value that lies so many values before a field."""
        return self.buffer[self._at(field) - count]

    def set_element(self, field: Field, index: Any, value: Any) -> None:
        """Store a value of an array."""
        at = self._at(field) + index
        self._check_owner(field)
        T.buffer_store(self._of(field), value, [at])

    def follow(self, field: Field) -> Struct:
        """The struct that a field points to."""
        if field.kind is not Kind.POINTER or field.struct is None:
            raise TypeError(f"{_named(field)} points to no struct")
        return struct_at(field.struct, T.Bind(self[field]))

    def values(self, field: Field, dtype: str) -> Any:
        """A buffer of the values that a field points to."""
        return values_at(T.Bind(self[field]), dtype)

    def pointer(self, field: Field, dtype: str = "uint8") -> Any:
        """The address in a field, as a pointer."""
        return pointer_to(T.Bind(self[field]), dtype)

    def at_index(self, index: int) -> Struct:
        """The one so many structs behind this one, in an array of them."""
        return Struct(self.layout, self.buffer, self._first + index * self.layout.WORDS)

    def part(self, field: Field, layout: type[Layout], index: Any) -> Struct:
        """A struct of `layout` that begins with the word at an index of an array."""
        return Struct(layout, self.buffer, self._at(field) + index)

    def inner(self, field: Field, index: Any = 0) -> Struct:
        """A struct that lies in a field, at an index of several."""
        if field.kind is not Kind.STRUCT or field.struct is None:
            raise TypeError(f"{_named(field)} holds no struct")
        first = self._at(field) + index * field.stride
        if not isinstance(index, int):
            first = T.Bind(first)
        return Struct(field.struct, self.buffer, first, self._address)

    def _of(self, field: Field) -> Any:
        """The buffer that a field is an element of."""
        return self._narrow[field.kind] if field.kind.is_narrow else self.buffer

    def _check_owner(self, field: Field) -> None:
        if field.owner not in (COMPILED, BOTH):
            raise TypeError(f"{_named(field)}: compiled code only reads it")

    def _at(self, field: Field) -> Any:
        if not isinstance(field, Field) or not issubclass(self.layout, field.layout):
            raise TypeError(f"{_named(field)} is no field of {self.layout.__name__}")
        return self._first + int(field)


def struct_at(layout: type[Layout], address: Any) -> Struct:
    """The struct at an address, an int64."""
    return Struct(layout, values_at(address, "int64"), 0, address)


def field_at(address: Any, field: Field) -> Any:
    """Load a field of the struct at an address."""
    return struct_at(field.layout, address)[field]


def _named(field: Field) -> str:
    is_field = isinstance(field, Field)
    return f"{field.layout.__name__}.{field.name}" if is_field else repr(field)
