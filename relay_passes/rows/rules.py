"""How the result of each operator of Relax depends on the rows of its operands.

A rule takes a call and the layouts of its operands, and gives that of the result (a tuple's: of its
fields), or raises MixedError. What has no rule here is legalised to TIR, whose loads and stores
tell (`tir_functions.py`); kernels and calls that cannot be looked into have none, and are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import relax
from tvm.ir import IRModule

from rtcompile.relay_passes.matching import bindings, call_name
from rtcompile.relay_passes.rows import computations, counts, moves
from rtcompile.relay_passes.rows.layouts import (
    FIXED,
    Counted,
    Layout,
    MixedError,
    Rows,
    row_extents,
)
from rtcompile.relay_passes.rows.named_kernels import kernel_rule
from rtcompile.relay_passes.rows.operands import Layouts, flat, operand_layouts
from rtcompile.relay_passes.rows.tir_functions import kernel_layouts

__all__ = ["result_layout"]

_NO_RULE = "has no rule that tells which rows it reads"

Rule = Callable[[Any, Sequence[Any]], Layouts]


def result_layout(mod: IRModule, call: Any, operands: Sequence[Layouts]) -> Layouts:
    """The layout of a call's result. `operands`: those of its arguments, in order.

    Raises MixedError.
    """
    name = call_name(call) or ""
    if name == "relax.call_tir":
        if len(call.args) > 2:
            raise MixedError("computes with the number of rows of the request")
        function = mod[call.args[0]]
        return _of_types(call, kernel_layouts(function, flat(operands[1:2])))
    if name == "relax.call_dps_packed":
        return kernel_rule(call)(call, operands)
    layouts = flat(operands)
    if any(isinstance(layout, Counted) for layout in layouts):
        return counts.of_counts(call, name, layouts)
    rule = _RULES.get(name)
    if rule is not None:
        return rule(call, operands)
    if not any(isinstance(layout, Rows) for layout in layouts) and not _is_as_wide(call):
        return _fixed(call.ty)
    return _legalized(call, operands)


def _is_as_wide(call: Any) -> bool:
    types = call.ty.fields if isinstance(call.ty, relax.TupleType) else [call.ty]
    return any(e != 0 for ty in types for e in row_extents(ty) or ())


def _fixed(ty: Any) -> Layouts:
    if isinstance(ty, relax.TupleType):
        return tuple(_fixed(field) for field in ty.fields)
    return FIXED


def _of_types(call: Any, layouts: Sequence[Layout]) -> Layouts:
    if isinstance(call.ty, relax.TupleType):
        return tuple(layouts)
    return layouts[0]


def _legalized(call: Any, operands: Sequence[Layouts]) -> Layouts:
    """By the TIR that the operator becomes, its operands as parameters."""
    parameters: dict[Any, Layout] = {}

    def parameter(expression: Any, layout: Layouts) -> Any:
        if isinstance(expression, relax.Tuple):
            assert isinstance(layout, tuple)
            each = zip(expression.fields, layout, strict=True)
            return relax.Tuple([parameter(field, one) for field, one in each])
        if isinstance(layout, tuple):
            raise MixedError(_NO_RULE)
        if not isinstance(expression, relax.Var) or not isinstance(expression.ty, relax.TensorType):
            return expression
        var = relax.Var(f"x{len(parameters)}", expression.ty)
        parameters[var] = layout
        return var

    arguments = [parameter(a, layout) for a, layout in zip(call.args, operands, strict=True)]
    block = relax.BlockBuilder()
    with block.function("main", list(parameters)):
        with block.dataflow():
            made = relax.Call(call.op, arguments, call.attrs, call.ty_args)
            result = block.emit_output(block.normalize(made))
        block.emit_func_output(result)
    mod = relax.transform.LegalizeOps()(block.get())
    function = mod["main"]
    names: dict[Any, Layouts] = dict(zip(function.params, parameters.values(), strict=True))
    for var, value in bindings(function).items():
        if call_name(value) == call_name(call):
            raise MixedError(_NO_RULE)
        given = [operand_layouts(argument, names) for argument in getattr(value, "args", ())]
        is_call = isinstance(value, relax.Call)
        found = result_layout(mod, value, given) if is_call else operand_layouts(value, names)
        names[var] = found
    return operand_layouts(function.body.body, names)


def _no_layout(call: Any, operands: Sequence[Any]) -> Layout:
    """A shape is no value of a row's."""
    return FIXED


def _as_wide(call: Any, operands: Sequence[Any]) -> Layout:
    """The same value everywhere."""
    return FIXED


_ELEMENTWISE = (
    *("abs", "acos", "acosh", "add", "asin", "asinh", "astype", "atan", "atan2", "atanh"),
    *("bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "ceil", "clip", "cos", "cosh"),
    *("divide", "equal", "erf", "exp", "floor", "floor_divide", "floor_mod", "greater"),
    *("greater_equal", "isfinite", "isinf", "isnan", "left_shift", "less", "less_equal", "log"),
    *("log_add_exp", "logical_and", "logical_not", "logical_or", "logical_xor", "maximum"),
    *("minimum", "mod", "multiply", "negative", "not_equal", "power", "right_shift", "round"),
    *("rsqrt", "sigmoid", "sign", "sin", "sinh", "sqrt", "square", "subtract", "tan", "tanh"),
    *("trunc", "where", "nn.gelu", "nn.gelu_tanh", "nn.leakyrelu", "nn.relu", "nn.selu"),
    *("nn.silu", "nn.softplus", "broadcast_to", "ewise_fma"),
)

_RULES: dict[str, Rule] = {
    **{f"relax.{name}": computations.broadcast for name in _ELEMENTWISE},
    **{
        f"relax.{name}": computations.reduced
        for name in ("sum", "mean", "max", "min", "prod", "variance", "std", "argmax", "argmin")
    },
    **{
        f"relax.{name}": computations.along_one_axis
        for name in (
            *("nn.softmax", "nn.log_softmax", "cumsum", "cumprod", "sort", "argsort", "topk"),
            *("flip",),
        )
    },
    **{
        f"relax.{name}": moves.reshaped
        for name in ("reshape", "flatten", "squeeze", "expand_dims", "nn.batch_flatten")
    },
    **{
        f"relax.{name}": _as_wide
        for name in ("full", "zeros", "ones", "full_like", "zeros_like", "ones_like")
    },
    "relax.permute_dims": moves.permuted,
    "relax.concat": moves.joined,
    "relax.split": moves.split,
    "relax.strided_slice": moves.sliced,
    "relax.take": moves.taken,
    "relax.scatter_elements": computations.scattered,
    "relax.matmul": computations.matmul,
    "relax.tile": moves.tiled,
    "relax.nn.group_norm": computations.group_norm,
    "relax.bucketize": computations.first_alone,
    "relax.shape_of": _no_layout,
    "relax.shape_to_tensor": counts.extents_tensor,
    "relax.tensor_to_shape": _no_layout,
}
