"""A custom operator from a shared library; `rtcompile_operator.h` is its interface."""

from __future__ import annotations

import ctypes
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import TEXT_BUCKETIZERS, make_feature
from rtcompile.features.conversion.custom_operator import operator_inputs
from rtcompile.features.conversion.read_file import read_bytes
from rtcompile.features.conversion.schema import CustomSchema
from rtcompile.features.operators import CallLibrary
from rtcompile.features.plan import Feature
from rtcompile.runtime.encoding.operator_library import LibraryFunction, address_of
from rtcompile.runtime.encoding.text_steps import Asset

__all__ = ["RESULT_BYTES", "call_numbers", "call_text", "library_operator"]

RESULT_BYTES = 1 << 12
_MOST_NUMBERS = 4096


class _Text(ctypes.Structure):
    _fields_ = (("data", ctypes.c_char_p), ("size", ctypes.c_int64))


def library_operator(schema: CustomSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    inputs = operator_inputs(schema, context, columns=True)
    path = context.base_dir / str(schema.operator_lib_file)
    data = context.attempt("operator_lib_file", lambda: read_bytes(path)) or b""
    function = LibraryFunction(schema.operator_name, Asset(hashlib.sha256(data).hexdigest(), data))
    if data:
        context.attempt("operator_lib_file", lambda: address_of(function))
    if not schema.is_op_thread_safe:
        context.problem("is_op_thread_safe", "true is needed: requests run side by side")
    numeric = all(getattr(schema, key) is None for key in TEXT_BUCKETIZERS)
    width = schema.value_dim or (1 if numeric and not schema.boundaries else 0)
    if numeric and width > _MOST_NUMBERS:
        context.problem("value_dim", f"{width} is more than {_MOST_NUMBERS}")
    given = schema.model_extra or {}
    parameters = context.attempt(
        "operator_name", lambda: json.dumps(given, sort_keys=True).encode()
    )
    return make_feature(
        schema,
        name,
        context,
        CallLibrary(function, parameters or b"{}", not numeric),
        inputs,
        numeric=numeric,
        value_dim=width,
    )


# inputs, their count, parameters, room for the result, how much of it
_FUNCTION = ctypes.CFUNCTYPE(
    ctypes.c_int64,
    *(ctypes.c_void_p, ctypes.c_int64, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int64),
)


def _call(operator: CallLibrary, texts: Sequence[bytes], out: Any, capacity: int) -> int:
    given = (_Text * len(texts))(*[_Text(text, len(text)) for text in texts])
    call = _FUNCTION(address_of(operator.function))
    written: int = call(given, len(texts), operator.parameters, out, capacity)
    return max(0, min(written, capacity))


def call_numbers(operator: CallLibrary, texts: Sequence[bytes], capacity: int) -> list[float]:
    """What the function writes for a feature that is numbers."""
    out = (ctypes.c_double * capacity)()
    return list(out[: _call(operator, texts, out, capacity)])


def call_text(operator: CallLibrary, texts: Sequence[bytes]) -> bytes:
    """What the function writes for a feature that is text."""
    out = (ctypes.c_char * RESULT_BYTES)()
    return out.raw[: _call(operator, texts, out, RESULT_BYTES)]
