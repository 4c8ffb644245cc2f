"""What a kernel computes from data, in forms that TVM and LLVM leave as they are.

TVM's simplifier takes floats for real numbers and integers for unbounded ones, and its maximum
drops a NaN. It must not see these, so they become

    max(x, 2.0)                ->   max(2.0, x)                    NaN where x is; one instruction
    max(x, y)                  ->   llvm.maximum(x, y)             NaN where either is
    x + y of int64             ->   rtc_add_i64(x, y)              modulo 2**64
    (x + y) - y                ->   same(x + y) - y                not x
    x == x, x * 0.0            ->   same(x) == x, same(x) * 0.0
    not (x < y), x < y or z    ->   not rtc_lt_f32(x, y), ...      not y <= x
    x != y, not (x == y)       ->   not rtc_eq_f32(x, y)           TVM's x != y is false of NaN
    int32(x)                   ->   rtc_cast_i32_f32(x)            defined where x has no place
    x << y                     ->   rtc_shl_i64(x, y)

where same(x) is fma(x, 1, -0), which is x to the bit: an operator that LLVM removes and TVM does
not know. Beside that, the maximum of nothing is not the lowest finite number:

    init: m = -3.4e38;  m = max(m, x)    ->   init: m = -inf

Only what is stored is rewritten, and of integers only what is computed from loads: indices are
bounded by the shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm import s_tir, tirx
from tvm.ir.expr import TensorLoad

from rtcompile.relay_passes.exact.exact_llvm import exact_name

__all__ = ["exact", "exact_extremes", "exact_values", "extern_names"]

_WIDE = ("float32", "float64")
_HALVES = ("float16", "bfloat16")
_WRAPPING = ("int32", "int64", "uint32", "uint64")  # TVM promises LLVM that these do not overflow
_WRAPPED = {tirx.Add: "add", tirx.Sub: "sub", tirx.Mul: "mul"}
_SHIFTS = {tirx.LShift: "shl", tirx.RShift: "shr"}
_EXTREMES = {tirx.Max: "llvm.maximum", tirx.Min: "llvm.minimum"}
_ORDERED = {tirx.LT: "lt", tirx.LE: "le", tirx.GT: "lt", tirx.GE: "le"}
_COMPARED = {**_ORDERED, tirx.EQ: "eq"}
_TURNED = (tirx.GT, tirx.GE)
# What TVM's simplifier cancels an operand of a sum or comparison with.
_CANCELLED = (tirx.Add, tirx.Sub, tirx.Max, tirx.Min)


def exact_values(function: Any) -> Any:
    """`function`, a PrimFunc of blocks whose element-wise ones are inlined, rewritten."""
    rules = [*_RULES, (tirx.Cast, _cast), (s_tir.SBlock, _start)]
    return tvm_ffi.structural_map(function, rules)


def exact(node: Any) -> Any:
    """One operator, rewritten, whose operands are as they should be."""
    for types, rule in _RULES:
        if isinstance(node, types):
            return rule(node)
    return node


def exact_extremes(function: Any) -> Any:
    """As `exact_values`, what does without functions of `exact_llvm.py`: maxima and minima."""
    return tvm_ffi.structural_map(function, [(tuple(_EXTREMES), _extreme), (s_tir.SBlock, _start)])


def extern_names(function: Any) -> frozenset[str]:
    """The functions of `exact_llvm.py` that `function` calls."""
    names: set[str] = set()

    def visit(call: Any) -> None:
        if str(getattr(call.op, "name", "")) == "tirx.call_pure_extern":
            names.add(str(call.args[0].value))

    tvm_ffi.structural_walk(function, (tvm.ir.Call, visit), order="post")
    return frozenset(names)


def _arithmetic(node: Any) -> Any:
    dtype = str(node.ty)
    if dtype in _WRAPPING and _reads(node):
        return _extern(dtype, exact_name(_WRAPPED[type(node)], dtype), node.a, node.b)
    if dtype not in _WIDE:
        return node
    if isinstance(node, tirx.Mul) or _is_zero(node.a) or _is_zero(node.b):
        return _with_zero(node)
    operands = (node.a, node.b)
    cancels = any(isinstance(operand, _CANCELLED) for operand in operands)
    if cancels or tvm_ffi.structural_equal(*operands):
        return type(node)(_same(node.a), node.b)
    return node


def _with_zero(node: Any) -> Any:
    """A product or quotient with 0, or a sum with it: TVM would not look at the other operand."""
    if str(node.ty) not in _WIDE or not (_is_zero(node.a) or _is_zero(node.b)):
        return node
    return type(node)(*(_same(one) if _is_zero(one) else one for one in (node.a, node.b)))


def _extreme(node: Any) -> Any:
    dtype = str(node.ty)
    if dtype in _HALVES:
        wide = type(node)(tirx.Cast("float32", node.a), tirx.Cast("float32", node.b))
        return tirx.Cast(dtype, _extreme(wide))
    if dtype not in _WIDE or _is_number(node.a):
        return node  # TVM's is `a > b ? a : b`
    if _is_number(node.b):
        return type(node)(node.b, node.a)
    return tirx.call_llvm_pure_intrin(dtype, _EXTREMES[type(node)], node.a, node.b)


def _comparison(node: Any) -> Any:
    dtype = str(node.a.ty)
    if dtype in _HALVES:
        node = type(node)(tirx.Cast("float32", node.a), tirx.Cast("float32", node.b))
    if str(node.a.ty) not in _WIDE:
        return node
    if isinstance(node, tirx.NE):
        return tirx.Not(_truth(tirx.EQ(node.a, node.b)))
    return type(node)(_same(node.a), node.b)


def _condition(node: Any) -> Any:
    """The truth of comparisons behind which TVM does not see that they can both be false."""
    if isinstance(node, tirx.Not):
        return tirx.Not(_truth(node.a))
    return type(node)(_truth(node.a), _truth(node.b))


def _truth(node: Any) -> Any:
    operator = _COMPARED.get(type(node))
    if operator is None or str(node.a.ty) not in _WIDE:
        return node
    operands = (node.b, node.a) if isinstance(node, _TURNED) else (node.a, node.b)
    call = _extern("int32", exact_name(operator, str(node.a.ty)), *operands)
    return tirx.NE(call, tirx.const(0, "int32"))


def _shift(node: Any) -> Any:
    dtype = str(node.ty)
    if not _reads(node):
        return node
    return _extern(dtype, exact_name(_SHIFTS[type(node)], dtype), node.a, node.b)


def _cast(node: Any) -> Any:
    source, target = str(node.value.ty), str(node.ty)
    if "float" not in source or "int" not in target:
        return node
    value = tirx.Cast("float32", node.value) if source in _HALVES else node.value
    return _extern(target, exact_name("cast", target, str(value.ty)), value)


def _start(block: Any) -> Any:
    """A reduction that starts at the lowest or highest finite number starts at the infinite one."""
    start = block.init
    if not isinstance(start, tirx.BufferStore) or not isinstance(start.value, tirx.FloatImm):
        return block
    value, dtype = float(start.value.value), str(start.value.ty)
    if abs(value) != _HIGHEST.get(dtype):
        return block
    infinite = tirx.const(float(np.copysign(np.inf, value)), dtype)
    init = tirx.BufferStore(start.buffer, infinite, start.indices)
    return s_tir.SBlock(
        block.iter_vars, block.reads, block.writes, block.name_hint, block.body, init,
        block.alloc_buffers, block.match_buffers, block.annotations,
    )  # fmt: skip


_RULES: list[tuple[tuple[type, ...], Callable[[Any], Any]]] = [
    ((tirx.Add, tirx.Sub, tirx.Mul), _arithmetic),
    ((tirx.Div,), _with_zero),
    (tuple(_EXTREMES), _extreme),
    ((tirx.NE, *_COMPARED), _comparison),
    ((tirx.And, tirx.Or, tirx.Not), _condition),
    (tuple(_SHIFTS), _shift),
]
_HIGHEST = {d: float(np.finfo(d).max) for d in ("float16", "float32", "float64")}
_HIGHEST["bfloat16"] = 3.3895313892515355e38


def _same(value: Any) -> Any:
    """`value`, as TVM does not know."""
    dtype = str(value.ty)
    one, nothing = tirx.const(1.0, dtype), tirx.const(-0.0, dtype)
    return tirx.call_llvm_pure_intrin(dtype, "llvm.fma", value, one, nothing)


def _extern(dtype: str, name: str, *operands: Any) -> Any:
    return tirx.call_pure_extern(dtype, name, *operands)


def _is_number(value: Any) -> bool:
    return isinstance(value, tirx.FloatImm) and not np.isnan(float(value.value))


def _is_zero(value: Any) -> bool:
    return isinstance(value, tirx.FloatImm) and float(value.value) == 0


def _reads(expression: Any) -> bool:
    """Whether an expression is computed from what a buffer holds."""
    found: list[Any] = []
    tvm_ffi.structural_walk(expression, (TensorLoad, found.append), order="post")
    return bool(found)
