"""What a graph computes of its extents, found by looking at it at several sizes of the batch.

Every extent but the batch is fixed, so what depends on shapes alone is either the same at every
batch, or follows it. `ShapeFacts` infers all shapes at each of `BATCHES` rows and evaluates what is
computed of shapes and constants, as far as it is small. A value that is equal at all of them is a
constant; one that lies on a line, such as `[n, 4, 8]`, is a shape with the batch in it. The batch
counts as more than one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

__all__ = ["BATCHES", "Line", "ShapeFacts", "reads_of"]

# Row counts at which a graph is looked at. Two tell a constant from a line; the third tells a line
# from what only looks like one.
BATCHES = (2, 3, 113)

# A count beyond any that a graph compares its batch with: at it extents alone are looked at, no
# tensor that grows with the batch.
_FAR = 1_000_003
_GROWING = frozenset(
    {"ConstantOfShape", "CumSum", "Expand", "EyeLike", "OneHot", "Pad", "Range", "Tile", "Trilu"}
)
_FEW = 64

# An extent a * n + b of n rows, as (a, b).
Line = tuple[int, int]

# Values of more elements are not evaluated: shapes, positions, masks over a sequence are smaller.
_LARGEST = 1 << 16

_EVALUATED = frozenset(
    {
        *("Abs", "Add", "And", "BitShift", "Cast", "CastLike", "Ceil", "Compress", "Concat"),
        *("Constant", "ConstantOfShape", "CumSum", "Div", "Equal", "Exp", "Expand", "EyeLike"),
        *("Flatten", "Floor", "Gather", "GatherElements", "GatherND", "Greater", "GreaterOrEqual"),
        *("Identity", "IsInf", "IsNaN", "Less", "LessOrEqual", "Log", "MatMul", "Max", "Min"),
        *("Mod", "Mul", "Neg", "Not", "OneHot", "Or", "Pad", "Pow", "Range", "Reciprocal"),
        *("ReduceMax", "ReduceMin", "ReduceProd", "ReduceSum", "Reshape", "Round", "Sign", "Size"),
        *("Slice", "Split", "Sqrt", "Squeeze", "Sub", "Tile", "Transpose", "Trilu", "Unsqueeze"),
        *("Where", "Xor"),
    }
)

# Operators whose result's extents may depend on the value of an operand.
_SHAPED = frozenset(
    {
        *("Reshape", "Expand", "Tile", "Range", "Slice", "Pad", "Resize", "Loop", "If", "TopK"),
        *("ConstantOfShape", "Squeeze", "Unsqueeze", "Split", "OneHot", "Trilu"),
    }
)


class ShapeFacts:
    """Shapes and values at each of `BATCHES` rows, of what `model` computes."""

    def __init__(self, model: Any) -> None:
        self._skeleton = _skeleton(model)
        self._producers = {name: node for node in model.graph.node for name in node.output}
        self.shapes: list[dict[str, tuple[int | None, ...]]] = []
        self.values: list[dict[str, npt.NDArray[Any]]] = []
        self.types: dict[str, int] = {}
        for batch in BATCHES:
            shapes, values = self._look(batch)
            self.shapes.append(shapes)
            self.values.append(values)
        self._far_shapes, self._far = self._look(_FAR)

    def constant(self, name: str) -> npt.NDArray[Any] | None:
        """The value of `name` if it is the same at every batch."""
        found = self.at_each(name)
        if found is None or not all(_equal(found[0], other) for other in found[1:]):
            return None
        far = self._far.get(name)
        return found[0] if far is None or _equal(found[0], far) else None

    def at_each(self, name: str) -> list[npt.NDArray[Any]] | None:
        """The values of `name` at the `BATCHES`, where all are known."""
        found = [values[name] for values in self.values if name in values]
        return found if len(found) == len(BATCHES) else None

    def lines(self, name: str) -> list[Line] | None:
        """The elements of an integer vector or scalar, each a line over the batch."""
        found = self.at_each(name)
        if found is None or found[0].dtype.kind not in "iu" or found[0].ndim > 1:
            return None
        if len({array.shape for array in found}) != 1:
            return None
        lines = _lines([array.ravel().tolist() for array in found])
        far = self._far.get(name)
        return lines if far is None or _reaches(lines, far.ravel().tolist()) else None

    def shape(self, name: str) -> list[Line] | None:
        """The extents of `name`, each a line over the batch; None where one is not known."""
        found = [shapes.get(name) for shapes in self.shapes]
        known = [
            [extent for extent in extents if extent is not None]
            for extents in found
            if extents is not None and None not in extents
        ]
        if len(known) != len(BATCHES) or len({len(f) for f in known}) != 1:
            return None
        lines, far = _lines(known), self._far_shapes.get(name)
        return lines if far is None or None in far or _reaches(lines, far) else None

    def rank(self, name: str) -> int | None:
        """How many axes `name` has, where that is known."""
        found = self.shapes[0].get(name)
        return None if found is None else len(found)

    def operator_of(self, name: str) -> str | None:
        """The operator that gives `name`; None for inputs and constants."""
        node = self._producers.get(name)
        return None if node is None else str(node.op_type)

    def reads_the_batch(self, name: str) -> bool:
        """Whether `name` is a number, or numbers, that differ with the count of rows."""
        return self.at_each(name) is not None and self.constant(name) is None

    def _look(self, batch: int) -> tuple[dict[str, Any], dict[str, npt.NDArray[Any]]]:
        model = onnx.ModelProto()
        model.CopyFrom(self._skeleton)
        for value in model.graph.input:
            for extent in value.type.tensor_type.shape.dim:
                if not extent.HasField("dim_value"):
                    extent.dim_value = batch
        values = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
        while True:
            # Far out, shape inference would make arrays as long as the batch.
            shapes = self._infer(model, data_prop=batch != _FAR)
            found = _evaluated(model, shapes, values, small=batch == _FAR)
            if not found:
                return shapes, values
            values.update(found)
            if not _feeds_a_shape(model, found):
                return shapes, values
            # With these as constants, more shapes are known.
            kept = [node for node in model.graph.node if not set(node.output) & found.keys()]
            del model.graph.node[:]
            model.graph.node.extend(kept)
            constants = (numpy_helper.from_array(a, name) for name, a in found.items())
            model.graph.initializer.extend(constants)

    def _infer(self, model: Any, data_prop: bool) -> dict[str, tuple[int | None, ...]]:
        try:
            graph = onnx.shape_inference.infer_shapes(model, data_prop=data_prop).graph
        except (onnx.shape_inference.InferenceError, RuntimeError):
            graph = model.graph
        shapes: dict[str, tuple[int | None, ...]] = {}
        for value in (*graph.input, *graph.value_info, *graph.output):
            tensor = value.type.tensor_type
            if tensor.elem_type:
                self.types[value.name] = tensor.elem_type
            if value.type.HasField("tensor_type") and tensor.HasField("shape"):
                extents = tensor.shape.dim
                shapes[value.name] = tuple(
                    e.dim_value if e.HasField("dim_value") else None for e in extents
                )
        for tensor in graph.initializer:
            shapes[tensor.name] = tuple(tensor.dims)
            self.types[tensor.name] = tensor.data_type
        return shapes


def reads_of(node: Any) -> set[str]:
    """What a node reads, its branches included."""
    found = {name for name in node.input if name}
    for attribute in node.attribute:
        if attribute.HasField("g"):
            found.update(name for inner in attribute.g.node for name in reads_of(inner))
            found.update(output.name for output in attribute.g.output)
    return found


def _lines(rows: Sequence[Sequence[int]]) -> list[Line] | None:
    """Each column of `rows`, one for each of `BATCHES`, as a line; None where one lies on none."""
    found = []
    for first, second, third in zip(*rows, strict=True):
        slope = (second - first) // (BATCHES[1] - BATCHES[0])
        start = first - slope * BATCHES[0]
        if slope * BATCHES[2] + start != third:
            return None
        found.append((int(slope), int(start)))
    return found


def _reaches(lines: Sequence[Line] | None, far: Sequence[int | None]) -> bool:
    """Whether lines go through the values at `_FAR` rows."""
    return lines is not None and [slope * _FAR + start for slope, start in lines] == list(far)


def _equal(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> bool:
    nan = a.dtype.kind == "f"
    return a.dtype == b.dtype and bool(np.array_equal(a, b, equal_nan=nan))


def _skeleton(model: Any) -> Any:
    """A copy without large weights (they are inputs there) and without what the file says of shapes
    in between."""
    skeleton = onnx.ModelProto(ir_version=max(model.ir_version, 4))
    skeleton.opset_import.extend(model.opset_import)
    skeleton.functions.extend(model.functions)
    graph = skeleton.graph
    graph.name = "shapes"
    graph.node.extend(model.graph.node)
    constants = {tensor.name for tensor in model.graph.initializer}
    graph.input.extend(value for value in model.graph.input if value.name not in constants)
    for tensor in model.graph.initializer:
        if int(np.prod(tensor.dims, dtype=np.int64)) <= _LARGEST and not tensor.external_data:
            graph.initializer.append(tensor)
        else:
            kind, extents = tensor.data_type, list(tensor.dims)
            graph.input.append(helper.make_tensor_value_info(tensor.name, kind, extents))
    for output in model.graph.output:
        kind = output.type.tensor_type.elem_type
        graph.output.append(helper.make_tensor_value_info(output.name, kind, None))
    return skeleton


def _evaluated(
    model: Any, shapes: Mapping[str, Any], known: Mapping[str, Any], small: bool
) -> dict[str, npt.NDArray[Any]]:
    """What follows from shapes and small constants, and is not among `known`; `small`: as far as
    it has few elements."""
    constants = {t.name: t for t in model.graph.initializer}
    feeds = _extents(model.graph.node, shapes, known)
    reachable, nodes = {*constants, *feeds}, []
    for node in model.graph.node:
        reads = reads_of(node)
        if node.op_type in _EVALUATED and not node.domain and reads <= reachable:
            if not _is_small(node, shapes, _FEW if small else _LARGEST):
                continue
            if small and node.op_type in _GROWING:
                continue
            nodes.append(node)
            reachable.update(node.output)
    outputs = [name for node in nodes for name in node.output if name and name not in known]
    return {**feeds, **_run(model, nodes, constants, feeds, outputs)}


def _extents(
    nodes: Iterable[Any], shapes: Mapping[str, Any], known: Mapping[str, Any]
) -> dict[str, npt.NDArray[Any]]:
    """The outputs of `Shape` and `Size` nodes whose input's shape is known."""
    found = {}
    for node in nodes:
        if node.op_type not in ("Shape", "Size") or node.output[0] in known:
            continue
        extents = shapes.get(node.input[0])
        if extents is None:
            continue
        bounds = {a.name: a.i for a in node.attribute}
        if node.op_type == "Shape":
            extents = extents[slice(bounds.get("start", 0), bounds.get("end"))]
        if None not in extents:
            array = np.array(extents, np.int64)
            found[node.output[0]] = array.prod() if node.op_type == "Size" else array
    return {name: np.asarray(array, np.int64) for name, array in found.items()}


def _is_small(node: Any, shapes: Mapping[str, Any], most: int) -> bool:
    """As far as is known; positions along a batch have no known extent."""
    sizes = [shapes.get(name) for name in node.output]
    known = [np.prod(size, dtype=np.float64) for size in sizes if size and None not in size]
    return all(size <= most for size in known)


def _run(
    model: Any,
    nodes: Sequence[Any],
    constants: Mapping[str, Any],
    feeds: Mapping[str, Any],
    outputs: Sequence[str],
) -> dict[str, npt.NDArray[Any]]:
    if not outputs:
        return {}
    needed = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "of shapes",
        [helper.make_tensor_value_info(f, onnx.TensorProto.INT64, None) for f in feeds],
        [helper.make_tensor_value_info(name, onnx.TensorProto.INT64, None) for name in outputs],
        initializer=[tensor for name, tensor in constants.items() if name in needed],
    )
    small = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    try:
        with np.errstate(all="ignore"):
            results = ReferenceEvaluator(small).run(None, dict(feeds))
    except Exception:  # one node that numpy refuses: the others one by one
        return _run_each(model, nodes, constants, feeds, outputs) if len(nodes) > 1 else {}
    return {n: np.asarray(r) for n, r in zip(outputs, results, strict=True)}


def _run_each(
    model: Any,
    nodes: Sequence[Any],
    constants: Mapping[str, Any],
    feeds: Mapping[str, Any],
    outputs: Sequence[str],
) -> dict[str, npt.NDArray[Any]]:
    values = {name: numpy_helper.to_array(tensor) for name, tensor in constants.items()}
    values.update(feeds)
    for node in nodes:
        if reads_of(node) <= values.keys():
            inputs = {name: values[name] for name in reads_of(node)}
            values.update(_run(model, [node], {}, inputs, [n for n in node.output if n]))
    return {name: values[name] for name in outputs if name in values}


def _feeds_a_shape(model: Any, found: Mapping[str, Any]) -> bool:
    """Whether one of these tells an extent that shape inference may not have seen."""
    return any(
        node.op_type in _SHAPED
        and found.keys() & reads_of(node)
        and not set(node.output) & found.keys()
        for node in model.graph.node
    )
