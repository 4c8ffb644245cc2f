"""What happens to a text before its feature's kernel sees it: normalize, replace, tokenize.

These run on the host, once a request for the user's fields and once an upsert for an item's, with
libraries of the extra `text`: tokenizers, sentencepiece, opencc, google-re2. Each is imported when
a loaded artifact, or a config, has a step that needs it.

A step takes the bytes of a text and returns bytes, or a list of them. Bytes that are no UTF-8 count
as U+FFFD for normalizing and tokenizing; a regular expression sees them as they are.
"""

from __future__ import annotations

import functools
import importlib
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from rtcompile.runtime.encoding.raw_values import split_values

__all__ = [
    "STEPS",
    "Asset",
    "MissingLibraryError",
    "NormalizeText",
    "ReplaceRegex",
    "SplitValues",
    "TextStep",
    "Tokenize",
    "prepare",
    "step_from_json",
    "step_to_json",
    "tokenizer_size",
]


class MissingLibraryError(ImportError):
    """A library of the extra `text` is not installed."""


@dataclass(frozen=True)
class Asset:
    """A file that a step needs. `name` is its SHA-256, `data` its bytes."""

    name: str
    data: bytes = field(repr=False, compare=False)


@dataclass(frozen=True)
class NormalizeText:
    """Rewrite characters, in the order of the fields.

    upper, lower: letters of either case. half_width: U+FF01 to U+FF5E as ASCII, U+3000 as a space.
    simplified: traditional Chinese characters as simplified ones. filtered: a space for each of
    `stop_characters`, or without any, for punctuation, symbols and control characters (Unicode's
    categories P, S and C). remove_space: drop white space. split: a space on both sides of each
    Chinese character. A text of more than `max_length` bytes of GBK stays as it is; 0 is no limit.
    """

    upper: bool = False
    lower: bool = False
    half_width: bool = False
    simplified: bool = False
    filtered: bool = False
    remove_space: bool = False
    split: bool = False
    stop_characters: str = ""
    max_length: int = 0


@dataclass(frozen=True)
class ReplaceRegex:
    """Matches of `pattern`, a regular expression of RE2, become `replacement`.

    There `\\0` is the match and `\\1` to `\\9` are its groups. Every match, or the first one;
    letters of either case where `ignore_case`.
    """

    pattern: str
    replacement: str
    every: bool = True
    ignore_case: bool = False


@dataclass(frozen=True)
class SplitValues:
    """A text to its values, on `separator` and on the separator of all values."""

    separator: str


@dataclass(frozen=True)
class Tokenize:
    """A text to the ids of its tokens, as decimal digits. `kind`: "bpe" or "sentencepiece"."""

    kind: str
    model: Asset


TextStep = NormalizeText | ReplaceRegex | SplitValues | Tokenize

STEPS = {step.__name__: step for step in (NormalizeText, ReplaceRegex, SplitValues, Tokenize)}


def step_to_json(step: TextStep) -> dict[str, Any]:
    """For the manifest. An asset is named; its bytes go elsewhere."""
    values = {f.name: getattr(step, f.name) for f in fields(step)}
    named = {n: v.name if isinstance(v, Asset) else v for n, v in values.items()}
    return {"step": type(step).__name__, **named}


def step_from_json(given: Mapping[str, Any], assets: Mapping[str, bytes]) -> TextStep:
    """The reverse of `step_to_json`. `assets`: name -> bytes."""
    values = dict(given)
    kind: Any = STEPS[values.pop("step")]
    if kind is Tokenize:
        values["model"] = Asset(values["model"], assets[values["model"]])
    made: TextStep = kind(**values)
    return made


Run = Callable[[bytes], "bytes | list[bytes]"]


@functools.cache
def prepare(steps: tuple[TextStep, ...]) -> Run:
    """One function for all steps, in their order. Raises MissingLibraryError, ValueError."""
    runs = [_run(step) for step in steps]
    if len(runs) == 1:
        return runs[0]

    several = any(isinstance(step, Tokenize | SplitValues) for step in steps)

    def run_all(text: bytes) -> bytes | list[bytes]:
        parts = [text]
        for run in runs:
            made = [run(part) for part in parts]
            parts = [p for m in made for p in (m if isinstance(m, list) else [m])]
        return parts if several else parts[0]

    return run_all


def _run(step: TextStep) -> Run:
    if isinstance(step, Tokenize):
        return _tokenizer(step)[0]
    if isinstance(step, ReplaceRegex):
        return _replacing(step)
    if isinstance(step, SplitValues):
        separator = step.separator.encode()
        return lambda text: [part for part in split_values(text, separator) if part]
    return _normalizing(step)


# -- tokenize -------------------------------------------------------------------------------


def tokenizer_size(step: Tokenize) -> int:
    """How many ids the tokenizer has."""
    return _tokenizer(step)[1]


@functools.cache
def _tokenizer(step: Tokenize) -> tuple[Run, int]:
    """The function and the number of ids; made once for all columns that share a model."""
    if step.kind == "sentencepiece":
        library = _library("sentencepiece")
        try:
            pieces = library.SentencePieceProcessor(model_proto=step.model.data)
        except RuntimeError as error:
            raise ValueError(f"not a sentencepiece model: {error}") from error
        return lambda text: _digits(pieces.encode(_decoded(text))), pieces.get_piece_size()
    library = _library("tokenizers")
    try:
        model = library.Tokenizer.from_str(step.model.data.decode())
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # nothing more special, nor are its panics an Exception
        raise ValueError(f"not a tokenizer: {error}") from error

    def encode(text: bytes) -> list[bytes]:
        return _digits(model.encode(_decoded(text), add_special_tokens=False).ids)

    return encode, model.get_vocab_size()


def _digits(ids: Sequence[int]) -> list[bytes]:
    return [b"%d" % number for number in ids]


# -- replace --------------------------------------------------------------------------------


def _replacing(step: ReplaceRegex) -> Run:
    library = _library("re2")
    options = library.Options()
    options.log_errors = False
    options.case_sensitive = not step.ignore_case
    try:
        pattern = library.compile(step.pattern.encode(), options)
    except library.error as error:
        reason = b"".join(error.args).decode("utf-8", "replace")
        raise ValueError(f"{step.pattern!r} is no regular expression: {reason}") from error
    parts = _template(step.replacement, pattern.groups)

    def rewritten(match: Any) -> bytes:
        found = (match.group(part) if isinstance(part, int) else part for part in parts)
        return b"".join(part or b"" for part in found)

    return lambda text: _replaced(text, pattern, rewritten, step.every)


def _template(replacement: str, groups: int) -> list[bytes | int]:
    """A replacement's texts, and the numbers of its groups. Raises ValueError."""
    found: list[bytes | int] = []
    for text, escaped in re.findall(r"([^\\]+)|\\(.?)", replacement, re.DOTALL):
        if text or escaped == "\\":
            found.append((text or escaped).encode())
        elif not escaped.isascii() or not escaped.isdigit():
            raise ValueError(
                f"{replacement!r}: a backslash stands before a group's number, or another one"
            )
        elif int(escaped) > groups:
            raise ValueError(f"{replacement!r}: the pattern has {groups} groups")
        else:
            found.append(int(escaped))
    return found


def _replaced(text: bytes, pattern: Any, rewritten: Callable[[Any], bytes], every: bool) -> bytes:
    """As RE2's own replacing does: nothing is not matched where a match has just ended."""
    at, last, found = 0, -1, list[bytes]()
    while at <= len(text) and (match := pattern.search(text, at)) is not None:
        begin, end = match.span()
        found.append(text[at:begin])
        if begin == end == last:
            at = begin + _character_size(text, begin)
            found.append(text[begin:at])
            continue
        found.append(rewritten(match))
        at = last = end
        if not every:
            break
    return b"".join([*found, text[at:]])


def _character_size(text: bytes, at: int) -> int:
    """Bytes of the character there; 1 for what is no UTF-8."""
    for size in (1, 2, 3, 4):
        try:
            text[at : at + size].decode()
        except UnicodeDecodeError:
            continue
        return size
    return 1


# -- normalize ------------------------------------------------------------------------------

_HALF_WIDTH = {0xFF01 + i: 0x21 + i for i in range(94)} | {0x3000: 0x20}
_FILTERED = ("P", "S", "C")
_CHINESE = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x323AF))


def _normalizing(step: NormalizeText) -> Run:
    rewrites = _rewrites(step)

    def normalize(text: bytes) -> bytes:
        characters = _decoded(text)
        if step.max_length and len(characters.encode("gbk", "replace")) > step.max_length:
            return text
        for rewrite in rewrites:
            characters = rewrite(characters)
        return characters.encode()

    return normalize


def _rewrites(step: NormalizeText) -> list[Callable[[str], str]]:
    found: list[Callable[[str], str]] = []
    if step.upper:
        found.append(str.upper)
    if step.lower:
        found.append(str.lower)
    if step.half_width:
        found.append(lambda text: text.translate(_HALF_WIDTH))
    if step.simplified:
        found.append(_library("opencc").OpenCC("t2s").convert)
    if step.filtered:
        stops = set(step.stop_characters)
        found.append(lambda text: "".join(" " if _is_filtered(c, stops) else c for c in text))
    if step.remove_space:
        found.append(lambda text: "".join(text.split()))
    if step.split:
        found.append(_split_chinese)
    return found


def _is_filtered(character: str, stops: set[str]) -> bool:
    if stops:
        return character in stops
    return unicodedata.category(character)[0] in _FILTERED


def _split_chinese(text: str) -> str:
    spaced = (f" {c} " if any(a <= ord(c) <= b for a, b in _CHINESE) else c for c in text)
    return " ".join("".join(spaced).split())


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingLibraryError(
            f"{name} is needed to process text, but not installed: pip install 'rtcompile[text]'"
        ) from error
