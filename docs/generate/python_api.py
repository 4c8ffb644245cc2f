"""What `rtcompile` offers to Python, out of signatures and docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

import rtcompile
import rtcompile.features

__all__ = ["python_page"]

_WIDTH = 100

# What a reader wants first; whatever else is public follows.
_FIRST = ("build", "BuildOptions", "load", "Ranker", "verify")


def python_page() -> Iterator[str]:
    """The lines of the page."""
    yield "# Python"
    yield ""
    yield (
        "`import rtcompile` needs numpy and apache-tvm-ffi only. `build` and `verify`, and the "
        "module `rtcompile.features`, need the extra `compiler`."
    )
    others = [name for name in rtcompile.__all__ if name not in _FIRST]
    errors = [name for name in others if name.endswith("Error")]
    for name in _FIRST:
        yield from _object(f"rtcompile.{name}", getattr(rtcompile, name))
        if name == "Ranker":
            yield from _object("rtcompile.Ranker.items", _type_of(rtcompile.Ranker.items))
    for name in others:
        if name not in errors:
            yield from _object(f"rtcompile.{name}", getattr(rtcompile, name))
    for name in rtcompile.features.__all__:
        yield from _object(f"rtcompile.features.{name}", getattr(rtcompile.features, name))
    for name in errors:
        yield from _object(f"rtcompile.{name}", getattr(rtcompile, name))


def _type_of(member: Any) -> Any:
    """The class that a property gives."""
    return inspect.signature(member.fget, eval_str=True).return_annotation


def _object(name: str, value: Any) -> Iterator[str]:
    yield ""
    yield f"## {name}"
    if not inspect.isclass(value):
        yield from _function(name, value)
        return
    bases = [base for base in value.__bases__ if base not in (object, Exception)]
    if bases and bases[0].__module__.partition(".")[0] in ("rtcompile", "runtime"):
        yield f"\nA kind of `{bases[0].__name__}`."
    if hasattr(value, "__dataclass_fields__"):
        yield f"\n```text\n{_signature(name, value)}\n```"
    yield from _doc(value)
    if issubclass(value, Exception):
        yield f"\nExit code {value.exit_code}."
        return
    for member, held in vars(value).items():
        if member.startswith("_"):
            continue
        if isinstance(held, property):
            yield f"\n### {name}.{member}"
            yield from _doc(held.fget)
        elif inspect.isfunction(held):
            yield f"\n### {name}.{member}"
            yield from _function(f"{name}.{member}", held)


def _function(name: str, value: Callable[..., Any]) -> Iterator[str]:
    yield f"\n```text\n{_signature(name, value)}\n```"
    yield from _doc(value)


def _signature(name: str, value: Callable[..., Any]) -> str:
    signature = inspect.signature(value)
    given = [p for p in signature.parameters.values() if p.name != "self"]
    parameters, keyword_only = [], False
    for parameter in given:
        if parameter.kind is parameter.KEYWORD_ONLY and not keyword_only:
            parameters.append("*")
            keyword_only = True
        parameters.append(_parameter(parameter))
    told = signature.return_annotation
    arrow = "" if told in (inspect.Signature.empty, "None", None) else f" -> {told}"
    short = f"{name}({', '.join(parameters)}){arrow}"
    if len(short) <= _WIDTH:
        return short
    return "\n".join([f"{name}(", *(f"    {one}," for one in parameters), f"){arrow}"])


def _parameter(parameter: inspect.Parameter) -> str:
    said = parameter.name
    if parameter.annotation is not parameter.empty:
        said += f": {parameter.annotation}"
    if parameter.default is not parameter.empty:
        said += f" = {'...' if callable(parameter.default) else repr(parameter.default)}"
    return said


def _doc(value: Any) -> Iterator[str]:
    text = inspect.getdoc(value)
    if text:
        yield ""
        yield re.sub(r"\[(?=[^\]]*\])", r"\\[", text)
