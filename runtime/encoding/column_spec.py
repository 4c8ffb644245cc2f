"""How a raw column is read: what the manifest says of it, and what is derived from that."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from typing import Any

from rtcompile.runtime.encoding.operator_library import LibraryFunction, address_of
from rtcompile.runtime.encoding.plain_values import is_list, parts_of
from rtcompile.runtime.encoding.raw_values import text_of
from rtcompile.runtime.encoding.text_steps import (
    Asset,
    TextStep,
    prepare,
    step_from_json,
    step_to_json,
)

__all__ = ["KINDS", "ColumnSpec", "processing", "read_specs"]

KINDS = (
    *("text", "terms", "places", "map", "map_number", "nested", "nested_text", "nested_number"),
    *("number", "present", "whole", "function"),
)

_BYTES = ("separator", "delimiter", "pair", "prefix", "constant")


@dataclass(frozen=True)
class ColumnSpec:
    """How a raw column is read. Features that read it alike share one.

    `kind`:
        text      values, split by the kernel
        terms     values, split here
        places    values, empty ones too, as their places count
        map, map_number
                  keys and values, which are wanted as text, or as numbers
        nested, nested_text, nested_number
                  a map of maps, as text
        number    numbers, NaN for what is none
        present   numbers, without those
        whole     one text an entry, never split
        function  none; PLACES is the address of `function`
    `delimiter` and `length` are those of a sequence, else None and 0. `pair` is what stands between
    value and weight of a weighted feature, else b"". `constant`: the one value of every row.
    `side`: where the column comes from. `steps`: what is done to each text before all else;
    `tokens_as_elements`: on the whole row, and what comes of it are the sequence's elements.
    """

    name: str
    kind: str
    separator: bytes
    delimiter: bytes | None = None
    length: int = 0
    pair: bytes = b""
    prefix: bytes = b""
    constant: bytes | None = None
    side: str = "user"
    steps: tuple[TextStep, ...] = ()
    tokens_as_elements: bool = False
    function: LibraryFunction | None = None
    cut: bool = False  # whether numbers lose their fraction before they become text
    listed: bool = False  # whether all texts are split here, so that every row has one form
    readers: tuple[str, ...] = field(default=(), compare=False)  # names of the features, for counts

    @cached_property
    def is_text(self) -> bool:
        """Whether the column has texts."""
        return self.kind not in ("number", "present", "function")

    @cached_property
    def has_numbers(self) -> bool:
        """Whether the column has numbers, or weights."""
        return bool(self.pair) or self.kind in ("number", "present")

    @cached_property
    def split_here(self) -> bool:
        """Whether strings are split while encoding, not by the kernel."""
        whole = self.listed or self.kind == "terms" or len(self.separator) != 1
        return bool(self.pair or self.prefix or whole)

    @cached_property
    def process(self) -> Callable[[object], object]:
        """`steps` on a raw value. Raises MissingLibraryError where it is first asked for."""
        return processing(self.steps)

    def to_json(self) -> dict[str, Any]:
        """For the manifest; bytes as Latin-1 text, assets of steps by name."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        plain = {n: v.decode("latin1") if isinstance(v, bytes) else v for n, v in values.items()}
        if self.function is not None:
            name = self.function.library.name
            plain["function"] = {"symbol": self.function.symbol, "library": name}
        return {
            **plain,
            "readers": list(self.readers),
            "steps": [step_to_json(step) for step in self.steps],
        }

    @staticmethod
    def from_json(given: Mapping[str, Any], assets: Mapping[str, bytes]) -> ColumnSpec:
        """The reverse of `to_json`. `assets`: name -> bytes."""
        values = dict(given)
        for name in _BYTES:
            if values[name] is not None:
                values[name] = values[name].encode("latin1")
        values["readers"] = tuple(given["readers"])
        values["steps"] = tuple(step_from_json(step, assets) for step in given["steps"])
        if given["function"] is not None:
            symbol, name = given["function"]["symbol"], given["function"]["library"]
            values["function"] = LibraryFunction(symbol, Asset(name, assets[name]))
        return ColumnSpec(**values)


def processing(steps: tuple[TextStep, ...]) -> Callable[[object], object]:
    """`steps` as a function of raw values: on one text, or each of a list; None stays None."""
    run = prepare(steps)

    def one(value: object) -> bytes | list[bytes]:
        text = text_of(value)
        return run(text) if text else text

    def every(value: object) -> object:
        if not is_list(value):
            return one(value)
        found: list[bytes] = []
        for part in parts_of(value):
            made = one(part)
            found += made if isinstance(made, list) else [made]
        return found

    return every


def read_specs(
    given: Sequence[Mapping[str, Any]], assets: Mapping[str, bytes]
) -> tuple[ColumnSpec, ...]:
    """The specs of a stage's description, ready to use. Raises MissingLibraryError, ValueError."""
    specs = tuple(ColumnSpec.from_json(spec, assets) for spec in given)
    for spec in specs:
        if spec.steps:
            _ = spec.process
        if spec.function is not None:
            address_of(spec.function)
    return specs
