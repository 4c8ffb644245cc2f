"""A reader of protobuf's text format: names and values in their order, without a schema.

    text     field*
    field    name ":" value  |  name ":"? message  |  name ":"? "[" (value | message) , ... "]"
    message  "{" field* "}"  |  "<" field* ">"

Fields may end in "," or ";"; "#" begins a comment. A name may be "[an.extension]".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

__all__ = ["Message", "Scalar", "parse_text_proto"]

Scalar = str | int | float | bool

_DEEPEST = 100
_TOKEN = re.compile(
    r"""(?:
        (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
      | (?P<number>-?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[fF]?))
      | (?P<name>-?[A-Za-z_][A-Za-z0-9_.]*)
      | (?P<mark>[][{}<>:;,/])
      | (?P<end>\Z))""",
    re.VERBOSE,
)
_SPACE = re.compile(r"\s*")
_ESCAPE = re.compile(rb"\\(?:([0-7]{1,3})|[xX]([0-9a-fA-F]{1,2})|u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_CONTROL = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f"}
_CONTROL[b"v"] = b"\v"
_WORDS: dict[str, Scalar] = {"true": True, "false": False}


@dataclass(frozen=True)
class Message:
    """Fields: (name, value) in their order, a repeated one as often as it is there."""

    fields: tuple[tuple[str, Scalar | Message], ...]

    def all(self, name: str) -> list[Scalar | Message]:
        """Every value of a field."""
        return [value for field, value in self.fields if field == name]

    def last(self, name: str) -> Scalar | Message | None:
        """The value of a field that is not repeated: the last one counts."""
        found = self.all(name)
        return found[-1] if found else None

    def messages(self, name: str) -> list[Message]:
        """Every value of a field that is a message."""
        return [value for value in self.all(name) if isinstance(value, Message)]


def parse_text_proto(text: str) -> Message:
    """Parse. Raises ValueError that says the line."""
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._at, self._depth = text, 0, 0
        self._kind, self._token, self._start = "", "", 0
        self._advance()

    def parse(self) -> Message:
        fields = tuple(self._fields())
        if self._kind != "end":
            self._fail()
        return Message(fields)

    def _advance(self) -> None:
        self._start = self._behind_space()
        match = _TOKEN.match(self._text, self._start)
        if match is None:
            self._kind, self._token = "", self._text[self._start]
            self._fail()
        self._kind = match.lastgroup or ""
        self._token, self._at = match.group(), match.end()

    def _behind_space(self) -> int:
        """Where the next token begins, behind blanks and comments."""
        at = self._at
        while True:
            found = _SPACE.match(self._text, at)
            at = found.end() if found else at
            if not self._text.startswith("#", at):
                return at
            end = self._text.find("\n", at)
            at = len(self._text) if end < 0 else end

    def _fail(self) -> NoReturn:
        line = self._text.count("\n", 0, self._start) + 1
        found = "the end" if self._kind == "end" else repr(self._token)
        raise ValueError(f"line {line}: unexpected {found}, not protobuf's text format")

    def _accept(self, mark: str) -> bool:
        if self._kind == "mark" and self._token == mark:
            self._advance()
            return True
        return False

    def _expect(self, mark: str) -> None:
        if not self._accept(mark):
            self._fail()

    def _fields(self) -> Iterator[tuple[str, Scalar | Message]]:
        while self._kind == "name" or (self._kind == "mark" and self._token == "["):
            name = self._name()
            marked = self._accept(":")
            if self._accept("["):
                while not self._accept("]"):
                    yield name, self._value()
                    if not self._accept(","):
                        self._expect("]")
                        break
            else:
                if not marked and self._token not in ("{", "<"):
                    self._fail()
                yield name, self._value()
            if not self._accept(","):
                self._accept(";")

    def _name(self) -> str:
        if not self._accept("["):
            name = self._token
            self._advance()
            return name
        parts = []
        while self._kind == "name" or (self._kind == "mark" and self._token == "/"):
            parts.append(self._token)
            self._advance()
        self._expect("]")
        return "".join(parts)

    def _value(self) -> Scalar | Message:
        for begin, end in (("{", "}"), ("<", ">")):
            if self._accept(begin):
                self._depth += 1
                if self._depth > _DEEPEST:
                    raise ValueError(f"more than {_DEEPEST} messages inside each other")
                message = Message(tuple(self._fields()))
                self._expect(end)
                self._depth -= 1
                return message
        kind, token = self._kind, self._token
        if kind == "string":
            return self._strings()
        if kind not in ("number", "name"):
            self._fail()
        self._advance()
        return _number(token) if kind == "number" else _WORDS.get(token, token)

    def _strings(self) -> str:
        """Strings that stand beside each other are one."""
        found = b""
        while self._kind == "string":
            found += _ESCAPE.sub(_unescaped, self._token[1:-1].encode("utf-8", "surrogatepass"))
            self._advance()
        return found.decode("utf-8", "replace")


def _unescaped(match: re.Match[bytes]) -> bytes:
    octal, digits, point, character = match.groups()
    if octal:
        return bytes([int(octal, 8) & 0xFF])
    if digits:
        return bytes([int(digits, 16)])
    if point:
        return chr(int(point, 16)).encode("utf-8", "surrogatepass")
    return _CONTROL.get(character, character)


def _number(text: str) -> int | float:
    plain = text.rstrip("fF") if not text.lower().lstrip("-").startswith("0x") else text
    if plain.lower().lstrip("-").startswith("0x"):
        return int(plain, 16)
    # More digits than any integer of a config has are a number all the same.
    return int(plain) if plain.lstrip("-").isdigit() and len(plain) <= 40 else float(plain)
