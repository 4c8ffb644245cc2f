"""Whether an answer agrees with what the judges say of a request.

The judges are ONNX Runtime, onnx's evaluator, and that in float64; for an operator that ONNX
defines by others, also onnx's evaluator on that definition. Each element of an answer has to be
that of one of them, not always of the same one: where they differ, ONNX leaves it open. Where no
judge says what the answer has, it is right in four cases, each tried and none by name:

* It is what a judge says of the same row among copies of itself.
* It is within what the judges say of the same numbers moved by a few roundings, as many as a sum
  of a few terms has: the element is not determined by the numbers in this precision.
* It is an infinity, NaN or 0, all numbers are finite, and so is the element in float64, but a judge
  in the model's own precision says another: an intermediate has left the range of its type, and
  what comes of that hangs on an order of operations that ONNX does not fix. (A quotient by an
  infinity plus a bias is the bias: it may be any number where no such judge has a finite one.)
  Where float64 has no answer, NaN and an infinity are alike if the judge's is finite for numbers
  cut to 10.
* It is NaN, and what a judge says changes with the number that is put in place of the request's
  NaN: the element depends on it. (A comparison may leave it out; ONNX says neither.)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial

import ml_dtypes
import numpy as np
import numpy.typing as npt

from tests.onnx_nodes.reference import Array, Evaluator, Feeds

__all__ = ["Panel", "difference"]

_Mask = npt.NDArray[np.bool_]

# Relative and absolute, by the dtype of a result.
_TOLERANCES = {"float16": (1e-2, 1e-3), "bfloat16": (4e-2, 1e-2)}

# The quick one first: the others are asked only where it does not settle all.
_ORDER = ("onnxruntime", "reference", "definition", "float64")
_COPIES = range(2, 9)
_DRAWS = 4
_ROUNDINGS = 8
_MODEST = 10.0
_IN_PLACE = (1e4, -1e4, 1.0)


class Panel:
    """The judges on one request. Whoever has no answer for its values says nothing."""

    def __init__(self, judges: Mapping[str, Evaluator], feeds: Feeds) -> None:
        self.feeds = feeds
        self._judges = judges
        self._said: dict[str, list[Array] | None] = {}

    def said(self) -> Iterator[tuple[str, list[Array]]]:
        """(judge, outputs) one by one, computed when they are asked for."""
        for who in _ORDER:
            if who in self._judges:
                if who not in self._said:
                    self._said[who] = _outputs(self._judges[who], self.feeds)
                outputs = self._said[who]
                if outputs is not None:
                    yield who, outputs

    def of(self, change: Callable[[Array], Array]) -> Panel:
        """The same judges on changed numbers."""
        return Panel(self._judges, {name: change(array) for name, array in self.feeds.items()})


def _outputs(judge: Evaluator, feeds: Feeds) -> list[Array] | None:
    try:
        return [np.asarray(output) for output in judge(feeds)]
    except Exception:  # of no public base class: it has no answer for these values
        return None


def difference(name: str, place: int, got: Array, panel: Panel) -> str:
    """How the output at `place` differs from what all judges say; nothing where it agrees."""
    same = np.zeros(got.shape, bool)
    shaped: dict[str, Array] = {}
    shapes = []
    for who, outputs in panel.said():
        want = outputs[place]
        shapes.append(want.shape)
        if want.shape == got.shape:
            shaped[who] = want
            same |= _same(want, got)
            if same.all():
                return ""
    if not shaped:
        return f"{name}: shape {got.shape} instead of {shapes[0]}"
    for is_right in (_among_copies, _within_roundings, _left_its_type, _of_a_nan):
        if got.dtype.kind not in "OUSbiu":
            same |= is_right(got, place, panel)
    if same.all():
        return ""
    at = tuple(int(i) for i in np.argwhere(~same)[0])
    said = ", ".join(f"{want[at]} by {who}" for who, want in shaped.items())
    return f"{name}{list(at)}: {got[at]} instead of {said} ({(~same).sum()} of {same.size})"


def _same(want: Array, got: Array) -> _Mask:
    if want.dtype.kind in "OUS" or got.dtype.kind in "OUS":
        return np.asarray(want == got)
    if got.dtype.kind in "biu" and want.dtype.kind in "biu":
        return np.asarray(want == got)
    relative, absolute = _TOLERANCES.get(got.dtype.name, (1e-3, 1e-5))
    with np.errstate(all="ignore"):
        rounded = want.astype(got.dtype) if want.dtype.itemsize > got.dtype.itemsize else want
        wide, other = rounded.astype(np.float64), got.astype(np.float64)
        return np.asarray(np.isclose(other, wide, rtol=relative, atol=absolute, equal_nan=True))


def _wide(panel: Panel, place: int, shape: tuple[int, ...]) -> list[Array]:
    """What each judge says, in float64."""
    with np.errstate(all="ignore"):
        found = [outputs[place].astype(np.float64) for _, outputs in panel.said()]
    return [array for array in found if array.shape == shape]


def _among_copies(got: Array, place: int, panel: Panel) -> _Mask:
    right = np.zeros(got.shape, bool)
    for count in _COPIES:
        copies = panel.of(partial(np.repeat, repeats=count, axis=0))
        for _, outputs in copies.said():
            want = outputs[place][: len(got)]
            if want.shape == got.shape:
                right |= _same(want, got)
    return right


def _within_roundings(got: Array, place: int, panel: Panel) -> _Mask:
    rng = np.random.default_rng(0)

    def moved(array: Array) -> Array:
        if not _is_float(array):
            return array
        step = _ROUNDINGS * float(ml_dtypes.finfo(array.dtype).eps)
        with np.errstate(all="ignore"):
            factor = 1 + step * rng.choice([-1.0, 0.0, 1.0], array.shape)
            return np.asarray((array.astype(np.float64) * factor).astype(array.dtype))

    said = _wide(panel, place, got.shape)
    for _ in range(_DRAWS):
        said += _wide(panel.of(moved), place, got.shape)
    every, other = np.stack(said), got.astype(np.float64)
    relative, absolute = _TOLERANCES.get(got.dtype.name, (1e-3, 1e-5))
    with np.errstate(all="ignore"):
        low = np.where(np.isnan(every), np.inf, every).min(axis=0)
        high = np.where(np.isnan(every), -np.inf, every).max(axis=0)
        room = absolute + relative * np.abs(other)
        inside = (other >= low - room) & (other <= high + room) & np.isfinite(other)
    return inside | (np.isnan(every).any(axis=0) & np.isnan(other))


def _left_its_type(got: Array, place: int, panel: Panel) -> _Mask:
    closed = np.zeros(got.shape, bool)
    if not all(np.isfinite(a).all() for a in panel.feeds.values() if _is_float(a)):
        return closed
    said = {who: outputs[place] for who, outputs in panel.said()}
    exact = said.pop("float64", None)
    if exact is None:
        return _is_large(got, place, panel)
    differs = closed
    for want in said.values():
        if want.shape == exact.shape == got.shape:
            differs = differs | ~_same(exact, want)
    if not differs.any():
        return closed
    native = [want for want in said.values() if want.shape == got.shape]
    nowhere = np.all([~np.isfinite(want) for want in native], axis=0)
    return differs & np.isfinite(exact) & (nowhere | ~np.isfinite(got) | (got == 0))


def _is_large(got: Array, place: int, panel: Panel) -> _Mask:
    """Where neither an answer nor a judge is finite, by nothing but the size of numbers."""
    small = dict(
        panel.of(lambda a: a.clip(-_MODEST, _MODEST).astype(a.dtype) if _is_float(a) else a).said()
    )
    large = np.zeros(got.shape, bool)
    for who, outputs in panel.said():
        if who in small and outputs[place].shape == small[who][place].shape == got.shape:
            large |= ~np.isfinite(outputs[place]) & np.isfinite(small[who][place])
    return large & ~np.isfinite(got)


def _of_a_nan(got: Array, place: int, panel: Panel) -> _Mask:
    if not any(np.isnan(a).any() for a in panel.feeds.values() if _is_float(a)):
        return np.zeros(got.shape, bool)

    def placed(number: float) -> Panel:
        return panel.of(
            lambda a: np.where(np.isnan(a), a.dtype.type(number), a) if _is_float(a) else a
        )

    judged = [dict(placed(number).said()) for number in _IN_PLACE]
    depends = np.zeros(got.shape, bool)
    for who, outputs in judged[0].items():
        for other in judged[1:]:
            if who in other and outputs[place].shape == other[who][place].shape == got.shape:
                depends |= ~_same(outputs[place], other[who][place])
    return depends & np.isnan(got)


def _is_float(array: Array) -> bool:
    return array.dtype.kind == "f" or array.dtype.name == "bfloat16"
