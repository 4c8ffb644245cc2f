"""tokenize_feature: the ids that a tokenizer gives a text.

`vocab_file` is a tokenizer.json (bpe) or a sentencepiece model. The default value is a text too,
and is tokenized where there is no text; that of a text_normalizer which is read goes first. With
`tokens_as_sequence` the tokens are the elements of a sequence of at most `sequence_length`.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import make_feature
from rtcompile.features.conversion.read_file import read_bytes
from rtcompile.features.conversion.schema import TokenizeSchema
from rtcompile.features.operators import Values
from rtcompile.features.plan import Feature, Input, Sequence
from rtcompile.runtime.encoding.text_steps import (
    Asset,
    Tokenize,
    prepare,
    tokenizer_size,
)

__all__ = ["tokenize_feature"]


def tokenize_feature(schema: TokenizeSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    if schema.output_type != "word_id":
        context.problem("output_type", f"{schema.output_type!r} is not supported; use word_id")
    if schema.tokens_as_sequence:
        if context.sequence is not None:
            context.problem("tokens_as_sequence", "not in a sequence: its elements are texts")
        context.sequence = Sequence(name, b";", schema.sequence_length or 50)
    path = context.base_dir / schema.vocab_file
    data = context.attempt("vocab_file", lambda: read_bytes(path))
    step = Tokenize(schema.tokenizer_type, Asset(hashlib.sha256(data or b"").hexdigest(), data))
    reads, default = _inputs(schema, context)
    size = 1
    tokens: tuple[bytes, ...] = ()
    if data is not None:
        size = context.attempt("vocab_file", lambda: tokenizer_size(step)) or 1
        if size > 1 and default:
            tokens = tuple(prepare((step,))(default))  # type: ignore[arg-type]
    inputs = [_tokenized(read, step, schema) for read in reads]
    change = {"vocab_file": None, "num_buckets": size, "default_value": None}
    plain = schema.model_copy(update=change)
    return make_feature(
        plain,
        name,
        context,
        Values(),
        tuple(inputs),
        numeric=False,
        value_dim=schema.value_dim or 0,
        default=tokens,
    )


def _inputs(schema: TokenizeSchema, context: Context) -> tuple[list[Input], bytes]:
    """The column, and the default text."""
    default = (schema.default_value or "").encode()
    found: list[Input] = []
    for read in context.inputs(schema, [("expression", schema.expression)]):
        column = read
        if isinstance(read, Feature) and read.inputs and isinstance(read.operator, Values):
            column = read.inputs[0]
        if isinstance(column, Input) and (column is read or column.steps):
            found.append(column)
            default = read.separator.join(read.default) if isinstance(read, Feature) else default
        else:
            context.problem("expression", "a tokenize_feature reads a column or a text_normalizer")
    return found, default


def _tokenized(read: Input, step: Tokenize, schema: TokenizeSchema) -> Input:
    whole = schema.tokens_as_sequence
    return replace(
        read,
        steps=(*read.steps, step),
        sequence=True if whole else read.sequence,
        tokens_as_elements=whole,
    )
