"""Whether outputs are what they must be: NaN and infinities in their places, numbers near enough.

Two references answer the same rows: ONNX Runtime in the graph's own precision, and where that does
not settle it, the graph in float64 (`float64.py`). A number may be off by some units in the last
place, and by some times what ONNX Runtime itself is off on these rows, which tells how well the
graph is conditioned. So a small fault is seen in a graph that rounds a few times, and one that
amplifies rounding is not refused for what float32 cannot give.

    ONNX Runtime and float64 agree         ->   the answer must be theirs
    they differ, NaN or infinite in one    ->   float64 is right, for rows without huge numbers
    they differ, and the row overflows     ->   not settled: any answer will do
    the row has an infinity in it          ->   NaN and infinity count as one: inf - inf is NaN,
                                                and the order of a sum decides whether it arises
    float64 cannot be had                  ->   a NaN for a row with NaN or an infinity will do:
                                                ONNX Runtime has kernels that make a number of it

An answer that a last place of the inputs decides (the index of the largest of two near equals) may
be that of inputs a last place off; where all inputs are integers, of weights a last place off. An
integer that is one in ONNX Runtime and another in float64 is not settled.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.errors import ModelError, VerificationError
from rtcompile.frontends.onnx.import_onnx import ImportedGraph
from rtcompile.frontends.onnx.tensors import byte_count
from rtcompile.verification.compare import differ
from rtcompile.verification.differences import TOLERANCE
from rtcompile.verification.draw_inputs import Batch
from rtcompile.verification.float64 import Float64
from rtcompile.verification.recorded import Answer
from rtcompile.verification.reference import open_session, run_off_by_a_place
from rtcompile.verification.row_values import (
    TIMES,
    allowed_off,
    for_each_value,
    in_dtype,
    is_finite,
    is_nan,
    kinds_differ,
    largest_difference,
    least_off,
    of_rows,
    off_by_a_place,
    scale_of_rows,
    where_rows_have,
)

__all__ = ["Asked", "Judge", "open_judge"]

Array = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
Inputs = Mapping[str, Array]

_NUDGES = 3
# What another machine may be off where float64 was not asked, relative to a row's largest value, or
# to the other number: ONNX Runtime's sigmoid is off by units in the last place of 1, not of itself.
_UNASKED, _UNASKED_FROM = 1e-5, 0.1
# Of weights: up to here, rows with a NaN ask float64 too where ONNX Runtime has a number for them.
_EAGER_BYTES = 32 << 20


@dataclass(frozen=True)
class Asked:
    """Rows and what ONNX Runtime answers. `kept`: which of those asked for, where not all."""

    batch: Batch
    want: Sequence[Array]
    kept: Sequence[int] | None = None


def open_judge(graph: ImportedGraph) -> Judge:
    """Of a graph's outputs. Rows out of the ordinary ask float64 too where that is cheap."""
    weights = sum(map(byte_count, graph.model.graph.initializer))
    eager = weights <= _EAGER_BYTES
    return Judge(
        graph.outputs,
        partial(open_session(graph), graph.outputs),
        Float64(graph.model).run,
        eager,
        partial(run_off_by_a_place, graph) if eager else None,
    )


class Judge:
    """Holds outputs `names`, which are in that order, to those of the original.

    `run`: inputs -> outputs in ONNX Runtime. `exact`: the same in float64, or None where that
    cannot be had. `eager`: whether rows out of the ordinary are held to `exact` in any case.
    `nudged`: (seed, inputs) -> outputs of weights that are a last place off.
    """

    def __init__(
        self,
        names: Sequence[str],
        run: Callable[[Inputs], Sequence[Array]],
        exact: Callable[[Inputs], Sequence[Array] | None],
        eager: bool = False,
        nudged: Callable[[int, Inputs], Sequence[Array]] | None = None,
    ) -> None:
        self.run, self._run_nudged = run, nudged
        self._names, self._exact, self._eager = names, exact, eager

    def ask(self, batch: Batch) -> Asked | None:
        """What ONNX Runtime answers, without hostile rows that it refuses.

        None for a batch of one row that it cannot answer: some exports squeeze the batch away then.
        Raises ModelError.
        """
        try:
            return Asked(batch, self.run(batch.inputs))
        except ModelError:
            if batch.rows == 1:
                return None
            kept = [row for row in range(batch.rows) if self._answers(batch, row)]
            if len(kept) == batch.rows:
                raise
        taken = batch.take(kept)
        return Asked(taken, self.run(taken.inputs), kept)

    def _answers(self, batch: Batch, row: int) -> bool:
        """Whether a row is usual, or ONNX Runtime answers it."""
        if not batch.kinds[row]:
            return True
        try:
            self.run(batch.take([row]).inputs)
        except ModelError:
            return False
        return True

    def hold(self, asked: Asked, got: Sequence[Array]) -> float:
        """The largest difference on ordinary rows; VerificationError for one that is too large.

        Absolute, relative to an output's largest value where that is above 1.
        """
        batch, want = asked.batch, list(asked.want)
        for k, (name, one, other) in enumerate(zip(self._names, want, got, strict=True)):
            _same_form(name, one, other, batch.rows)
            want[k] = one.reshape(other.shape)
        wrong = [
            differ(one, other, least_off(one, batch)) for one, other in zip(want, got, strict=True)
        ]
        if any(mask.any() for mask in wrong):
            self._settle(batch, want, got, wrong)
        elif self._eager and (rows := _swallowed(batch, want)):
            # ONNX Runtime has kernels that make a number of NaN: is it one by right?
            self._settle(batch.take(rows), *_of(rows, batch.rows, want, got))
        return max(
            (largest_difference(one, other, batch) for one, other in zip(want, got, strict=True)),
            default=0.0,
        )

    def expect(self, batch: Batch, exactly: bool) -> tuple[Batch, dict[str, Answer]] | None:
        """The rows that the original answers, and what outputs must be, as far as it is settled.

        `exactly`: float64 is asked; else numbers may be off by as much as it might tell.
        """
        asked = self.ask(batch)
        if asked is None:
            return None
        batch = asked.batch
        exact = self._exact(batch.inputs) if exactly else None
        # An index of near equals may be another elsewhere: ids alone do not tell.
        chosen = any(want.dtype.kind != "f" for want in asked.want)
        nudge = partial(self._moved, batch, 0)
        moved = nudge() if exactly or chosen else self.run(off_by_a_place(batch.inputs, 0))
        answers = {}
        for k, (name, want) in enumerate(zip(self._names, asked.want, strict=True)):
            right = want if exact is None else in_dtype(exact[k], want.dtype).reshape(want.shape)
            allowed = self._open_where_unsettled(want, right, moved[k].reshape(want.shape), batch)
            if exact is None and want.dtype.kind == "f":
                scale = np.maximum(scale_of_rows(want, batch), _UNASKED_FROM)
                fixed = for_each_value(want, batch.rows, _UNASKED * scale)
                allowed = np.maximum(allowed, np.where(_doubted(want, batch), np.inf, fixed))
            answers[name] = Answer(right, allowed.astype(np.float32))
        return batch, answers

    def _open_where_unsettled(self, want: Array, right: Array, moved: Array, batch: Batch) -> Array:
        """How far off values may be; infinite where a last place decides, or float32 overflows."""
        allowed = allowed_off(want, right, batch)
        if want.dtype.kind != "f":
            return np.where((want != right) | (want != moved), np.inf, allowed)
        overflow = for_each_value(want, batch.rows, of_rows(batch.overflow, want, batch.rows))
        unsettled = kinds_differ(right, moved) | (kinds_differ(want, right) & overflow)
        with np.errstate(invalid="ignore", over="ignore"):
            spread = np.abs(right.astype(np.float64) - moved.astype(np.float64))
        spread = np.where(np.isfinite(spread), spread, 0.0)
        return np.where(unsettled, np.inf, allowed + TIMES * spread)

    def _settle(
        self, batch: Batch, want: Sequence[Array], got: Sequence[Array], wrong: list[Mask]
    ) -> None:
        """Ask float64 what is right. `wrong`: where `got` is not near `want`."""
        exact = self._exact(batch.inputs)
        for k, (name, one, other) in enumerate(zip(self._names, want, got, strict=True)):
            if exact is None:
                allowed = for_each_value(one, batch.rows, TOLERANCE * scale_of_rows(one, batch))
                still = wrong[k] & differ(one, other, allowed)
                still &= ~(is_nan(other) & where_rows_have(one, batch, "NaN", "inf"))
                right = one
            else:
                right = in_dtype(exact[k], one.dtype).reshape(one.shape)
                allowed = allowed_off(one, right, batch)
                still = _undecided(one, right, other, allowed, wrong[k], batch)
                if one.dtype.kind != "f":  # an index of near equals, which rounding decides
                    still &= one == right
            still &= ~(where_rows_have(one, batch, "inf") & ~is_finite(right) & ~is_finite(other))
            if still.any():
                nudged = self._nudged(batch, k, right, other, allowed)
                still &= ~nudged | kinds_differ(one, right)
            if still.any():
                raise VerificationError(_message(name, right, other, still, allowed, batch))

    def _moved(self, batch: Batch, seed: int) -> Sequence[Array]:
        """The outputs for inputs a last place off; for ids, of weights that are."""
        if self._run_nudged and all(a.dtype.kind != "f" for a in batch.inputs.values()):
            return self._run_nudged(seed, batch.inputs)
        return self.run(off_by_a_place(batch.inputs, seed))

    def _nudged(self, batch: Batch, k: int, right: Array, got: Array, allowed: Array) -> Mask:
        """Where `got` is an answer to inputs that are a last place off."""
        low = high = right
        found = np.zeros(right.shape, bool)
        for seed in range(_NUDGES):
            moved = self._moved(batch, seed)[k].reshape(right.shape)
            found |= ~differ(moved, got, allowed)
            with np.errstate(invalid="ignore"):
                low, high = np.minimum(low, moved), np.maximum(high, moved)
        if right.dtype.kind == "f":
            with np.errstate(invalid="ignore"):
                found |= (got >= low - allowed) & (got <= high + allowed)
        return found


def _swallowed(batch: Batch, want: Sequence[Array]) -> list[int]:
    """Rows that have a NaN in them, and an output without."""
    rows = [row for row, kind in enumerate(batch.kinds) if "NaN" in kind]
    floats = [a for a in want if a.dtype.kind == "f" and a.ndim and len(a) == batch.rows]
    return [row for row in rows if any(not np.isnan(array[row]).any() for array in floats)]


def _doubted(want: Array, batch: Batch) -> Mask:
    """Numbers that ONNX Runtime has for a row with a NaN in it."""
    return np.asarray(where_rows_have(want, batch, "NaN") & ~np.isnan(want))


def _of(
    rows: list[int], count: int, want: Sequence[Array], got: Sequence[Array]
) -> tuple[list[Array], list[Array], list[Mask]]:
    """Some rows of outputs of `count`, none of which is wrong so far."""
    one, other = (
        [a[rows] if a.ndim and len(a) == count else a for a in arrays] for arrays in (want, got)
    )
    return one, other, [np.zeros(a.shape, bool) for a in one]


def _same_form(name: str, want: Array, got: Array, rows: int) -> None:
    # An export that squeezes a batch of one away has the same values in another shape then.
    if want.shape != got.shape and not (rows == 1 and want.size == got.size):
        raise VerificationError(
            f"output {name!r}: shape {got.shape} instead of {want.shape} at {rows} rows: the "
            "artifact was not written"
        )
    if want.dtype != got.dtype:
        raise VerificationError(
            f"output {name!r} is of {got.dtype} instead of {want.dtype}: the artifact was not "
            "written"
        )


def _undecided(
    want: Array, right: Array, got: Array, allowed: Array, wrong: Mask, batch: Batch
) -> Mask:
    """Where `got` is what neither reference says, or not what float64 says of NaN and infinity."""
    conflict = kinds_differ(want, right)
    overflow = for_each_value(want, batch.rows, of_rows(batch.overflow, want, batch.rows))
    return np.asarray(differ(right, got, allowed) & (wrong | conflict) & ~(conflict & overflow))


def _message(name: str, right: Array, got: Array, wrong: Mask, allowed: Array, batch: Batch) -> str:
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.where(wrong, np.abs(right.astype(np.float64) - got.astype(np.float64)), -1.0)
    off = np.where(wrong & ~np.isfinite(off), np.inf, off)
    at = np.unravel_index(int(np.argmax(off)), off.shape)
    row = int(at[0]) if right.ndim and len(right) == batch.rows else 0
    what = f" ({batch.kinds[row]})" if batch.kinds[row] else ""
    return (
        f"output {name!r} is {got[at]:.9g} instead of {right[at]:.9g} at {list(map(int, at))} of "
        f"{batch.rows} rows{what}; up to {allowed[at]:.3g} is allowed, and {int(wrong.sum())} of "
        f"{right.size} values are further off: the artifact was not written"
    )
