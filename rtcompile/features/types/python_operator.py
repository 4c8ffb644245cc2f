"""A custom operator from a Python file: traced into an expression. See `rtcompile/operators.py`."""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import make_feature
from rtcompile.features.conversion.custom_operator import operator_inputs
from rtcompile.features.conversion.read_file import read_bytes
from rtcompile.features.conversion.schema import CustomSchema
from rtcompile.features.expression import Expression, Number, Variable, checked
from rtcompile.features.operators import Expr
from rtcompile.features.plan import Feature
from rtcompile.operators import Value

__all__ = ["python_operator"]


def python_operator(schema: CustomSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    inputs = operator_inputs(schema, context)
    path = context.base_dir / str(schema.operator_lib_file)
    function = context.attempt("operator_lib_file", lambda: _load(path, schema.operator_name))
    expression: Expression | None = None
    if function is not None:
        expression = context.attempt("operator_name", lambda: _trace(function, schema))
    return make_feature(
        schema,
        name,
        context,
        Expr(expression or Number(0.0)),
        inputs,
        numeric=True,
        value_dim=schema.value_dim or 0,
    )


def _load(path: Path, name: str) -> Callable[..., Any]:
    """The operator of a file. Raises ValueError, OSError."""
    source = read_bytes(path)
    module_name = f"rtcompile_operators_{hashlib.sha256(source).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{path}: {type(error).__name__}: {error}") from error
    found = getattr(module, name, None)
    if not getattr(found, "is_operator", False):
        names = [n for n, value in vars(module).items() if getattr(value, "is_operator", False)]
        raise ValueError(f"{path} has no operator {name!r}; it has {', '.join(names) or 'none'}")
    assert found is not None
    loaded: Callable[..., Any] = found
    return loaded


def _trace(function: Callable[..., Any], schema: CustomSchema) -> Expression:
    """What the function computes. Raises ValueError with what it raised."""
    values = [Value(Variable(str(i))) for i in range(len(schema.texts))]
    parameters = schema.model_extra or {}
    try:
        inspect.signature(function).bind(*values, **parameters)
        result = function(*values, **parameters)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{schema.operator_name}: {type(error).__name__}: {error}") from error
    if isinstance(result, int | float):
        return Number(float(result))
    if not isinstance(result, Value):
        raise ValueError(f"{schema.operator_name} returned {type(result).__name__}, not a Value")
    return checked(result.expression)
