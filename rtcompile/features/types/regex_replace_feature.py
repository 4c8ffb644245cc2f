"""regex_replace_feature: texts, in which what regular expressions match becomes other text.

`regex_pattern`, in RE2's syntax: one, or several of which any may match. `replacement` has \\1 to
\\9 for the groups. Every match is replaced, or with `replace_all` false the first one. Runs on the
host (extra `text`), upstream of tokenizers too.

A text is one value: it is not split. In a sequence an element's text is split first, and each
value replaced. A list's values are replaced one by one, and all stay, whatever `value_dim` says.
The default value stays as it is. Where nothing is left of a text there is no value.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import make_feature
from rtcompile.features.conversion.schema import RegexReplaceSchema
from rtcompile.features.operators import Values
from rtcompile.features.plan import Feature, Input
from rtcompile.runtime.encoding.text_steps import (
    ReplaceRegex,
    SplitValues,
    TextStep,
    prepare,
)

__all__ = ["regex_replace_feature"]


def regex_replace_feature(schema: RegexReplaceSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    step = _step(schema, context)
    steps: tuple[TextStep, ...] = (step,)
    if context.sequence is not None:
        steps = (SplitValues(schema.separator), step)
    reads = context.inputs(schema, [("expression", schema.expression)])
    found = [replace(r, steps=(*r.steps, *steps)) for r in reads if isinstance(r, Input)]
    if len(found) < len(reads):
        context.problem("expression", "a regex_replace_feature reads a column")
    default = (schema.default_value or "").encode()
    feature = make_feature(
        schema,
        name,
        context,
        Values(),
        tuple(found),
        numeric=False,
        default=(default,) if default else (),
    )
    return replace(feature, separator=b"")


def _step(schema: RegexReplaceSchema, context: Context) -> ReplaceRegex:
    """What is done to a text; a pattern that is none is named."""
    given = schema.regex_pattern
    patterns = [given] if isinstance(given, str) else given
    first = len(context.problems)
    for pattern in patterns:
        alone = ReplaceRegex(pattern, "", schema.replace_all, schema.icase)
        context.attempt("regex_pattern", partial(prepare, (alone,)))
    whole = patterns[0] if len(patterns) == 1 else "|".join(f"(?:{p})" for p in patterns)
    step = ReplaceRegex(whole, schema.replacement, schema.replace_all, schema.icase)
    if len(context.problems) == first:
        context.attempt("replacement", partial(prepare, (step,)))
    return step
