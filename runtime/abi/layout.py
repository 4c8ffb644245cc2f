"""A memory layout as a struct: its fields in order, each with its kind and who writes it.

    class Current(Layout, owner=RUNTIME):
        OBJECT = pointer()
        VERSION = word()

A field is a number, its offset, so `words[Current.VERSION]` costs the runtime what a constant
costs. The offsets follow from the order of the fields; nobody writes them down. Emitted code reads
and writes the same fields through `rtcompile/codegen/emit/structs.py`, which refuses a field of
another layout, and a store to a field that others write alone. A field has the owner of its layout,
unless it is declared with another.

Most fields are int64 words, many of these addresses; an array or a struct inside of another takes
several. A narrow field, of four bytes, counts its offset in these. The last field may be an array
whose length is known when memory is allocated. A layout that derives from another begins with its
fields.
"""

from __future__ import annotations

from enum import Enum
from typing import Any, ClassVar, Protocol

__all__ = [
    "BOTH",
    "BUILD",
    "COMPILED",
    "PYTHON",
    "RUNTIME",
    "Field",
    "Kind",
    "Layout",
    "Owner",
    "Words",
    "float32",
    "pointer",
    "pointers",
    "structs",
    "uint32s",
    "word",
    "words",
]

WORD_BYTES = 8


class Owner(Enum):
    """Who writes a field."""

    RUNTIME = "runtime"
    COMPILED = "compiled code"
    BOTH = "both"
    BUILD = "the build"  # of constants
    PYTHON = "Python"  # neither: the struct is Python's own


RUNTIME, COMPILED = Owner.RUNTIME, Owner.COMPILED
BOTH, BUILD, PYTHON = Owner.BOTH, Owner.BUILD, Owner.PYTHON


class Kind(Enum):
    """What a field holds."""

    WORD = "int64"
    POINTER = "address"
    STRUCT = "struct"
    FLOAT32 = "float32"
    UINT32 = "uint32"

    @property
    def is_narrow(self) -> bool:
        """Whether a value has four bytes; else it is made of words."""
        return self in (Kind.FLOAT32, Kind.UINT32)


class Field(int):
    """A field. As a number it is its offset in its layout, in words; a narrow one's in four bytes.

    `count`: how many values or structs it holds, None of an array whose length is not fixed.
    `struct`: the layout of what lies in it, or of what it points to, where that is a struct.
    """

    name: str
    layout: type[Layout]
    kind: Kind
    owner: Owner | None
    count: int | None
    struct: type[Layout] | None

    def __new__(
        cls,
        offset: int,
        kind: Kind,
        owner: Owner | None,
        count: int | None = 1,
        struct: type[Layout] | None = None,
    ) -> Field:
        """One at an offset, of no layout yet."""
        field = super().__new__(cls, offset)
        field.kind, field.owner, field.count, field.struct = kind, owner, count, struct
        return field

    @property
    def stride(self) -> int:
        """From each of its values to the next, as offsets are counted."""
        return self.struct.WORDS if self.kind is Kind.STRUCT and self.struct else 1

    @property
    def byte(self) -> int:
        """Its offset in bytes."""
        return self.unit * self

    @property
    def unit(self) -> int:
        """Bytes that its offset counts."""
        return WORD_BYTES // 2 if self.kind.is_narrow else WORD_BYTES

    def placed(self, offset: int, layout: type[Layout], name: str) -> Field:
        """The same field at an offset of a layout."""
        field = Field(offset, self.kind, self.owner, self.count, self.struct)
        field.layout, field.name = layout, name
        return field

    def at(self, index: int) -> Field:
        """The value at an index of an array."""
        return self.placed(self + self.stride * index, self.layout, self.name)

    def of(self, inner: Field, index: int = 0) -> Field:
        """A field of words of the struct that lies here, or at an index of an array of them."""
        return inner.placed(self + self.stride * index + inner, self.layout, inner.name)

    def slice(self, count: int | None = None) -> slice:
        """Where `count` values lie; all, where that is None."""
        count = self.count if count is None else count
        return slice(int(self), None if count is None else self + self.stride * count)


class Words(Protocol):
    """The words of a struct, as the runtime has them: a memoryview, which fields alone index."""

    def __getitem__(self, field: Field) -> int: ...

    def __setitem__(self, field: Field, value: int) -> None: ...


class Layout:
    """A struct: its `FIELDS` in order; its size in `WORDS`, but for an array of any length."""

    FIELDS: ClassVar[tuple[Field, ...]] = ()
    WORDS: ClassVar[int] = 0

    def __init_subclass__(cls, owner: Owner | None = None, **named: Any) -> None:
        """Give each field its offset; `owner`: of those that have none."""
        super().__init_subclass__(**named)
        fields, end = list(cls.FIELDS), WORD_BYTES * cls.WORDS
        for name, declared in list(vars(cls).items()):
            if not isinstance(declared, Field):
                continue
            if fields and fields[-1].count is None:
                raise TypeError(f"{cls.__name__}.{name} follows an array of any length")
            field = declared.placed(-(-end // declared.unit), cls, name)
            field.owner = declared.owner or owner
            if field.owner is None:
                raise TypeError(f"{cls.__name__}.{name} has no owner")
            setattr(cls, name, field)
            fields.append(field)
            end = field.byte + field.unit * field.stride * (field.count or 0)
        cls.FIELDS, cls.WORDS = tuple(fields), -(-end // WORD_BYTES)


def word(owner: Owner | None = None) -> Field:
    """Declare an int64."""
    return Field(0, Kind.WORD, owner)


def words(count: int | None = None, owner: Owner | None = None) -> Field:
    """Declare an array of int64; without a count, one of any length."""
    return Field(0, Kind.WORD, owner, count)


def pointer(to: type[Layout] | None = None, owner: Owner | None = None) -> Field:
    """Declare an address; `to`: of a struct."""
    return Field(0, Kind.POINTER, owner, 1, to)


def pointers(
    count: int | None = None, to: type[Layout] | None = None, owner: Owner | None = None
) -> Field:
    """Declare an array of addresses; without a count, one of any length."""
    return Field(0, Kind.POINTER, owner, count, to)


def float32(owner: Owner | None = None) -> Field:
    """Declare a float32."""
    return Field(0, Kind.FLOAT32, owner)


def uint32s(count: int | None = None, owner: Owner | None = None) -> Field:
    """Declare an array of uint32; without a count, one of any length."""
    return Field(0, Kind.UINT32, owner, count)


def structs(struct: type[Layout], count: int | None = 1) -> Field:
    """Declare structs, side by side; any number of them where the count is None."""
    return Field(0, Kind.STRUCT, BOTH, count, struct)
