"""Hold graphs whose rows were written otherwise to the file's own.

A batch that was fixed at 1 is compared row by row. Where a row's place is counted from its own
start (`frontends/row_gathers.py`), rows of a negative place are left out: there the two differ by
meaning. Bags are cut by offsets in the file's graph, by bounds in the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper

from rtcompile.errors import VerificationError
from rtcompile.frontends.onnx.import_onnx import ImportedGraph
from rtcompile.verification.differences import TOLERANCE, differences
from rtcompile.verification.draw_inputs import InputPlan
from rtcompile.verification.reference import open_reference

__all__ = ["verify_rewritings"]

_ROWS = 7

Array = npt.NDArray[Any]


def verify_rewritings(graph: ImportedGraph, ports: Sequence[Any]) -> None:
    """`ports`: of the graph's inputs. Raises VerificationError that names the output."""
    for before, after in graph.rewritings:
        inputs = InputPlan.of(graph.model, ports).draw(_ROWS, seed=_ROWS)
        inputs |= {one.offsets: _full_bags(inputs[one.flat[0]]) for one in graph.ragged}
        got, compared = _by_row(after, graph.outputs, inputs)
        want = _as_written(before, graph.outputs, _with_offsets(before, graph, inputs))
        for name, one, other in zip(graph.outputs, want, got, strict=True):
            if one.shape != other.shape:
                raise VerificationError(
                    f"output {name!r}: shape {other.shape} instead of {one.shape} at {_ROWS} rows, "
                    "with a dynamic batch: the artifact was not written"
                )
            both = (a[compared] if len(a) == _ROWS else a for a in (one, other))
            if np.any(~(differences(*both) <= TOLERANCE)):
                raise VerificationError(
                    f"output {name!r} of the graph with each row read by itself is not that of the "
                    "file's own graph: the artifact was not written"
                )


def _full_bags(flat: Array) -> Array:
    """int64 [rows, 2]: bags of a value at least, as some graphs have no answer for one of none."""
    starts = np.arange(_ROWS) * (len(flat) // _ROWS)
    return np.stack([starts, np.append(starts[1:], len(flat))], axis=1)


def _with_offsets(model: Any, graph: ImportedGraph, inputs: Mapping[str, Array]) -> dict[str, Any]:
    """`inputs` with offsets in place of bounds where a graph takes these."""
    types = {value.name: value.type.tensor_type for value in model.graph.input}
    found = dict(inputs)
    for one in graph.ragged:
        if len(types[one.offsets].shape.dim) == 1:
            bounds = inputs[one.offsets]
            offsets = np.append(bounds[:, 0], bounds[-1:, 1] if one.last else [])
            dtype = helper.tensor_dtype_to_np_dtype(types[one.offsets].elem_type)
            found[one.offsets] = offsets.astype(dtype)
    return found


def _as_written(model: Any, names: Sequence[str], inputs: Mapping[str, Array]) -> list[Array]:
    """The outputs of a graph whose batch is dynamic, or 1."""
    run = open_reference(model)
    if not _has_fixed_batch(model):
        return run(names, inputs)
    rows = [
        run(names, {k: a[row : row + 1] if a.ndim else a for k, a in inputs.items()})
        for row in range(_ROWS)
    ]
    return [np.concatenate(arrays) for arrays in zip(*rows, strict=True)]


def _has_fixed_batch(model: Any) -> bool:
    constants = {tensor.name for tensor in model.graph.initializer}
    shapes = [v.type.tensor_type.shape for v in model.graph.input if v.name not in constants]
    return all(shape.dim[0].dim_value == 1 for shape in shapes if shape.dim)


def _by_row(
    model: Any, names: Sequence[str], inputs: Mapping[str, Array]
) -> tuple[list[Array], npt.NDArray[np.bool_]]:
    """The outputs, and in which rows no place is counted from the end."""
    places = _places(model)
    with_places = onnx.ModelProto()
    with_places.CopyFrom(model)
    with_places.graph.output.extend(onnx.ValueInfoProto(name=name) for name in places)
    found = open_reference(with_places)([*names, *places], inputs)
    compared = np.ones(_ROWS, bool)
    for place in found[len(names) :]:
        compared &= (place.reshape(_ROWS, -1) >= 0).all(axis=1)
    return found[: len(names)], compared


def _places(model: Any) -> list[str]:
    """The indices that `row_gathers` counts from a row's own start."""
    outputs = {output.name for output in model.graph.output}
    found = [
        node.input[1]
        for node in model.graph.node
        if node.op_type == "GatherND" and node.output[0].startswith("row_gathers")
    ]
    return [name for name in dict.fromkeys(found) if name not in outputs]
