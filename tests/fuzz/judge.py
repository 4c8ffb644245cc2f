"""What a graph's outputs may be: what ONNX Runtime gives, or onnx's evaluator, or lies between.

Values of float32 that two evaluations round differently differ by more behind a step: a comparison,
a floor, an index. So the evaluator runs in float64 too, and on inputs moved by a little; each value
of a build must be one of theirs, or lie between them.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from rtcompile.verification.float64 import Float64
from tests.fuzz.graph import Graph
from tests.fuzz.pooling import POOLS
from tests.fuzz.rounding_noise import with_noise

__all__ = ["Judges", "disagreement"]

Array = npt.NDArray[Any]

_MOVED = 3e-6
_BEYOND = 1e36  # from where float32 may overflow on the way
_ADDENDS = 100  # of a sum
_RELATIVE, _ABSOLUTE = 2e-4, 2e-5
_OF_SCALE = 3e-6  # what a sum of some tens may lose of its largest addend
_NOISES = 6


class Judges:
    """The evaluations of one graph's model."""

    def __init__(self, graph: Graph) -> None:
        model = graph.model()
        self._graph, self._model = graph, model
        self._wide, self._steps = Float64(model, POOLS), Float64(graph.steps(), POOLS)
        self._noisy: list[Float64] = []
        self._weight = _largest_weight(model)
        self._evaluator = ReferenceEvaluator(model, new_ops=list(POOLS))
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            self._session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        except Exception:  # of no public base class: a kernel that it lacks
            self._session = None

    def scale(self, inputs: Mapping[str, Array]) -> Array:
        """The largest finite number of each row, in all that is computed: what rounding is of."""
        rows = len(next(iter(inputs.values())))
        largest = np.zeros(rows)
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            steps = self._steps.run(inputs) or []
        for array in (*inputs.values(), *steps):
            if array.dtype.kind == "f" and array.size:
                finite = np.where(np.isfinite(array), abs(array), 0).reshape(rows, -1)
                largest = np.maximum(largest, finite.max(1))
        return largest

    def overflows(self, scale: Array) -> Array:
        """By row, whether float32 may overflow in a sum of products, and so by its order.

        A product is of two numbers of the row, of which `scale` is the largest, or of one of them
        and a weight.
        """
        with np.errstate(over="ignore"):
            return np.asarray(scale * np.maximum(scale, self._weight) * _ADDENDS > _BEYOND)

    def outputs(self, inputs: Mapping[str, Array]) -> list[list[Array]]:
        """By judge, by output."""
        found = []
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self._session is not None:
                try:
                    found.append(list(self._session.run(None, dict(inputs))))
                except Exception:  # as above: what it refuses at run time
                    self._session = None
            given = (inputs, _moved(inputs, 1 + _MOVED), _moved(inputs, 1 - _MOVED))
            found += [wide for one in given if (wide := self._wide.run(one))]
            # As above: an operator that it lacks for a type.
            with contextlib.suppress(Exception):
                found.append([np.asarray(o) for o in self._evaluator.run(None, dict(inputs))])
        return found

    def rounded_elsewhere(self, inputs: Mapping[str, Array]) -> list[list[Array]]:
        """What the outputs are where every step is off by a few roundings, some times over."""
        if not self._noisy:
            seeds = range(_NOISES)
            models = [with_noise(self._model, self._graph, seed) for seed in seeds]
            self._noisy = [Float64(model, POOLS) for model in models]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [found for one in self._noisy if (found := one.run(inputs))]


def _largest_weight(model: Any) -> float:
    """The largest finite number among a model's constants."""
    arrays = [numpy_helper.to_array(tensor) for tensor in model.graph.initializer]
    floats = [abs(a[np.isfinite(a)]).max(initial=0) for a in arrays if a.dtype.kind == "f"]
    return float(max(floats, default=0))


def _moved(inputs: Mapping[str, Array], factor: float) -> dict[str, Array]:
    return {
        name: (array * factor).astype(array.dtype) if array.dtype.kind == "f" else array
        for name, array in inputs.items()
    }


def disagreement(
    got: Array,
    judges: Sequence[Array],
    dtype: str,
    scale: Array,
    overflows: Array,
    rounded: Sequence[Array] = (),
) -> str:
    """How an output differs from what all judges have; "" where it does not.

    `rounded`: what other roundings make of it. An integer or a truth that they decide may be any.

    `scale`: by row, the largest number on the way to it. `overflows`: by row, whether the order of
    sums decides what is a finite number; where `got` or a judge has none there, all will do, and
    so will any integer or truth.
    """
    by_row = (-1, *[1] * (got.ndim - 1))
    if str(got.dtype) != dtype:
        return f"dtype {got.dtype} instead of {dtype}"
    if got.shape != judges[0].shape:
        return f"shape {got.shape} instead of {judges[0].shape}"
    judges = [*judges, *rounded]
    fine = np.zeros(got.shape, bool)
    values, wide = got.astype(np.float64), [j.astype(np.float64) for j in judges]
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for mine, other in zip(judges, wide, strict=True):
            fine |= (np.isnan(values) & np.isnan(other)) | (values == other)
            if dtype.startswith(("int", "uint")):
                fine |= got == mine
        if dtype.startswith(("int", "uint")):  # of a float that is rounded in another place
            fine |= (values > np.min(wide, 0)) & (values < np.max(wide, 0))
        if dtype.startswith("float"):
            stacked = np.stack([np.where(np.isfinite(w), w, np.nan) for w in wide])
            low, high = np.nanmin(stacked, 0), np.nanmax(stacked, 0)
            of_row = scale.reshape(by_row) * _OF_SCALE
            room = _ABSOLUTE + of_row + _RELATIVE * np.maximum(abs(low), abs(high))
            if rounded:  # which may all be off to one side
                finite = np.stack([np.where(np.isfinite(r), r, np.nan) for r in rounded])
                room = room + np.nan_to_num(np.nanmax(finite, 0) - np.nanmin(finite, 0))
            fine |= (values >= low - room) & (values <= high + room)
            fine |= (high > _BEYOND) | (low < -_BEYOND)
            infinite = ~np.isfinite(np.stack([values, *wide])).all(0)
            fine |= infinite & overflows.reshape(by_row)
        else:  # of a number that may be infinite, or none
            fine |= overflows.reshape(by_row)
            for other in rounded:
                fine |= other != rounded[0]
    if fine.all():
        return ""
    at = tuple(int(i) for i in np.argwhere(~fine)[0])
    there = ", ".join(str(j[at]) for j in judges)
    return f"{(~fine).sum()} of {fine.size} values, at {at}: {got[at]} instead of {there}"
