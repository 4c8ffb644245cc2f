"""The keys of a feature config, out of the models that check it."""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from markdown_table import table
from pydantic import AliasChoices, BaseModel, BeforeValidator
from pydantic.fields import FieldInfo

from rtcompile.features.config.parse_config import SUPPORTED_TYPES
from rtcompile.features.conversion.schema import FeatureSchema, SequenceSchema

__all__ = ["feature_page"]


def feature_page() -> Iterator[str]:
    """The lines of the page."""
    yield "# Keys of a feature config"
    yield ""
    yield (
        "A config is an object with a list `features`. Its other keys, and what values mean, are "
        "in [feature configs](../fg_config.md). A key that is not listed here is an error."
    )
    yield ""
    yield "## Every feature"
    yield from _keys(FeatureSchema, {})
    for name, (schema, _) in SUPPORTED_TYPES.items():
        yield f"## {name}"
        yield ""
        yield f"Also `sequence_{name}`, whose values are a sequence's elements."
        yield from _keys(schema, FeatureSchema.model_fields)
    yield "## A grouped sequence"
    yield ""
    yield "An entry of `features` with the key `sequence_name` is a group of sequences."
    yield from _keys(SequenceSchema, {})
    yield "## Ignored keys"
    yield ""
    yield (
        "These keys belong to training, and to other programs that read the same file: "
        + ", ".join(f"`{key}`" for key in sorted(FeatureSchema.ignored))
        + "; of a grouped sequence "
        + ", ".join(f"`{key}`" for key in sorted(SequenceSchema.ignored))
        + "."
    )


def _keys(schema: type[BaseModel], inherited: Mapping[str, FieldInfo]) -> Iterator[str]:
    """The table of a schema's keys, without those that it inherits as they are."""
    meanings = _attribute_docs(schema)
    rows = []
    for name, field in schema.model_fields.items():
        same = inherited.get(name)
        if same is not None and repr(same) == repr(field):
            continue
        alias = field.validation_alias
        spellings = [str(c) for c in alias.choices] if isinstance(alias, AliasChoices) else [name]
        shown = f"`{spellings[0]}`"
        if spellings[1:]:
            shown += ", or " + ", ".join(f"`{other}`" for other in spellings[1:])
        default = "required" if field.is_required() else f"`{json.dumps(field.default)}`"
        rows.append((shown, _type_of(field), default, meanings.get(name, "")))
    if rows:
        yield from table(("key", "value", "default", "meaning"), rows)
    else:
        yield "\nIt has the keys that every feature has.\n"


def _type_of(field: FieldInfo) -> str:
    said = _annotation(field.annotation)
    limits = []
    for rule in field.metadata:
        if isinstance(rule, BeforeValidator):
            said += _text_form(rule)
            continue
        for key, words in _LIMITS.items():
            if (limit := getattr(rule, key, None)) is not None:
                limits.append(f"{words} {limit:,}")
    return ", ".join([said, *limits])


_LIMITS = {
    "ge": "at least",
    "le": "at most",
    "min_length": "of length at least",
    "max_length": "of length at most",
}
_NAMES = {str: "text", int: "integer", float: "number", bool: "true or false"}


def _annotation(annotation: Any) -> str:
    """A type in words."""
    origin, given = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_annotation(one) for one in given if one is not type(None))
    if origin is Literal:
        return " or ".join(f"`{json.dumps(one)}`" for one in given)
    if origin is typing.Annotated:
        rules = (rule for rule in given[1:] if isinstance(rule, BeforeValidator))
        return _annotation(given[0]) + "".join(map(_text_form, rules))
    if origin is list:
        return f"list of {_annotation(given[0])}"
    if origin is dict:
        return f"object of {_annotation(given[1])}" if given[1] is not Any else "object"
    return _NAMES.get(annotation, str(annotation))


# What a value may be written as instead, by the function that reads that.
_TEXT_FORMS = {
    "_numbers_of_text": ' (or text: `"1,2.5"`)',
    "_text_of_number": " (or a number, read as its text)",
    "<lambda>": "",
}


def _text_form(rule: BeforeValidator) -> str:
    return _TEXT_FORMS[rule.func.__name__]


def _attribute_docs(schema: type[BaseModel]) -> dict[str, str]:
    """Field -> the string below it, here and in the classes that it comes from."""
    found: dict[str, str] = {}
    for one in reversed(schema.__mro__):
        if not issubclass(one, BaseModel) or one is BaseModel:
            continue
        body = ast.parse(textwrap.dedent(inspect.getsource(one))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, below in zip(body.body, body.body[1:], strict=False):
            if (
                isinstance(field, ast.AnnAssign)
                and isinstance(field.target, ast.Name)
                and isinstance(below, ast.Expr)
                and isinstance(below.value, ast.Constant)
            ):
                found[field.target.id] = str(below.value.value)
    return found
