"""Compare a compiled module with the original before the artifact is written.

The network runs beside ONNX Runtime on generated rows, at row counts below, at and above the size
of a tile, so that the tiling and the remainders are compared too. Ids are drawn from the range of
the tables that they look up. Where tables are in a lower precision, the original reads the values
that they hold, and the distance from the true original is reported beside (`stored_tables.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from rtcompile.codegen.program import TILE
from rtcompile.errors import ModelError, VerificationError
from rtcompile.exact_products import with_exact_products
from rtcompile.float64 import run_in_float64
from rtcompile.frontends.id_inputs import id_columns
from rtcompile.frontends.onnx_import import ImportedGraph
from rtcompile.loaded import loaded
from rtcompile.stored_tables import Original

__all__ = [
    "TOLERANCE",
    "RoundingCheck",
    "ScoreDifference",
    "Verification",
    "generate_inputs",
    "hold",
    "open_reference",
    "open_session",
    "verify_network",
    "verify_rounding",
]

# Largest absolute difference, relative to the output's largest value where that is above 1.
TOLERANCE = 1e-4

# How many times what a quantized file's own rounding does to scores another rounding may do: both
# are sums of many small errors, of which the largest of a few hundred rows is seen.
_ROUNDINGS = 3.0

_ROW_COUNTS = (2, 7, TILE, TILE + 37)


@dataclass
class ScoreDifference:
    """How far scores are from the original's: absolute, relative to an output's largest above 1."""

    largest: float = 0.0
    total: float = 0.0
    scores: int = 0

    @property
    def mean(self) -> float:
        """Over all scores."""
        return self.total / max(self.scores, 1)

    def add(self, want: Iterable[npt.NDArray[Any]], got: Iterable[npt.NDArray[Any]]) -> None:
        """Outputs of both, in the same order."""
        for one, other in zip(want, got, strict=True):
            moved = _differences(one, other)
            # `max` of Python would lose a NaN.
            self.largest = float(np.maximum(self.largest, np.max(moved, initial=0.0)))
            self.total, self.scores = self.total + float(moved.sum()), self.scores + moved.size


@dataclass(frozen=True)
class Verification:
    """The largest difference from what the kernels compute, seen over `rows` rows in all.

    `from_original`: that from the original, where tables are in a lower precision.
    `from_quantized`: that from a model which came quantized, `file_rounding`: what its own rounding
    moves scores by; the difference that is kernels' alone is one of layers in float32 then.
    """

    largest_difference: float
    rows: int
    from_original: ScoreDifference | None = None
    from_quantized: ScoreDifference | None = None
    file_rounding: float = 0.0


def verify_network(
    graph: ImportedGraph,
    stored: Original | None,
    manifest: dict[str, Any],
    sections: dict[str, bytes],
) -> Verification:
    """Run both on the same rows. Raises VerificationError that names the worst output.

    `stored`: the original on the tables as they are stored, where they are not in fp32.
    """
    judge = stored.graph if stored else graph
    run = open_session(judge)
    true = open_session(graph) if stored else None
    moved = ScoreDifference()
    with loaded(manifest, sections) as ranker:
        largest, total = 0.0, 0
        for rows in _ROW_COUNTS:
            inputs = generate_inputs(graph.model, ranker.input_ports, rows, seed=rows)
            expected = run(graph.outputs, inputs)
            actual = ranker.predict(inputs)
            scores = [actual[name] for name in graph.outputs]
            exact = partial(run_in_float64, judge.model, inputs)
            largest = max(largest, hold(graph.outputs, expected, scores, rows, exact))
            if true is not None:
                moved.add(true(graph.outputs, inputs), actual.values())
            total += rows
    return Verification(largest, total, moved if true else None)


def hold(
    outputs: Sequence[str],
    want: Sequence[npt.NDArray[Any]],
    got: Sequence[npt.NDArray[Any]],
    rows: int,
    exact: Callable[[], Sequence[npt.NDArray[Any]] | None],
) -> float:
    """The largest difference of outputs, which is within the tolerance, else VerificationError.

    `exact`: the outputs in float64, if they can be had: they decide where `want` and `got` differ,
    since float32 itself may be that far off.
    """
    try:
        return _largest_of(outputs, want, got, rows)
    except VerificationError:
        values = exact()
        if values is None:
            raise
        return _largest_of(outputs, values, got, rows)


def _largest_of(
    outputs: Sequence[str],
    want: Sequence[npt.NDArray[Any]],
    got: Sequence[npt.NDArray[Any]],
    rows: int,
) -> float:
    each = zip(outputs, want, got, strict=True)
    return max((_largest_difference(*one, rows) for one in each), default=0.0)


class RoundingCheck:
    """Holds scores of a model that came quantized to those of the file in ONNX Runtime.

    The file rounds what flows between its layers. A build rounds in fewer places, or by other
    ranges where the file takes them from a whole batch; each step of each is as coarse. So scores
    may differ as the file's own rounding moves them: by `_ROUNDINGS` times the largest difference
    between it and its float graph, on the same rows.
    """

    def __init__(self) -> None:
        self.moved, self.rounding, self.rows = ScoreDifference(), 0.0, 0

    def add(
        self,
        file: Sequence[npt.NDArray[Any]],
        exact: Sequence[npt.NDArray[Any]],
        scores: Sequence[npt.NDArray[Any]],
    ) -> None:
        """The outputs of the file, of its float graph, and of the build, for the same rows."""
        for one, other, got in zip(file, exact, scores, strict=True):
            if got.shape != one.shape:
                raise VerificationError(f"an output has shape {got.shape} instead of {one.shape}")
            rounded = float(np.max(_differences(one, other), initial=0.0))
            self.rounding = max(self.rounding, rounded)
        self.moved.add(file, scores)
        self.rows += len(file[0]) if file else 0

    def hold(self) -> None:
        """Raises VerificationError where scores are further off than rounding explains."""
        allowed = TOLERANCE + _ROUNDINGS * self.rounding
        if not self.moved.largest <= allowed:
            raise VerificationError(
                f"scores differ by {self.moved.largest:.3g} from those of the quantized model in "
                f"ONNX Runtime, whose own rounding moves them by {self.rounding:.3g}; up to "
                f"{allowed:.3g} is allowed: the artifact was not written"
            )


def verify_rounding(
    quantized: ImportedGraph,
    exact: ImportedGraph,
    manifest: dict[str, Any],
    sections: dict[str, bytes],
) -> RoundingCheck:
    """Hold a build to a model that came quantized. `exact`: its float graph."""
    check, originals = RoundingCheck(), [open_session(graph) for graph in (quantized, exact)]
    names = list(exact.outputs)
    with loaded(manifest, sections) as ranker:
        for rows in _ROW_COUNTS:
            inputs = generate_inputs(exact.model, ranker.input_ports, rows, seed=rows)
            file, floats = (run(names, inputs) for run in originals)
            scores = ranker.predict(inputs)
            check.add(file, floats, [scores[name] for name in names])
    check.hold()
    return check


Run = Callable[[Sequence[str], Mapping[str, npt.NDArray[Any]]], list[npt.NDArray[Any]]]


def open_session(graph: ImportedGraph) -> Run:
    """The original in ONNX Runtime: (output names, inputs) -> outputs. Both raise ModelError."""
    return open_reference(graph.model)


def open_reference(model: Any) -> Run:
    """An onnx.ModelProto in ONNX Runtime, with products of bytes that are exact on any processor.

    (output names, inputs) -> outputs. Both raise ModelError.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # Quantize and dequantize pairs stay operators on floats, as ONNX defines them.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    exact = with_exact_products(model).SerializeToString()
    try:
        session = onnxruntime.InferenceSession(exact, options)
    except Exception as error:  # its exceptions share no public base class
        raise ModelError(f"ONNX Runtime cannot load the model: {error}") from error

    def run(names: Sequence[str], inputs: Mapping[str, npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        try:
            found: list[npt.NDArray[Any]] = session.run(list(names), dict(inputs))
        except Exception as error:
            raise ModelError(f"ONNX Runtime cannot run the model: {error}") from error
        return found

    return run


def generate_inputs(model: Any, ports: Any, rows: int, seed: int) -> dict[str, npt.NDArray[Any]]:
    """Random inputs of `rows` rows for an onnx.ModelProto: numbers from a normal distribution, ids
    within their tables. `ports`: a ranker's input ports."""
    rng = np.random.default_rng(seed)
    ids = id_columns(model)
    inputs: dict[str, npt.NDArray[Any]] = {}
    for port in ports:
        shape = port.shape if port.per_request else (rows, *port.shape)
        if np.issubdtype(port.dtype, np.floating):
            values = rng.normal(size=shape)
        else:
            values = rng.integers(0, ids.whole.get(port.name, 2), shape).astype(np.float64)
        for column, table_rows in ids.columns.get(port.name, {}).items():
            values[:, column] = rng.integers(0, table_rows, rows)
        inputs[port.name] = values.astype(port.dtype)
    return inputs


def _largest_difference(
    name: str, want: npt.NDArray[Any], got: npt.NDArray[Any], rows: int
) -> float:
    """Absolute, relative to the largest value above 1. VerificationError above the tolerance."""
    if want.shape != got.shape:
        raise VerificationError(
            f"output {name!r}: shape {got.shape} instead of {want.shape} at {rows} rows"
        )
    if want.size == 0:
        return 0.0
    worst = float(np.max(_differences(want, got)))
    if not worst <= TOLERANCE:
        raise VerificationError(
            f"output {name!r} differs from the original's by {worst:.3g} at {rows} rows, above the "
            f"tolerance of {TOLERANCE:g}: the artifact was not written"
        )
    return worst


def _differences(want: npt.NDArray[Any], got: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    scale = max(1.0, float(np.nanmax(np.abs(want), initial=0.0)))
    same = (want == got) | (np.isnan(want) & np.isnan(got))
    with np.errstate(invalid="ignore"):
        return np.where(same, 0.0, np.abs(want.astype(np.float64) - got) / scale)
