"""exp, sigmoid and tanh beside numpy's in float64, where neither rounds."""

from __future__ import annotations

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

from rtcompile.codegen.vector_math import with_vector_math
from rtcompile.targets import resolve_target

Array = npt.NDArray[np.float32]

_COUNT = 64
_ULPS = 4
_LOWEST, _HIGHEST = np.float32(-87.3), np.float32(88.72283)
_FUNCTIONS = {"exp": tirx.exp, "sigmoid": tirx.sigmoid, "tanh": tirx.tanh}
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
    return {name: _compiled(name, make, target) for name, make in _FUNCTIONS.items()}


def _compiled(name: str, make: Any, target: Any) -> Callable[[Array], Array]:
    x = te.placeholder((_COUNT,), "float32", name="x")
    y = te.compute((_COUNT,), lambda i: make(x[i]), name="y")
    function = with_vector_math(te.create_prim_func([x, y])).with_attr("global_symbol", name)
    assert f"tirx.{name}(" not in str(function).replace("T.", "tirx.")
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


_REFERENCES = {"exp": _exp, "sigmoid": _sigmoid, "tanh": _tanh}


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


def test_limits_are_exact(compiled: dict[str, Callable[[Array], Array]]) -> None:
    values = np.resize(np.array([-np.inf, np.inf, np.nan, 0], np.float32), _COUNT)
    wanted = {"exp": [0, np.inf, np.nan, 1], "sigmoid": [0, 1, np.nan, 0.5]}
    for name, limits in {**wanted, "tanh": [-1, 1, np.nan, 0]}.items():
        got = compiled[name](values)[:4]
        np.testing.assert_array_equal(got, np.array(limits, np.float32), err_msg=name)


def test_only_float32_is_replaced() -> None:
    x = te.placeholder((_COUNT,), "float64", name="x")
    function = te.create_prim_func([x, te.compute((_COUNT,), lambda i: tirx.exp(x[i]), name="y")])
    tvm.ir.assert_structural_equal(with_vector_math(function), function)
