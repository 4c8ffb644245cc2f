"""The inputs of a graph on its own, as its stage takes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.errors import RequestError
from rtcompile.runtime.memory.arrays import aligned_rows
from rtcompile.runtime.memory.exact_conversion import array_of
from rtcompile.runtime.stages.stage import Port

__all__ = ["graph_inputs"]

Array = npt.NDArray[Any]


def graph_inputs(ports: Sequence[Port], given: Mapping[str, object]) -> tuple[int, list[Array]]:
    """How many rows the inputs have, and an aligned array for each of `ports`. RequestError."""
    arrays = {port.name: _array(port, given[port.name]) for port in ports if not port.cuts}
    for port in ports:
        if port.cuts:
            arrays[port.name] = _bounds(port, given[port.name], arrays)
    rows: int | None = None
    for port in ports:
        if port.per_request:
            continue
        count = len(arrays[port.name])
        if rows is not None and count != rows:
            raise RequestError(
                f"input {port.name!r}: {count} rows beside {rows} of the inputs before"
            )
        rows = count
    return rows or 0, [arrays[port.name] for port in ports]


def _array(port: Port, value: object) -> Array:
    if port.flat:
        return aligned_rows(value, port.name, port.dtype, ())
    return aligned_rows(value, port.name, port.dtype, port.shape, shared=port.per_request)


def _bounds(port: Port, value: object, arrays: Mapping[str, Array]) -> Array:
    """int64 [rows, 2]: where each row's part of the flat inputs begins and ends.

    Of offsets [rows], or [rows + 1] with the last row's end behind them; or as they are.
    """
    flat = {name: len(arrays[name]) for name in port.cuts}
    count = min(flat.values())
    if count != max(flat.values()):
        told = ", ".join(f"{length} of {name!r}" for name, length in flat.items())
        raise RequestError(f"input {port.name!r} cuts inputs of unequal lengths: {told}")
    if array_of(value, port.name).ndim == 2:  # in memory that no one else writes to
        bounds = np.array(aligned_rows(value, port.name, "int64", (2,)))
    else:
        bounds = _of_offsets(port, aligned_rows(value, port.name, "int64", ()), count)
    starts, ends = bounds[:, 0], bounds[:, 1]
    wrong = np.flatnonzero((starts < 0) | (starts > ends) | (ends > count))
    if wrong.size:
        row = int(wrong[0])
        raise RequestError(
            f"input {port.name!r}, row {row}: begins at {starts[row]} and ends at {ends[row]} of "
            f"{count} values of {' and '.join(map(repr, port.cuts))}; offsets ascend within them"
        )
    return bounds


def _of_offsets(port: Port, offsets: Array, count: int) -> Array:
    if port.last_offset and not offsets.size:
        raise RequestError(f"input {port.name!r}: empty; the end of the last row is needed")
    rows = len(offsets) - port.last_offset
    bounds = np.empty((rows, 2), np.int64)
    bounds[:, 0] = offsets[:rows]
    bounds[:, 1] = offsets[1:] if port.last_offset else np.append(offsets[1:], count)[:rows]
    return bounds
