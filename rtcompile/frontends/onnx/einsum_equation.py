"""The equation of an Einsum with a letter for every axis."""

from __future__ import annotations

import string
from collections import Counter
from collections.abc import Sequence

__all__ = ["parsed_equation"]


def parsed_equation(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """(the letters of each operand, those of the result). "..." becomes letters of its own.

    Without an arrow the result has what stands for "...", then the letters that occur once, in
    alphabetical order. Raises ValueError.
    """
    text = equation.replace(" ", "")
    sources, arrow, result = text.partition("->")
    terms = sources.split(",")
    if len(terms) != len(ranks):
        raise ValueError(f"equation {equation!r} is of {len(terms)} operands, not of {len(ranks)}")
    unused = [letter for letter in string.ascii_letters if letter not in text]
    others = [rank - len(t.replace("...", "")) for t, rank in zip(terms, ranks, strict=True)]
    wide = [count for count, term in zip(others, terms, strict=True) if "..." in term]
    is_plain = all(_is_term(term) for term in [*terms, result])
    if not is_plain or max(wide, default=0) > len(unused):
        raise ValueError(f"equation {equation!r} is none of letters and '...'")
    for count, term in zip(others, terms, strict=True):
        if count < 0 or (count and "..." not in term):
            raise ValueError(f"equation {equation!r} does not fit operands of ranks {list(ranks)}")
    rest = "".join(unused[: max(wide, default=0)])
    given = [
        term.replace("...", rest[len(rest) - count :] if count else "")
        for count, term in zip(others, terms, strict=True)
    ]
    if arrow:
        letters = result.replace("...", rest)
    else:
        counts = Counter(sources.replace("...", "").replace(",", ""))
        letters = rest + "".join(sorted(i for i, count in counts.items() if count == 1))
    if len(set(letters)) != len(letters) or not set(letters) <= set("".join(given)):
        raise ValueError(f"equation {equation!r} has a result of letters that no operand has once")
    return given, letters


def _is_term(term: str) -> bool:
    plain = term.replace("...", "", 1)
    return not plain or (plain.isascii() and plain.isalpha())
