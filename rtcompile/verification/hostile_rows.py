"""Rows that hurt: what a request can hold, and a usual draw does not.

    zeros, negative zeros         divisions, logarithms, signs
    NaN, +inf, -inf               in one place, and everywhere
    1e30, denormals, 1e4          overflow, underflow, saturation
    first ids, last ids           the edges of tables; all padding, and none
    half padding                  lists whose second half is padding
    extreme integers              where they are no index, extent or divisor

They are set among usual rows, at the edges of tiles, so that a row that spoils others is seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.codegen.program.program import TILE
from rtcompile.verification.draw_inputs import Batch, InputPlan

__all__ = ["KINDS", "past_the_end", "with_hostile_rows"]

_EXTREMES = "extreme integers"
# Kind -> what every float of the row is; None: as it was drawn.
_EVERYWHERE: dict[str, tuple[float, ...]] = {
    "zeros": (0.0,),
    "negative zeros": (-0.0,),
    "NaN": (np.nan,),
    "+inf": (np.inf,),
    "-inf": (-np.inf,),
    "1e30": (1e30, -1e30),
    "denormals": (1e-40, -1e-40),
    "1e4": (1e4, -1e4),
}
_IN_ONE_PLACE = {"a NaN": np.nan, "a +inf": np.inf, "a -inf": -np.inf}
_IDS = ("first ids", "last ids", "half padding")
_OVERFLOWS = ("1e30", "1e4", _EXTREMES)
KINDS = (*_EVERYWHERE, *_IN_ONE_PLACE, *_IDS, _EXTREMES)


def with_hostile_rows(
    plan: InputPlan, inputs: dict[str, npt.NDArray[Any]], rows: int, seed: int
) -> Batch:
    """`inputs`, usual ones of `rows` rows, with as many hostile rows as leave half usual."""
    rng = np.random.default_rng((seed, 1))
    kinds = [kind for kind in KINDS if _applies(plan, inputs, kind)]
    if len(kinds) * 2 > rows:
        kinds = [kinds[int(i)] for i in rng.permutation(len(kinds))[: rows // 2]]
    named = [""] * rows
    for place, kind in zip(_places(rows, len(kinds)), kinds, strict=True):
        named[place] = kind
        for port in plan.ports:
            if not port.per_request:
                _set(plan, port, inputs[port.name], place, kind, rng)
    return Batch(inputs, tuple(named), np.array([kind in _OVERFLOWS for kind in named], bool))


def _applies(plan: InputPlan, inputs: dict[str, npt.NDArray[Any]], kind: str) -> bool:
    if kind == _EXTREMES:
        return bool(plan.free_integers)
    if kind in _IDS:
        return bool(plan.ids.whole or plan.ids.columns)
    return any(array.dtype.kind == "f" for array in inputs.values())


def _places(rows: int, count: int) -> list[int]:
    """`count` rows, the first and last and those at the edges of tiles among them."""
    edges = [0, rows - 1, *(e for t in range(TILE, rows, TILE) for e in (t - 1, t))]
    others = [row for row in range(1, rows, 2) if row not in edges]
    return list(dict.fromkeys([*edges, *others]))[:count]


def _set(
    plan: InputPlan, port: Any, array: npt.NDArray[Any], row: int, kind: str, rng: Any
) -> None:
    """Make `row` of an input what `kind` says of its type."""
    if array.dtype.kind == "f":
        _set_floats(plan, port, array, row, kind, rng)
    elif kind == _EXTREMES and port.name in plan.free_integers:
        limits = np.iinfo(array.dtype)
        array[row] = rng.choice([limits.min, limits.max], array[row].shape)
    elif port.name in plan.ids.whole:
        last = plan.ids.whole[port.name] - 1
        array[row] = _ids(array[row], last, kind)


def _set_floats(
    plan: InputPlan, port: Any, array: npt.NDArray[Any], row: int, kind: str, rng: Any
) -> None:
    columns = plan.ids.columns.get(port.name, {})
    kept = {column: array[row, column] for column in columns}
    free = port.name not in plan.uses.indices or bool(columns)
    values = array[row].reshape(-1)
    if free and kind in _EVERYWHERE:
        with np.errstate(over="ignore"):
            values[:] = rng.choice(np.asarray(_EVERYWHERE[kind]).astype(array.dtype), values.size)
    elif free and kind in _IN_ONE_PLACE and values.size:
        others = [i for i in range(values.size) if i not in columns]
        if others:
            values[int(rng.choice(others))] = _IN_ONE_PLACE[kind]
    elif kind == "half padding" and array.ndim > 1 and not columns:
        values[values.size // 2 :] = 0
    array[row] = values.reshape(array[row].shape)
    for column, table_rows in columns.items():
        array[row, column] = _ids(kept[column], table_rows - 1, kind)


def _ids(drawn: Any, last: int, kind: str) -> Any:
    """Ids of a row: at an edge of the table, or as they were drawn."""
    if kind in ("first ids", "zeros"):
        return np.zeros_like(drawn)
    if kind == "last ids":
        return np.full_like(drawn, last)
    if kind == "half padding" and np.size(drawn) > 1:
        flat = np.array(drawn).reshape(-1)
        flat[flat.size // 2 :] = 0
        return flat.reshape(np.shape(drawn))
    return drawn


def past_the_end(plan: InputPlan, inputs: dict[str, npt.NDArray[Any]]) -> Sequence[Any]:
    """(what, inputs) of requests like `inputs`, each with one id that is past its table's end."""
    found = []
    for name in inputs.keys() & plan.ids.whole.keys():
        array, rows = np.array(inputs[name]), plan.ids.whole[name]
        if array.size and np.iinfo(array.dtype).max >= rows:
            array.reshape(-1)[-1] = rows
            found.append((f"id {rows} of input {name!r}", {**inputs, name: array}))
    for name, columns in plan.ids.columns.items():
        for column, rows in columns.items():
            array = np.array(inputs[name])
            array[-1, column] = rows
            found.append(
                (f"id {rows} in column {column} of input {name!r}", {**inputs, name: array})
            )
    return found
