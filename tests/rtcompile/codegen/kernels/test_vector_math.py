"""The functions of `vector_math` beside numpy's in float64, where neither rounds."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tvm
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tvm import te, tirx

from rtcompile.codegen.kernels.vector_math import with_vector_math
from rtcompile.targets import resolve_target

Array = npt.NDArray[np.float32]

_COUNT = 64
_ULPS = 4
_LOWEST, _HIGHEST = np.float32(-103.97208), np.float32(88.72283)
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": tirx.exp,
    "sigmoid": tirx.sigmoid,
    "tanh": tirx.tanh,
    "log": tirx.log,
    "log1p": tirx.log1p,
    "square": lambda x: tirx.pow(x, tirx.const(2.0, "float32")),
    "inverse": lambda x: tirx.pow(x, tirx.const(-1.0, "float32")),
    "root": lambda x: tirx.pow(x, tirx.const(0.5, "float32")),
}
# Absolute: of the smallest values, where erf's coefficients make denormals, more digits are lost.
_ERF_ERROR = 5e-7
_BOUNDS = [_LOWEST, _HIGHEST, np.float32(88.72), np.float32(0.625), -np.float32(0.625)]
_SPECIAL = [
    *(float(v) for v in _BOUNDS),
    *(float(np.nextafter(v, np.float32(np.inf))) for v in _BOUNDS),
    *(float(np.nextafter(v, np.float32(-np.inf))) for v in _BOUNDS),
    *(0.0, -0.0, 1e-45, -1e-45, 1e-40, 1.1754944e-38, 3.4e38, -3.4e38),
    *(np.inf, -np.inf, np.nan, 87.3, -88.72283, 44.3, -43.66, 9.0, -17.4),
]
_VALUES = hnp.arrays(
    np.float32,
    _COUNT,
    elements=st.one_of(
        st.sampled_from(_SPECIAL), st.floats(-100, 100, width=32), st.floats(width=32)
    ),
)


@pytest.fixture(scope="module")
def compiled() -> dict[str, Callable[[Array], Array]]:
    target = resolve_target("host").tvm_target()
    functions = {**_FUNCTIONS, "erf": tirx.erf}
    return {name: _compiled(name, make, target) for name, make in functions.items()}


def _compiled(name: str, make: Any, target: Any) -> Callable[[Array], Array]:
    x = te.placeholder((_COUNT,), "float32", name="x")
    y = te.compute((_COUNT,), lambda i: make(x[i]), name="y")
    function = with_vector_math(te.create_prim_func([x, y])).with_attr("global_symbol", name)
    text = str(function)
    assert not any(f"T.{call}(" in text for call in ("exp", "log", "log1p", "erf", "pow", "tanh"))
    built = tvm.compile(tvm.IRModule({name: function}), target=target)

    def call(values: Array) -> Array:
        out = tvm.runtime.tensor(np.zeros(_COUNT, np.float32))
        built[name](tvm.runtime.tensor(values), out)
        return out.numpy()

    return call


def _exp(x: Array) -> npt.NDArray[np.float64]:
    """As defined: 0 below the lowest, infinity above the highest."""
    value = np.exp(x.astype(np.float64))
    value[x < _LOWEST] = 0
    value[x > _HIGHEST] = np.inf
    return value


def _sigmoid(x: Array) -> npt.NDArray[np.float64]:
    return 1 / (1 + _exp(-x))


def _tanh(x: Array) -> npt.NDArray[np.float64]:
    return np.tanh(x.astype(np.float64))


_REFERENCES: dict[str, Callable[[Array], npt.NDArray[np.float64]]] = {
    "exp": _exp,
    "sigmoid": _sigmoid,
    "tanh": _tanh,
    "log": lambda x: np.log(x.astype(np.float64)),
    "log1p": lambda x: np.log1p(x.astype(np.float64)),
    "square": lambda x: x.astype(np.float64) ** 2,
    "inverse": lambda x: 1 / x.astype(np.float64),
    "root": lambda x: np.sqrt(x.astype(np.float64)),
}


def _ulps(got: Array, wanted: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How many units in the last place apart; 0 for equal infinities and two NaN."""
    rounded = wanted.astype(np.float32)
    same = (got == rounded) | (np.isnan(got) & np.isnan(rounded))
    apart = np.abs(got.astype(np.float64) - wanted) / np.spacing(np.abs(rounded))
    return np.where(same, 0, apart)


@example(values=np.resize(np.array(_SPECIAL, np.float32), _COUNT))
@given(values=_VALUES)
@pytest.mark.parametrize("name", _FUNCTIONS)
def test_values_are_close_to_numpys(
    compiled: dict[str, Callable[[Array], Array]], name: str, values: Array
) -> None:
    got = compiled[name](values)
    with np.errstate(all="ignore"):
        apart = _ulps(got, _REFERENCES[name](values))
    assert not (apart > _ULPS).any(), (values[apart > _ULPS], got[apart > _ULPS])
    assert not np.isnan(apart).any(), values[np.isnan(apart)]


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_a_sweep_is_close_to_numpys(
    compiled: dict[str, Callable[[Array], Array]], name: str
) -> None:
    for values in np.linspace(-90, 90, 64 * _COUNT).astype(np.float32).reshape(-1, _COUNT):
        with np.errstate(all="ignore"):
            assert (_ulps(compiled[name](values), _REFERENCES[name](values)) <= _ULPS).all()


@given(values=_VALUES)
def test_erf_is_close(compiled: dict[str, Callable[[Array], Array]], values: Array) -> None:
    got = compiled["erf"](values)
    wanted = np.array([math.erf(float(v)) for v in values])
    np.testing.assert_allclose(got, wanted, rtol=0, atol=_ERF_ERROR)


def test_erf_is_close_over_a_sweep(compiled: dict[str, Callable[[Array], Array]]) -> None:
    for values in np.linspace(-5, 5, 64 * _COUNT).astype(np.float32).reshape(-1, _COUNT):
        wanted = np.array([math.erf(float(v)) for v in values])
        np.testing.assert_allclose(compiled["erf"](values), wanted, rtol=1e-6, atol=1e-12)


def test_a_call_inside_a_replaced_call_stays() -> None:
    """Its Let inside another's value would take TVM's simplifier very long."""
    x = te.placeholder((_COUNT,), "float32", name="x")
    y = te.compute((_COUNT,), lambda i: tirx.log(tirx.exp(x[i]) + tirx.const(1.0, "float32")))
    text = str(with_vector_math(te.create_prim_func([x, y])))
    assert "T.log(" in text
    assert "T.exp(" not in text


def test_other_powers_stay() -> None:
    x = te.placeholder((_COUNT,), "float32", name="x")
    y = te.compute((_COUNT,), lambda i: tirx.pow(x[i], tirx.const(0.3, "float32")))
    assert "T.pow(" in str(with_vector_math(te.create_prim_func([x, y])))


def test_limits_are_exact(compiled: dict[str, Callable[[Array], Array]]) -> None:
    values = np.resize(np.array([-np.inf, np.inf, np.nan, 0], np.float32), _COUNT)
    wanted: dict[str, list[float]] = {"exp": [0, np.inf, np.nan, 1], "sigmoid": [0, 1, np.nan, 0.5]}
    wanted |= {"tanh": [-1, 1, np.nan, 0], "erf": [-1, 1, np.nan, 0]}
    wanted |= {"log": [np.nan, np.inf, np.nan, -np.inf], "log1p": [np.nan, np.inf, np.nan, 0]}
    for name, limits in wanted.items():
        got = compiled[name](values)[:4]
        np.testing.assert_array_equal(got, np.array(limits, np.float32), err_msg=name)


def test_only_float32_is_replaced() -> None:
    x = te.placeholder((_COUNT,), "float64", name="x")
    function = te.create_prim_func([x, te.compute((_COUNT,), lambda i: tirx.exp(x[i]), name="y")])
    tvm.ir.assert_structural_equal(with_vector_math(function), function)
