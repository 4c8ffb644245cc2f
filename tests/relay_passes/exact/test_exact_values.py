"""What is stored keeps its value through TVM's simplifier, as text and as compiled."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tvm
import tvm_ffi
from tvm import te, tirx
from tvm.s_tir.transform import StmtSimplify

from rtcompile.codegen.lowering.generic import lower_generic
from rtcompile.relay_passes.exact.exact_llvm import exact_llvm, exact_name
from rtcompile.relay_passes.exact.exact_values import exact_extremes, exact_values, extern_names
from tests.rtcompile.kernels import compiled

Make = Callable[[Any, Any], Any]


def _f(value: float) -> Any:
    return tirx.const(value, "float32")


def _function(make: Make, dtype: str = "float32", other: str = "", result: str = "") -> Any:
    """A PrimFunc of z[i] = make(x[i], y[i]), which TVM has not looked at."""
    x = te.placeholder((64,), dtype, name="x")
    y = te.placeholder((64,), other or dtype, name="y")
    result = result or dtype

    def both(i: Any) -> Any:
        return tirx.Cast(result, x[i]) + tirx.Cast(result, y[i])

    function = te.create_prim_func([x, y, te.compute((64,), both, name="z")])

    def store(node: Any) -> Any:
        at = list(node.indices)
        loads = [tirx.BufferLoad(param, at) for param in function.params[:2]]
        return tirx.BufferStore(node.buffer, make(*loads), at)

    return tvm_ffi.structural_map(function, (tirx.BufferStore, store))


def _simplified(make: Make, dtype: str = "float32", result: str = "") -> str:
    function = exact_values(_function(make, dtype, result=result))
    return str(StmtSimplify()(tvm.IRModule({"main": function}))["main"].body)


# What TVM does not know to be x itself.
_SAME = (
    r'T.call_llvm_pure_intrin\("float32", "llvm.fma", (.*?), T.float32\(1.0\), T.float32\(-0.0\)\)'
)

_FOLDED: dict[str, tuple[Make, str]] = {
    "x - x": (lambda x, y: tirx.Sub(x, x), "same(x[v_i]) - x[v_i]"),
    "(x + y) - y": (lambda x, y: tirx.Sub(tirx.Add(x, y), y), "same(x[v_i] + y[v_i]) - y[v_i]"),
    "x * 0": (lambda x, y: tirx.Mul(x, _f(0)), "x[v_i] * same(T.float32(0.0))"),
    "0 / x": (lambda x, y: tirx.Div(_f(0), x), "same(T.float32(0.0)) / x[v_i]"),
    "x + 0": (lambda x, y: tirx.Add(x, _f(0)), "x[v_i] + same(T.float32(0.0))"),
    "x == x": (lambda x, y: tirx.EQ(x, x), "same(x[v_i]) == x[v_i]"),
    "not x < y": (lambda x, y: tirx.Not(tirx.LT(x, y)), "rtc_lt_f32"),
    "not x >= y": (lambda x, y: tirx.Not(tirx.GE(x, y)), 'rtc_le_f32", y[v_i], same(x[v_i])'),
    "x != x": (lambda x, y: tirx.NE(x, x), "rtc_eq_f32"),
    "not x == y": (lambda x, y: tirx.Not(tirx.EQ(x, y)), "rtc_eq_f32"),
    "x < y or y < x": (lambda x, y: tirx.Or(x < y, y < x), "rtc_lt_f32"),
    "max(x, y)": (tirx.Max, "llvm_pure_intrin"),
    "max(x, 2)": (lambda x, y: tirx.Max(x, _f(2)), "T.max(T.float32(2.0), x[v_i])"),
}


@pytest.mark.parametrize("name", _FOLDED)
def test_floats_are_not_simplified_as_if_they_were_real(name: str) -> None:
    make, kept = _FOLDED[name]
    truth = name.startswith(("x ==", "x !=", "not", "x < y"))
    text = _simplified(make, result="bool" if truth else "")
    plain = re.sub(_SAME, lambda found: f"same({found[1]})", text)
    assert kept in plain, plain


def test_integers_wrap() -> None:
    one = tirx.const(1, "int64")
    more = _simplified(lambda x, y: tirx.Select(tirx.GT(tirx.Add(x, one), x), x, y), "int64")
    assert "rtc_add_i64" in more


def test_indices_stay() -> None:
    x = te.placeholder((64,), "int64", name="x")
    moved = te.create_prim_func([x, te.compute((32,), lambda i: x[i * 2 + 1] * x[i], name="y")])
    text = str(exact_values(moved))
    assert "x[v_i * 2 + 1]" in text
    assert "rtc_mul_i64" in text


def test_extremes_alone_need_no_text() -> None:
    function = exact_extremes(_function(tirx.Max))
    assert not extern_names(function) - {""}
    assert "llvm_pure_intrin" in str(function)


def test_definitions_are_one_a_name() -> None:
    names = [exact_name("add", "int64"), exact_name("cast", "int8", "float32")]
    assert names == ["rtc_add_i64", "rtc_cast_i8_f32"]
    assert len(exact_llvm([*names, names[0]])) == 2


# -- compiled -------------------------------------------------------------------------------------

_HOSTILE = np.array(
    [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -1.5, 2.5, -0.5, 3e9, -3e9, 1e19, -1e19, 1e30, 255.7],
    np.float32,
)


def _run(make: Make, x: npt.NDArray[Any], y: npt.NDArray[Any], dtype: str) -> npt.NDArray[Any]:
    """z = make(x, y), compiled as the kernels of a build are."""
    kernel = lower_generic(_function(make, str(x.dtype), str(y.dtype), dtype), "kernel")
    stored = "uint8" if dtype == "bool" else dtype
    run = compiled(kernel.function, [str(x.dtype), str(y.dtype), stored], "".join(kernel.llvm))
    arrays = [np.resize(a, 64) for a in (x, y)]
    out = np.zeros(64, stored)
    run(*arrays, out, 0)
    return out.astype(dtype)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64"])
def test_casts_are_those_of_the_processor(dtype: str) -> None:
    """By way of int32, or int64, whose least value stands for what has no place."""
    got = _run(lambda x, y: tirx.Cast(dtype, x), _HOSTILE, _HOSTILE, dtype)
    way = np.dtype("int32" if dtype in ("int8", "uint8", "int16", "uint16", "int32") else "int64")
    values = np.resize(_HOSTILE, 64).astype(np.float64)
    least = np.iinfo(way).min
    fits = (values >= least) & (values < -float(least))
    whole = np.where(fits, np.where(fits, values, 0).astype(way), least)
    np.testing.assert_array_equal(got, whole.astype(dtype))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["int32", "int64", "uint32", "uint64"])
def test_sums_of_integers_wrap(dtype: str) -> None:
    info = np.iinfo(dtype)
    x = np.array([info.min, info.max, 0, 1, info.max - 1], dtype)
    y = np.array([info.max, 2, info.min, 3, 5, 7, 1], dtype)
    a, b = np.resize(x, 64), np.resize(y, 64)
    with np.errstate(over="ignore"):
        for make, wanted in (
            (lambda x, y: x + y, a + b),
            (lambda x, y: x - y, a - b),
            (lambda x, y: x * y, a * b),
        ):
            np.testing.assert_array_equal(_run(make, x, y, dtype), wanted)
        more = _run(lambda x, y: tirx.Select(x + y > x, x, y), x, y, dtype)
        np.testing.assert_array_equal(more, np.where(a + b > a, a, b))


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["int32", "uint64", "int8"])
def test_shifts_beyond_the_width_leave_nothing(dtype: str) -> None:
    info = np.iinfo(dtype)
    x = np.array([info.min, info.max, 5], dtype)
    y = np.array([0, 1, info.bits - 1, info.bits, 100], dtype)
    a, b = np.resize(x, 64), np.resize(y, 64)
    for make, shift in ((tirx.LShift, np.left_shift), (tirx.RShift, np.right_shift)):
        np.testing.assert_array_equal(_run(make, x, y, dtype), shift(a, b))


@pytest.mark.slow
def test_comparisons_and_extremes_of_nan() -> None:
    x, y = _HOSTILE, _HOSTILE[::-1].copy()[:13]
    a, b = np.resize(x, 64), np.resize(y, 64)
    with np.errstate(invalid="ignore"):
        cases: list[tuple[Make, npt.NDArray[Any]]] = [
            (tirx.Max, np.maximum(a, b)),
            (tirx.Min, np.minimum(a, b)),
            (lambda x, y: tirx.Min(tirx.Max(x, _f(-1)), _f(2)), np.clip(a, -1, 2)),
            (lambda x, y: tirx.Max(tirx.Min(_f(2), x), _f(-1)), np.clip(a, -1, 2)),
            (lambda x, y: tirx.Sub(tirx.Add(x, y), y), (a + b) - b),
            (lambda x, y: tirx.Mul(x, _f(0)), a * 0),
        ]
        for make, wanted in cases:
            np.testing.assert_array_equal(_run(make, x, y, "float32"), wanted)
        none = np.isnan(a) | np.isnan(b)
        truths: list[tuple[Make, npt.NDArray[Any]]] = [
            (lambda x, y: tirx.Not(tirx.LT(x, y)), ~(a < b)),
            (lambda x, y: tirx.Not(tirx.GE(x, y)), ~(a >= b)),
            (lambda x, y: tirx.NE(x, x), np.isnan(a)),
            (lambda x, y: tirx.EQ(x, x), ~np.isnan(a)),
            (lambda x, y: tirx.Or(x < y, y < x), (a < b) | (b < a)),
            (lambda x, y: tirx.Not(tirx.And(x <= y, tirx.Not(x == y))), (a > b) | (a == b) | none),
        ]
        for make, truth in truths:
            np.testing.assert_array_equal(_run(make, x, y, "bool"), truth)
