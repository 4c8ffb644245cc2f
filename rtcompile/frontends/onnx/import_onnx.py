"""ONNX in, Relax out.

Opset 7 to 28. The first axis of every input is the batch where it is symbolic, or 1 in all of them;
all other extents are numbers. What cannot be imported is named: node, operator, reason.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from onnx import TensorProto
from tvm import tirx

from rtcompile.errors import ModelError, UnsupportedError
from rtcompile.frontends.onnx.operators.graph_importer import import_graph
from rtcompile.frontends.onnx.operators.node import element_type, is_computable
from rtcompile.frontends.onnx.quantized.graph import QuantizedModel, float_graph
from rtcompile.frontends.onnx.read_model import OPSETS, read_model, standard_opset
from rtcompile.frontends.onnx.rewrite.fixed_batch import FIXED_BATCH, with_dynamic_batch
from rtcompile.frontends.onnx.rewrite.graph_edit import node_name
from rtcompile.frontends.onnx.rewrite.keep_outputs import LeftOut, keep_outputs
from rtcompile.frontends.onnx.rewrite.ragged_bags import with_bags
from rtcompile.frontends.onnx.rewrite.resolve_branches import resolve_branches
from rtcompile.frontends.onnx.rewrite.rewrite_einsum import rewrite_einsum
from rtcompile.frontends.onnx.rewrite.row_gathers import row_gathers
from rtcompile.frontends.onnx.rewrite.settle_shapes import settle_shapes
from rtcompile.frontends.onnx.rewrite.written_sequences import without_written_sequences
from rtcompile.relay_passes.dialect.embedding_bags import RaggedInput

__all__ = ["OPSETS", "ImportedGraph", "import_onnx"]


@dataclass(frozen=True)
class ImportedGraph:
    """A network as Relax. `inputs` and `outputs` are the graph's names, in its order.

    `left_out`: what it lacks of the file, since no one asked for it. `quantized`: what a model that
    comes quantized was, whose float graph this is. `rewritings`: graphs before and after what says
    otherwise which rows are read, for verification to compare. `ragged`: the inputs that are cut
    into bags; in `model` their offsets are bounds.
    """

    module: Any
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    model: Any  # the onnx.ModelProto, for verification and table names
    left_out: LeftOut
    quantized: QuantizedModel | None = None
    rewritings: tuple[tuple[Any, Any], ...] = ()
    ragged: tuple[RaggedInput, ...] = ()


def import_onnx(path: Path, outputs: Collection[str] = ()) -> ImportedGraph:
    """Read, check and import the model at `path`, with these of its outputs, or all.

    Raises ModelError or UnsupportedError, and ConfigError for an output that it does not have.
    """
    whole = read_model(path)
    try:
        return _imported(whole, outputs)
    except ModelError as error:  # UnsupportedError among them
        raise type(error)(f"{path}: {error}") from error


def _imported(whole: Any, outputs: Collection[str]) -> ImportedGraph:
    kept, left_out = keep_outputs(whole, outputs)
    bags, ragged = with_bags(kept, standard_opset(kept))
    if ragged:
        found = _imported_rows(bags, left_out, ragged)
        return replace(found, rewritings=((kept, bags), *found.rewritings))
    free = with_dynamic_batch(kept, standard_opset(kept))
    try:
        graph = _imported_rows(free, left_out)
    except UnsupportedError as error:
        raise error if free is kept else UnsupportedError(f"{error}; {FIXED_BATCH}") from error
    return graph if free is kept else replace(graph, rewritings=((kept, free), *graph.rewritings))


def _imported_rows(
    kept: Any, left_out: LeftOut, ragged: tuple[RaggedInput, ...] = ()
) -> ImportedGraph:
    """Of a graph whose batch is dynamic."""
    floats, quantized = float_graph(kept)
    original, model = _settled(floats, standard_opset(floats))
    batch = tirx.Var("n", "int64")
    shapes = _input_shapes(model, batch, {name for one in ragged for name in one.flat})
    # What is rewritten is told by the operator that the file has.
    operators = {node_name(node): node.op_type for node in original.graph.node}
    module = import_graph(model, shapes, batch, operators)
    names = tuple(output.name for output in model.graph.output)
    rewritings = () if original is floats else ((floats, original),)
    return ImportedGraph(
        module, tuple(shapes), names, original, left_out, quantized, rewritings, ragged
    )


def _settled(model: Any, opset: int) -> tuple[Any, Any]:
    """(`model` with each row's own values read as such, the same without control flow and without
    computations on extents, as the importer takes it)."""
    resolved = without_written_sequences(resolve_branches(model, opset))
    by_row = row_gathers(resolved, opset)
    original = model if by_row is resolved else by_row
    return original, rewrite_einsum(settle_shapes(by_row, opset))


def _input_shapes(model: Any, batch: Any, flat: Collection[str]) -> dict[str, list[Any]]:
    """`flat`: inputs that all rows share, of any length; nothing in the graph reads it."""
    initializers = {tensor.name for tensor in model.graph.initializer}
    initializers.update(sparse.values.name for sparse in model.graph.sparse_initializer)
    shapes: dict[str, list[Any]] = {}
    for value in model.graph.input:
        if value.name in initializers:
            continue
        if not value.type.HasField("tensor_type"):
            raise UnsupportedError(f"input {value.name!r} is not a tensor")
        if value.type.tensor_type.elem_type == TensorProto.STRING:
            raise UnsupportedError(
                f"input {value.name!r} is text: let a feature of the config turn it into numbers"
            )
        dtype = element_type(value.type.tensor_type.elem_type)
        if not is_computable(dtype):
            raise UnsupportedError(
                f"input {value.name!r}: tensors of {dtype} are not supported: export the model "
                "with int8 or float32 in its place"
            )
        shape: list[Any] = []
        for axis, extent in enumerate(value.type.tensor_type.shape.dim):
            if value.name in flat:
                shape.append(1)
            elif axis and extent.HasField("dim_value") and not extent.dim_value:
                raise UnsupportedError(f"input {value.name!r} is empty: its axis {axis} is 0")
            elif extent.HasField("dim_value") and extent.dim_value > 0:
                shape.append(int(extent.dim_value))
            elif axis == 0:
                shape.append(batch)
            else:
                raise UnsupportedError(
                    f"input {value.name!r} has a dynamic extent on axis {axis}; only the "
                    "first axis, the batch, may be dynamic: export the model with fixed extents"
                )
        shapes[value.name] = shape
    if not any(shape and not isinstance(shape[0], int) for shape in shapes.values()):
        told = ", ".join(f"{name!r} of {shape}" for name, shape in shapes.items())
        raise UnsupportedError(
            f"no input has a dynamic first axis, so nothing says how many rows there are ({told}); "
            "export the model with a dynamic batch"
        )
    return shapes
