"""text_normalizer: a text rewritten, for another feature to read.

`parameter` is a sum of: 2 lower case to upper, 4 upper case to lower, 8 full width to half,
16 traditional Chinese to simplified, 32 a space for each stop character, 512 a space around each
Chinese character. Without it: 2 + 8 + 16 + 32. Stop characters are those of `stop_char_file`, in
GBK, or without one, punctuation, symbols and control characters. The default value is not
rewritten.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import make_feature
from rtcompile.features.conversion.read_file import read_bytes
from rtcompile.features.conversion.schema import TextNormalizerSchema
from rtcompile.features.operators import Values
from rtcompile.features.plan import Constant, Feature, Input
from rtcompile.runtime.encoding.text_steps import NormalizeText, prepare

__all__ = ["PARAMETER_BITS", "text_normalizer"]

PARAMETER_BITS = {
    "upper": 2,
    "lower": 4,
    "half_width": 8,
    "simplified": 16,
    "filtered": 32,
    "split": 512,
}
_DEFAULT = 2 + 8 + 16 + 32


def text_normalizer(schema: TextNormalizerSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    for key in ("is_gbk_input", "is_gbk_output"):
        if getattr(schema, key):
            context.problem(key, "true is not supported; texts are UTF-8")
    if not schema.stub_type:
        context.problem("stub_type", "a normalized text is no output: true is needed")
    step = _step(schema, context)
    context.attempt("parameter", lambda: prepare((step,)))
    inputs = context.inputs(schema, [("expression", schema.expression)])
    if any(not isinstance(read, Input) for read in inputs):
        context.problem("expression", "a text_normalizer reads a column")
    found = tuple(
        replace(read, steps=(*read.steps, step)) if isinstance(read, Input) else read
        for read in inputs
        if not isinstance(read, Constant)
    )
    return make_feature(schema, name, context, Values(), found, numeric=False)


def _step(schema: TextNormalizerSchema, context: Context) -> NormalizeText:
    bits = _DEFAULT if schema.parameter is None else schema.parameter
    unknown = bits & ~sum(PARAMETER_BITS.values())
    if unknown:
        context.problem("parameter", f"{bits} has the unknown bits {unknown}")
    chosen = {name: bool(bits & bit) for name, bit in PARAMETER_BITS.items()}
    if chosen["upper"] and chosen["lower"]:
        context.problem(
            "parameter", f"{bits}: 2, to upper case, and 4, to lower, exclude each other"
        )
    stops = ""
    if schema.stop_char_file is not None:
        path = context.base_dir / schema.stop_char_file
        stops = context.attempt("stop_char_file", lambda: _read_gbk(path)) or ""
    return NormalizeText(
        **chosen,
        remove_space=schema.remove_space,
        stop_characters="".join(dict.fromkeys(stops.replace("\n", ""))),
        max_length=schema.max_length,
    )


def _read_gbk(path: Path) -> str:
    """The text of a file in GBK. Raises OSError, ValueError."""
    data = read_bytes(path)
    if not data.isascii():
        try:
            data.decode("utf-8")
        except UnicodeDecodeError:
            pass
        else:
            raise ValueError(f"{path} is UTF-8; GBK is needed: iconv -f utf-8 -t gbk")
    try:
        return data.decode("gbk")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not GBK: {error.reason} at byte {error.start}") from error
