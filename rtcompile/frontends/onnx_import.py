"""ONNX in, Relax out.

Opset 13 to 22. The first axis of every input is the batch where it is symbolic; all other extents
are numbers. What cannot be imported is named: node, operator, reason.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import helper
from tvm import relax, tirx
from tvm.relax.frontend.onnx.onnx_frontend import ONNXGraphImporter, _get_convert_map

from rtcompile.errors import ModelError, UnsupportedError
from rtcompile.frontends.constant_gather import constant_gather
from rtcompile.frontends.keep_outputs import LeftOut, keep_outputs
from rtcompile.frontends.quantized.graph import QuantizedModel, float_graph
from rtcompile.frontends.recurrent import RECURRENT, convert_recurrent
from rtcompile.frontends.resolve_branches import resolve_branches
from rtcompile.frontends.rewrite_einsum import rewrite_einsum
from rtcompile.frontends.row_gathers import row_gathers
from rtcompile.frontends.settle_shapes import DOMAIN, ROWS, settle_shapes

__all__ = ["OPSETS", "ImportedGraph", "import_onnx"]

OPSETS = range(13, 23)

# What the importer raises where it meets something that it does not know.
_IMPORT_FAILURES = (
    RuntimeError,
    ValueError,
    TypeError,
    AttributeError,
    NotImplementedError,
    AssertionError,
    LookupError,
)


@dataclass(frozen=True)
class ImportedGraph:
    """A network as Relax. `inputs` and `outputs` are the graph's names, in its order.

    `left_out`: what it lacks of the file, since no one asked for it. `quantized`: what a model that
    comes quantized was, whose float graph this is.
    """

    module: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    model: Any  # the onnx.ModelProto, for verification and table names
    left_out: LeftOut
    quantized: QuantizedModel | None = None


def import_onnx(path: Path, outputs: Collection[str] = ()) -> ImportedGraph:
    """Read, check and import the model at `path`, with these of its outputs, or all.

    Raises ModelError or UnsupportedError, and ConfigError for an output that it does not have.
    """
    whole = _load(path)
    _opset(whole, path)
    kept, left_out = keep_outputs(whole, outputs)
    original, quantized = _without_quantization(kept, path)
    opset = _opset(original, path)
    original, model = _settled(original, opset, path)
    _refuse_unknown_operators(model, path)
    shapes = _input_shapes(model, path)
    said = io.StringIO()
    try:
        # The importer prints which operator it was converting when it failed.
        with contextlib.redirect_stdout(said):
            module = _Importer(shapes).from_onnx(model.graph, opset)
    except UnsupportedError as error:
        raise UnsupportedError(f"{path}: {error}") from error
    except _IMPORT_FAILURES as error:
        reason = str(error).strip().splitlines()[-1:] or [type(error).__name__]
        where = said.getvalue().strip().splitlines()[:1]
        raise UnsupportedError(
            f"{path}: the graph cannot be imported: {'; '.join([*where, *reason])}"
        ) from error
    names = tuple(output.name for output in model.graph.output)
    return ImportedGraph(module, tuple(shapes), names, original, left_out, quantized)


def _settled(model: Any, opset: int, path: Path) -> tuple[Any, Any]:
    """(`model` with each row's own values read as such, the same without control flow and without
    computations on extents, as the importer takes it)."""
    try:
        resolved = resolve_branches(model, opset)
        by_row = row_gathers(resolved, opset)
        return model if by_row is resolved else by_row, rewrite_einsum(settle_shapes(by_row, opset))
    except UnsupportedError as error:
        raise UnsupportedError(f"{path}: {error}") from error


def _without_quantization(model: Any, path: Path) -> tuple[Any, QuantizedModel | None]:
    """A model, or the float graph of one that comes quantized."""
    try:
        return float_graph(model)
    except UnsupportedError as error:
        raise UnsupportedError(f"{path}: {error}") from error


class _Importer(ONNXGraphImporter):
    """TVM's importer, and ours of what it does not have or has for run time only."""

    def __init__(self, shapes: dict[str, list[Any]]) -> None:
        super().__init__(shapes, "float32")
        self._batch = next(s[0] for s in shapes.values() if s and not isinstance(s[0], int))

    def _check_for_unsupported_ops(self, graph: Any) -> None:
        """Nothing: `_refuse_unknown_operators` names all of them."""

    def _convert_operator(self, op_name: str, inputs: Any, attrs: Any, opset: int) -> Any:
        if op_name in RECURRENT:
            try:
                return convert_recurrent(self.bb, op_name, inputs, attrs)
            except UnsupportedError as error:
                raise UnsupportedError(f"node {attrs['tvm_custom']['name']}: {error}") from error
        if op_name == ROWS:
            return self._rows(inputs[0], int(attrs["axis"]))
        if op_name == "Cast" and _is_of_type(inputs[0], attrs["to"]):
            return inputs[0]  # look-ups of one id through one cast and two are the same then
        if op_name == "Gather":
            taken = constant_gather(inputs, attrs)
            if taken is not None:
                return self.bb.normalize(taken)
        return super()._convert_operator(op_name, inputs, attrs, opset)

    def _rows(self, value: Any, axis: int) -> Any:
        """`value`, of extent one on `axis`, for each row."""
        extents = list(value.ty.shape.values)
        extents[axis] = self._batch
        return self.bb.normalize(relax.op.broadcast_to(value, relax.ShapeExpr(extents)))


def _is_of_type(value: Any, element_type: int) -> bool:
    """Whether a tensor has this element type of ONNX already."""
    if not isinstance(value.ty, relax.TensorType):
        return False
    return str(value.ty.dtype) == str(np.dtype(helper.tensor_dtype_to_np_dtype(element_type)))


def _load(path: Path) -> Any:
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        reason = str(error).strip().splitlines()
        raise ModelError(
            f"{path}: not a valid ONNX model: {reason[0] if reason else type(error).__name__}"
        ) from error
    return model


def _opset(model: Any, path: Path) -> int:
    for entry in model.opset_import:
        if entry.domain in ("", "ai.onnx"):
            if entry.version not in OPSETS:
                raise UnsupportedError(
                    f"{path}: opset {entry.version} is not supported; export the model with an "
                    f"opset from {OPSETS.start} to {OPSETS.stop - 1}"
                )
            return int(entry.version)
    raise ModelError(f"{path}: the model imports no opset of the ONNX standard domain")


def _refuse_unknown_operators(model: Any, path: Path) -> None:
    known = _get_convert_map()
    unknown = []
    for index, node in enumerate(model.graph.node):
        name = node.name or f"#{index}"
        if node.domain == DOMAIN:
            continue
        if node.domain not in ("", "ai.onnx"):
            unknown.append(f"node {name}: {node.domain}.{node.op_type} is of a foreign domain")
        elif node.op_type not in known and node.op_type not in RECURRENT:
            unknown.append(f"node {name}: {node.op_type} has no importer")
    if unknown:
        raise UnsupportedError(f"{path}: unsupported operators:\n  - " + "\n  - ".join(unknown))


def _input_shapes(model: Any, path: Path) -> dict[str, list[Any]]:
    initializers = {tensor.name for tensor in model.graph.initializer}
    batch = tirx.Var("n", "int64")
    shapes: dict[str, list[Any]] = {}
    for value in model.graph.input:
        if value.name in initializers:
            continue
        if not value.type.HasField("tensor_type"):
            raise UnsupportedError(f"{path}: input {value.name!r} is not a tensor")
        shape: list[Any] = []
        for axis, extent in enumerate(value.type.tensor_type.shape.dim):
            if extent.HasField("dim_value") and extent.dim_value > 0:
                shape.append(int(extent.dim_value))
            elif axis == 0:
                shape.append(batch)
            else:
                raise UnsupportedError(
                    f"{path}: input {value.name!r} has a dynamic extent on axis {axis}; only the "
                    "first axis, the batch, may be dynamic: export the model with fixed extents"
                )
        shapes[value.name] = shape
    if not any(shape and not isinstance(shape[0], int) for shape in shapes.values()):
        raise UnsupportedError(
            f"{path}: no input has a dynamic first axis; export the model with a dynamic batch"
        )
    return shapes
