"""Bags whose sizes are data: a Loop over offsets as one operator, and what its inputs become.

    y = Loop(n):                                      input offsets [n]  ->  bounds [n, 2]
      bag = table[ids[offsets[t] : offsets[t + 1]]]
      y.append(ReduceSum(bag))                   ->   y = BagSum(table, ids, bounds)

Both of torch's exporters write nn.EmbeddingBag with offsets so, in several ways: weights, padding,
an offset behind the last bag. Ids and weights, `flat` inputs, have an own length, as all rows share
them; a row of the request is a bag's bounds, so rows do not read one another.

What a loop computes, `recognise_bag` finds out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from onnx import TensorProto, helper

from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx.rewrite.bag_function import bag_function
from rtcompile.frontends.onnx.rewrite.graph_edit import needed_nodes, node_name, with_nodes
from rtcompile.frontends.onnx.rewrite.recognise_bag import (
    INTEGERS,
    Bag,
    BagLoop,
    recognised,
)
from rtcompile.frontends.onnx.rewrite.settle_shapes import DOMAIN
from rtcompile.frontends.onnx.rewrite.shape_facts import reads_of
from rtcompile.relay_passes.dialect.embedding_bags import RaggedInput

__all__ = ["with_bags"]


def with_bags(model: Any, opset: int) -> tuple[Any, tuple[RaggedInput, ...]]:
    """A model with the loops over offsets as operators of `bag_function`, and its ragged inputs;
    the same object, and none, where it has no such loop.

    Raises UnsupportedError where another node reads what is cut into bags.
    """
    found = [(loop, bag) for loop in _loops(model) if (bag := recognised(model, loop, opset))]
    if not found:
        return model, ()
    replaced = {loop.result: _node(loop, bag) for loop, bag in found}
    nodes = [next((replaced[o] for o in n.output if o in replaced), n) for n in model.graph.node]
    rewritten = with_nodes(model, nodes)
    operators = sorted({bag.operator for _, bag in found})
    rewritten.functions.extend(bag_function(operator, opset) for operator in operators)
    rewritten.opset_import.append(helper.make_opsetid(DOMAIN, 1))
    ragged = _joined([_ragged(loop, bag) for loop, bag in found])
    _set_inputs(rewritten, ragged)
    return rewritten, ragged


def _node(loop: BagLoop, bag: Bag) -> Any:
    inputs = [loop.table.name, bag.ids, bag.offsets, *([loop.weights] if loop.weights else [])]
    return helper.make_node(
        bag.operator,
        inputs,
        [loop.result],
        f"{loop.result}_bag",
        domain=DOMAIN,
        padding=bag.padding,
        empty=bag.empty,
    )


def _ragged(loop: BagLoop, bag: Bag) -> RaggedInput:
    flat = (bag.ids, loop.weights) if loop.weights else (bag.ids,)
    return RaggedInput(bag.offsets, flat, bag.last)


def _joined(found: list[RaggedInput]) -> tuple[RaggedInput, ...]:
    """One for each input of offsets."""
    joined: dict[str, RaggedInput] = {}
    for one in found:
        before = joined.get(one.offsets)
        flat = (*(before.flat if before else ()), *one.flat)
        if before and before.last != one.last:
            raise UnsupportedError(f"input {one.offsets!r}: its last entry is a bag's start, too")
        joined[one.offsets] = RaggedInput(one.offsets, tuple(dict.fromkeys(flat)), one.last)
    return tuple(joined.values())


def _loops(model: Any) -> Iterator[BagLoop]:
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    inputs = {value.name: value for value in graph.input if value.name not in constants}
    loops = {name for node in graph.node if node.op_type == "Loop" for name in node.output if name}
    sequences = [n for n in graph.node if n.op_type == "ConcatFromSequence" and n.input[0] in loops]
    results = [node.output[0] for node in sequences]
    for node in graph.node:
        if node.op_type == "Loop":
            results += node.output[len(node.input) - 2 :]
    for result in results:
        nodes = needed_nodes(graph.node, [result])
        reads = set().union(*map(reads_of, nodes))
        read = [inputs[name] for name in inputs if name in reads]
        tables = [constants[name] for name in constants if name in reads]
        tables = [t for t in tables if len(t.dims) == 2 and t.data_type == TensorProto.FLOAT]
        integers = [v for v in read if v.type.tensor_type.elem_type in INTEGERS]
        floats = [v for v in read if v.type.tensor_type.elem_type == TensorProto.FLOAT]
        lists = all(len(v.type.tensor_type.shape.dim) == 1 for v in read)
        counted = len(integers) == 2 and len(floats) < 2 and len(read) == 2 + len(floats)
        if lists and counted and len(tables) == 1:
            weights = floats[0].name if floats else None
            yield BagLoop(result, tuple(nodes), tables[0], (integers[0], integers[1]), weights)


def _set_inputs(model: Any, ragged: Sequence[RaggedInput]) -> None:
    """Offsets become int64 [rows, 2], and flat inputs have an extent of their own."""
    for one in ragged:
        _check_readers(model, one)
        for value in model.graph.input:
            shape = value.type.tensor_type.shape
            if value.name == one.offsets:
                value.type.tensor_type.elem_type = TensorProto.INT64
                shape.dim[0].dim_param = "rows"
                shape.dim.add(dim_value=2)
            elif value.name in one.flat:
                shape.dim[0].dim_param = f"values of {one.offsets}"


def _check_readers(model: Any, ragged: RaggedInput) -> None:
    names = {ragged.offsets, *ragged.flat}
    for node in model.graph.node:
        read = names & reads_of(node)
        if read and node.domain != DOMAIN:
            raise UnsupportedError(
                f"node {node_name(node)} ({node.op_type}) reads {min(read)!r}, which a loop cuts "
                "into bags by offsets: let it read what the bags give"
            )
    for output in model.graph.output:
        if output.name in names:
            raise UnsupportedError(f"output {output.name!r} is an input of bags")
