"""Processes beside which threads are measured."""

from __future__ import annotations

import os

import pytest

from rtcompile.bench.processes import Processes, Serve


def _make() -> Serve:
    started_in = os.getpid()

    def serve(rows: int, seconds: float) -> float:
        assert os.getpid() == started_in
        if rows == 0:
            os._exit(1)
        return rows + seconds

    return serve


def test_all_answer() -> None:
    with Processes(3, _make) as processes:
        assert processes.requests_per_second(10, 0.5) == 31.5
        assert processes.requests_per_second(1, 0.0) == 3.0
        assert all(copy.is_alive() for copy in processes.copies)
    assert not any(copy.is_alive() for copy in processes.copies)


def test_one_that_dies_is_an_error() -> None:
    with Processes(2, _make) as processes, pytest.raises(EOFError):
        processes.requests_per_second(0, 0.5)
