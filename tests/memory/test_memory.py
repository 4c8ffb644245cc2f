"""No invalid access and no leak in the feature kernels. A million rows: see `batches.py`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.memory.batches import check

ROWS = 3000


@pytest.mark.slow
def test_hostile_rows_under_valgrind(tmp_path: Path) -> None:
    if shutil.which("valgrind") is None:
        pytest.skip("valgrind is not installed")
    done = check(tmp_path, ROWS, seed=1)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{ROWS} rows\n"
