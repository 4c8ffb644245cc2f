"""Stage results reach the rows of a tile as they are, whatever a row's width and dtype."""

from __future__ import annotations

import numpy as np
import pytest

from rtcompile.codegen.kernels.spread_rows import RowForm, gather_rows_kernel, spread_rows_kernel
from tests.rtcompile.kernels import compiled

_DTYPES = ("float32", "int64", "bool")
_WIDTHS = (1, 5, 16, 17, 33, 128, 300, 1500)  # rows of a part of a line, of many, of a loop


def _rows(form: RowForm, count: int) -> np.ndarray:
    random = np.random.default_rng(form.elements)
    return random.integers(0, 2 if form.dtype == "bool" else 100, (count, form.elements)).astype(
        form.dtype
    )


@pytest.mark.parametrize("dtype", _DTYPES)
@pytest.mark.parametrize("elements", _WIDTHS)
def test_the_users_row_is_every_row(dtype: str, elements: int) -> None:
    form = RowForm(dtype, elements)
    spread = compiled(spread_rows_kernel(form), [form.storage] * 2)
    source = _rows(form, 1)
    for rows in (0, 1, 7, 64):
        target = np.full((rows + 1, elements), 1, dtype)
        spread(source.view(form.storage), target.view(form.storage), rows)
        np.testing.assert_array_equal(target[:rows], np.repeat(source, rows, axis=0))
        assert (target[rows] == 1).all()


@pytest.mark.parametrize("dtype", _DTYPES)
@pytest.mark.parametrize("elements", _WIDTHS)
def test_items_are_gathered_by_their_places(dtype: str, elements: int) -> None:
    form = RowForm(dtype, elements)
    gather = compiled(gather_rows_kernel(form), [form.storage, "int64", form.storage])
    source, random = _rows(form, 50), np.random.default_rng(0)
    for rows in (0, 1, 11, 12, 13, 64):
        places = random.integers(0, len(source), rows)
        if rows:
            places[-1] = len(source) - 1
        target = np.full((rows + 1, elements), 1, dtype)
        gather(source.view(form.storage), places, target.view(form.storage), rows)
        np.testing.assert_array_equal(target[:rows], source[places])
        assert (target[rows] == 1).all()
