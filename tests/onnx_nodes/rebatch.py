"""A node test of ONNX as a graph over rows: the first axis of some inputs becomes the batch.

A test gives every operand as an input, axes and weights too. Some of them are rows, the others
become initializers. Which, is tried: a choice is right where every output has a row for each row of
the inputs, and where the rows computed alone are the rows computed together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from tests.onnx_nodes.reference import Array, Evaluator, evaluators

__all__ = ["RowCase", "row_case"]

# Inputs that say what an operator does, not what with: of a test of one row they look like rows.
_PARAMETERS = ("axes", "shape", "repeats", "pads", "split", "starts", "ends", "steps")


@dataclass(frozen=True)
class RowCase:
    """A model whose `rows` are the inputs with a symbolic first axis, and their values.

    `independent`: whether the reference says that no row depends on another. `judges`: who can
    compute it.
    """

    model: onnx.ModelProto
    rows: dict[str, Array]
    independent: bool
    judges: dict[str, Evaluator]


def row_case(model: onnx.ModelProto, data: Sequence[Any]) -> RowCase | None:
    """The graph over rows with the best choice of inputs, or None where no input can be rows."""
    names = [value.name for value in model.graph.input]
    given = {name: _array(value) for name, value in zip(names, data, strict=False)}
    shaped = {v.name for v in model.graph.input if v.type.tensor_type.shape.dim}  # no optional ones
    tried = None
    for chosen in _choices({name: given[name] for name in given if name in shaped}):
        batched = _rebatched(model, given, chosen)
        rows = {name: given[name] for name in chosen}
        judges = evaluators(batched)
        for judge in judges.values():
            verdict = _independent(judge, rows)
            if verdict:
                return RowCase(batched, rows, True, judges)
            if verdict is not None:
                tried = tried or RowCase(batched, rows, False, judges)
                break
    return tried


def _array(value: Any) -> Any:
    """A tensor as an array: onnx has some as scalars, and those of types of its own as protos."""
    if isinstance(value, onnx.TensorProto):
        return numpy_helper.to_array(value)
    return np.asarray(value) if isinstance(value, np.generic) else value


def _choices(given: dict[str, Any]) -> Iterator[list[str]]:
    """Sets of inputs that might be rows: all of one first extent, then fewer."""
    arrays = {
        name: value
        for name, value in given.items()
        if isinstance(value, np.ndarray) and value.ndim and name not in _PARAMETERS
    }
    if not arrays:
        return
    first = len(next(iter(arrays.values())))
    alike = [name for name, array in arrays.items() if len(array) == first]
    yield alike
    names = list(arrays)
    singles = [[name] for name in names]
    pairs = [[a, b] for i, a in enumerate(names) for b in names[i + 1 :]]
    leading = [names[:count] for count in range(3, len(names))]
    for chosen in [*singles, *pairs, *leading]:
        if chosen != alike and len({len(arrays[name]) for name in chosen}) == 1:
            yield chosen


def _rebatched(
    model: onnx.ModelProto, given: dict[str, Any], chosen: Sequence[str]
) -> onnx.ModelProto:
    batched = onnx.ModelProto()
    batched.CopyFrom(model)
    batched.ir_version = max(batched.ir_version, 4)  # initializers that are no inputs
    graph = batched.graph
    del graph.input[:], graph.value_info[:]
    for value in model.graph.input:
        if value.name in chosen:
            kept = graph.input.add()
            kept.CopyFrom(value)
            kept.type.tensor_type.shape.dim[0].dim_param = "N"
        elif value.name in given and isinstance(given[value.name], np.ndarray):
            kind = value.type.tensor_type.elem_type
            graph.initializer.append(_tensor(given[value.name], value.name, kind))
        elif value.name in given:
            graph.input.add().CopyFrom(value)
    for output in graph.output:
        for extent in output.type.tensor_type.shape.dim:
            extent.Clear()
    return batched


def _tensor(array: Array, name: str, kind: int) -> onnx.TensorProto:
    if kind == onnx.TensorProto.STRING:
        texts = [str(text).encode() for text in array.ravel()]
        return onnx.helper.make_tensor(name, kind, array.shape, texts)
    return numpy_helper.from_array(array, name)


def _independent(judge: Evaluator, rows: dict[str, Array]) -> bool | None:
    """Whether rows alone are rows together; None where the evaluator cannot run them together."""
    count = len(next(iter(rows.values())))
    try:
        together = judge({name: np.concatenate([a, a[::-1]]) for name, a in rows.items()})
    except Exception:  # an extent of the test that is no batch, or a type that it lacks
        return None
    if not all(_is_rows(output, 2 * count) for output in together):
        return False
    for row in range(count):
        try:
            alone = judge({name: array[row : row + 1] for name, array in rows.items()})
        except Exception:  # it takes this count of rows alone
            return False
        if not all(_is_rows(output, 1) for output in alone):
            return False
        for one, all_of in zip(alone, together, strict=True):
            for place in (row, 2 * count - 1 - row):
                if one.shape[1:] != all_of.shape[1:] or not _same(one[0], all_of[place]):
                    return False
    return True


def _is_rows(output: Any, count: int) -> bool:
    return isinstance(output, np.ndarray) and output.ndim > 0 and len(output) == count


def _same(one: Any, other: Any) -> bool:
    one, other = np.asarray(one), np.asarray(other)
    if one.dtype.kind in "OUSbiu":
        return bool(np.array_equal(one, other))
    with np.errstate(all="ignore"):
        wide = one.astype(np.float64), other.astype(np.float64)
        return bool(np.allclose(*wide, rtol=1e-2, atol=1e-4, equal_nan=True))
