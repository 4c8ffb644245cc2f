"""The tokens of one input: of a raw column, or of what another feature gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.features.format_number import integer_text, number_text
from rtcompile.codegen.features.inputs import InputView, Take, Views
from rtcompile.codegen.features.tokens import each_token, separator_of, split_text

__all__ = ["Body", "Wanted", "input_tokens", "text_taker"]

Body = Callable[[Any, Any, Any, Any], None]  # (text, begin, size, weight)
Wanted = Callable[[], Any]


def input_tokens(views: Views, index: int, wanted: Wanted, body: Body) -> None:
    """The tokens of one input: of a raw column, or of what another feature makes."""
    read, separator = views.inputs[index], separator_of(views)
    if isinstance(read, InputView):
        weighted = views.feature.weighted

        def token(value: Any, begin: Any, size: Any) -> None:
            weight = T.Bind(read.column.number(value)) if weighted else None
            body(read.column.text, begin, size, weight)

        each_token(read, separator, wanted, token)
        return
    views.kernel.emit_inner(read, text_taker(views, wanted, body))


def text_taker(views: Views, wanted: Wanted, body: Body) -> Take:
    """Another feature's values as tokens: texts are split by who reads them."""
    scratch, separator = views.kernel.scratch, separator_of(views)

    def split(text: Any, begin: Any, size: Any) -> None:
        piece = (begin, T.Bind(begin + size), tirx.const(True, "bool"))
        split_text(text, piece, separator, wanted, lambda b, n: body(text, b, n, None))

    def digits(text: Any, begin: Any, size: Any) -> None:
        with T.If(wanted()), T.Then():
            body(text, begin, size, None)

    return Take(
        split,
        lambda code: integer_text(scratch, code, digits),
        lambda number: number_text(scratch, number, digits),
    )
