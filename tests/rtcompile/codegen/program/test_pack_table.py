"""Tables in lower precision: the values that they hold, and how far these are from the given."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rtcompile.codegen.program.pack_table import pack_table, unpack_table
from rtcompile.codegen.program.table_format import DTYPES, HEADER_BYTES, TableFormat
from rtcompile.errors import EmbeddingsError

Floats = npt.NDArray[np.float32]

_TOP = {"int8": 255, "int4": 15}
_OUTLIER = np.array([[0.01, -0.02, 0.03, 1e4], [0.01, -0.02, 0.03, 0.04]], np.float32)
_CONSTANT = np.array([[5, 5, 5], [-3, -3, -3], [0, 0, 0], [-0.0, 0, 0]], np.float32)
_FAR_APART = np.array([[1e38, -1e38], [1e-45, 0], [1e-30, -1e-30], [1, 2]], np.float32)
_SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=33)


def _tables(elements: st.SearchStrategy[float]) -> st.SearchStrategy[Floats]:
    return hnp.arrays(np.float32, _SHAPES, elements=elements)


def _stored(table: Floats, dtype: str) -> Floats:
    shape = TableFormat(dtype, table.shape[1])
    packed = pack_table("t", table, shape)
    assert packed.size == shape.header_bytes + len(table) * shape.row_bytes
    return unpack_table(packed, shape)


def _steps(table: Floats, top: int) -> npt.NDArray[np.float64]:
    """The step of each row: its range, 0 included, over the steps."""
    lowest = np.minimum(table.min(axis=1), 0).astype(np.float64)
    return (np.maximum(table.max(axis=1), 0) - lowest) / top


@pytest.mark.parametrize("dtype", ["int8", "int4"])
@example(table=_OUTLIER)
@example(table=_CONSTANT)
@example(table=_FAR_APART)
@given(
    table=_tables(st.one_of(st.floats(-2, 2, width=32), st.floats(-(2.0**120), 2.0**120, width=32)))
)
def test_a_code_is_off_by_half_a_step_of_its_row(dtype: str, table: Floats) -> None:
    got, steps = _stored(table, dtype), _steps(table, _TOP[dtype])
    # The scale is a step rounded up to three bits; those of a table reach over 32 octaves.
    scale = np.maximum(np.maximum(1.125 * steps, steps.max() * 2.0**-31), 2.0**-126)
    error = np.abs(got.astype(np.float64) - table)
    assert (error <= scale[:, None] * (0.5 + 1e-4)).all()
    assert (got[table == 0] == 0).all()


@pytest.mark.parametrize("dtype", ["int8", "int4"])
def test_an_outlier_costs_its_own_row_only(dtype: str) -> None:
    got = _stored(_OUTLIER, dtype)
    assert abs(got[0, 3] / 1e4 - 1) < 0.05
    assert np.abs(got[1] - _OUTLIER[1]).max() <= 0.57 * 0.06 / _TOP[dtype]


@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_of_zeros_stay_zeros(dtype: str) -> None:
    np.testing.assert_array_equal(_stored(np.zeros((7, 5), np.float32), dtype), 0)


@example(table=np.array([[65504, -65504, 6e-8, np.inf, -np.inf, np.nan]], np.float32))
@given(table=_tables(st.floats(-65504, 65504, width=32)))
def test_fp16_is_the_nearest_half(table: Floats) -> None:
    np.testing.assert_array_equal(_stored(table, "fp16"), table.astype(np.float16))


@example(table=np.array([[np.inf, -np.inf, np.nan, 1e-45, -0.0, 3.3e38]], np.float32))
@given(table=_tables(st.floats(min_value=-(2.0**127), max_value=2.0**127, width=32)))
def test_bf16_is_within_half_a_unit_of_eight_bits(table: Floats) -> None:
    got = _stored(table, "bf16")
    assert (got.view(np.uint32) & 0xFFFF == 0).all()
    finite = np.isfinite(table)
    error = np.abs(got[finite].astype(np.float64) - table[finite])
    assert (error <= np.maximum(np.abs(table[finite]) * 2.0**-8, 2.0**-134)).all()
    np.testing.assert_array_equal(got[~finite], table[~finite])


@pytest.mark.parametrize("dtype", ["int8", "int4"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 2e38])
def test_what_has_no_code_is_refused_by_place(dtype: str, value: float) -> None:
    table = np.ones((70, 3), np.float32)
    table[66, 1] = value
    with pytest.raises(EmbeddingsError, match=r"'t'.*row 66, column 1.*--table-dtype"):
        _stored(table, dtype)


@pytest.mark.parametrize(("dtype", "value"), [("fp16", 65520.0), ("bf16", 3.4e38)])
def test_a_value_that_would_become_infinite_is_refused(dtype: str, value: float) -> None:
    table = np.zeros((1 << 12, 300), np.float32)
    table[4000, 2] = -value
    with pytest.raises(EmbeddingsError, match=f"row 4000, column 2, is too large for {dtype}"):
        _stored(table, dtype)


def test_rows_are_as_small_as_promised() -> None:
    sizes = {dtype: TableFormat(dtype, 16).row_bytes for dtype in DTYPES}
    assert sizes == {"fp32": 64, "fp16": 32, "bf16": 32, "int8": 18, "int4": 10}
    assert TableFormat("int4", 5).row_bytes == 2 + 3
    assert HEADER_BYTES % 64 == 0


@given(dimension=st.integers(16, 512))
def test_int8_takes_less_than_three_tenths(dimension: int) -> None:
    assert TableFormat("int8", dimension).row_bytes <= 0.29 * 4 * dimension


def test_tables_longer_than_a_chunk_are_packed_alike() -> None:
    table = np.random.default_rng(0).normal(size=(70_000, 16)).astype(np.float32)
    for dtype in DTYPES:
        whole = _stored(table, dtype)
        # The scales of a part may reach elsewhere, not lie elsewhere.
        np.testing.assert_array_equal(whole[66_000:], _stored(table[66_000:], dtype))
