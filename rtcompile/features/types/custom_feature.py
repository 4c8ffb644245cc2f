"""custom_feature: operators by name. EditDistance, RegexReplace and SeqExpr are built in.

The `operator_lib_file` of a built-in one, a file of the peer's, is not looked at. Others come from
a Python file or a shared library.
"""

from __future__ import annotations

from pathlib import Path

from rtcompile.features.conversion.config_context import Context
from rtcompile.features.conversion.conversion import make_feature
from rtcompile.features.conversion.schema import CustomSchema
from rtcompile.features.operators import Values
from rtcompile.features.plan import Feature
from rtcompile.features.types.edit_distance import edit_distance
from rtcompile.features.types.library_operator import library_operator
from rtcompile.features.types.python_operator import python_operator
from rtcompile.features.types.regex_replace import regex_replace
from rtcompile.features.types.seq_expr import seq_expr

__all__ = ["OPERATORS", "custom_feature"]

OPERATORS = {
    "EditDistance": edit_distance,
    "RegexReplace": regex_replace,
    "SeqExpr": seq_expr,
}
_FILES = {".py": python_operator, ".so": library_operator}


def custom_feature(schema: CustomSchema, name: str, context: Context) -> Feature:
    """The plan of a validated config; problems go to `context`."""
    convert = OPERATORS.get(schema.operator_name)
    if convert is not None:
        return convert(schema, name, context)
    suffix = Path(schema.operator_lib_file or "").suffix
    if suffix in _FILES:
        return _FILES[suffix](schema, name, context)
    context.problem(
        "operator_name",
        f"{schema.operator_name!r} is not built in, as {', '.join(OPERATORS)} are; give the file "
        "that has it as operator_lib_file, a .py or a .so",
    )
    return make_feature(schema, name, context, Values(), (), numeric=False)
