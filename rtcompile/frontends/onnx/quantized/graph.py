"""Models that come quantized: the float graph that they stand for, and what they know of it.

    DequantizeLinear(q constant)                       ->   a float constant
    QuantizeLinear, DequantizeLinear                   ->   Clip to the range of the bytes, and
                                                            Round where no product reads it
    QLinearMatMul, QGemm, QLinearAdd, ...              ->   MatMul, Gemm, Add, ..., then Clip
    DynamicQuantizeLinear, MatMulInteger, Cast, Mul    ->   MatMul

A range saturates, and that is part of the model: the usual quantizer leaves out a Relu before a
range that begins at 0. The rounding is left to the layers that compute in int8, and stays a Round
where anything else reads the floats (`rounding.py`). Moves of data (Concat, Reshape,
Gather and so on) clip what they read instead of what they give, so that the parts of a
concatenation can still be told apart.

The products whose matrix and input both were quantized are remembered; `rtcompile/quantize/
imported.py` finds them among the layers of the finished graph, which compute in int8 then.

The integers of a graph must come from a QuantizeLinear and end in a DequantizeLinear, 8 bits wide,
one range a tensor (weights: one scale a tensor or a column). All else is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import helper

from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx.quantized.dynamic import DYNAMIC_OPERATORS, take_cast, take_product
from rtcompile.frontends.onnx.quantized.static import STATIC_OPERATORS
from rtcompile.frontends.onnx.quantized.tensors import Tensors, bytes_read, label
from rtcompile.frontends.onnx.quantized.weights import QuantizedWeight, weight_of

__all__ = ["QuantizedModel", "float_graph"]

_MOVES = ("Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze")
_UNKNOWN = ("ConvInteger", "DynamicQuantizeLSTM", "QAttention", "QEmbedLayerNormalization")

_OPERATORS: Mapping[str, Callable[[Tensors, Any], None]] = {**STATIC_OPERATORS, **DYNAMIC_OPERATORS}


@dataclass(frozen=True)
class QuantizedModel:
    """A model as it came: an onnx.ModelProto, and the weights of its quantized products."""

    model: Any
    weights: tuple[QuantizedWeight, ...]


def float_graph(model: Any) -> tuple[Any, QuantizedModel | None]:
    """The float graph of a quantized model; the model itself, and None, where it is not one.

    Raises UnsupportedError.
    """
    refused = [node for node in model.graph.node if _is_unknown(node)]
    if refused:
        named = "\n  - ".join(f"node {label(node)}: {node.op_type}" for node in refused)
        raise UnsupportedError(f"quantized operators that are not supported:\n  - {named}")
    if not any(_is_quantized(node) for node in model.graph.node):
        return model, None
    at, expected = Tensors(model), _expected(model)
    for node in model.graph.node:
        if node.op_type in _OPERATORS:
            _OPERATORS[node.op_type](at, node)
        elif not _taken(at, node):
            _copy(at, node, expected)
    _name_outputs(at)
    weights = _weights(at)
    return _assembled(at), QuantizedModel(model, weights)


def _is_quantized(node: Any) -> bool:
    return node.op_type in _OPERATORS


def _is_unknown(node: Any) -> bool:
    name = node.op_type
    return not _is_quantized(node) and (name.startswith("QLinear") or name in _UNKNOWN)


def _expected(model: Any) -> dict[str, tuple[str, str]]:
    """Tensors of bytes -> names of the scale and zero point that their readers give them."""
    found: dict[str, tuple[str, str]] = {}
    for node in reversed(model.graph.node):
        for place in bytes_read(node):
            names = [node.input[i] if i < len(node.input) else "" for i in place]
            found.setdefault(names[0], (names[1], names[2]))
        if node.op_type in _MOVES and node.output[0] in found:
            found.setdefault(node.input[0], found[node.output[0]])
    return found


def _taken(at: Tensors, node: Any) -> bool:
    """Whether a node is part of a product that another node stands for, or of its constant."""
    if node.op_type == "Cast":
        return take_cast(at, node)
    if node.op_type == "Mul":
        return take_product(at, node)
    known = at.known.get(at.name_of(node.input[0])) if node.op_type == "Transpose" else None
    if known is None or known.q.ndim != 2 or not _swaps(node):
        return False
    at.renamed[node.output[0]] = f"{node.output[0]}/float"
    at.keep(at.renamed[node.output[0]], known.transposed())
    return True


def _copy(at: Tensors, node: Any, expected: Mapping[str, tuple[str, str]]) -> None:
    """A node that is none of quantization; a move of bytes is a move of their floats."""
    copy = onnx.NodeProto()
    copy.CopyFrom(node)
    data = node.input[0] if node.input else ""
    is_table = at.is_constant(data) and node.output[0] in expected
    if node.op_type in _MOVES and (data in at.floats or is_table):
        if data in at.floats:
            copy.input[0], given = at.floats[data]
        else:
            scale, zero = expected[node.output[0]]
            given = at.range_of(node, scale, zero)
            copy.input[0] = at.constant(node, data, scale, zero)
        copy.output[0] = f"{node.output[0]}/float"
        at.floats[node.output[0]] = copy.output[0], given
    for index, name in enumerate(copy.input):
        if any(name in of for of in (at.floats, at.dynamic, at.sums, at.scaled)):
            raise UnsupportedError(
                f"node {label(node)}: {node.op_type} reads the integers of {name!r}; between "
                "QuantizeLinear and DequantizeLinear stand quantized operators and moves only"
            )
        copy.input[index] = at.name_of(name)
    at.nodes.append(copy)


def _name_outputs(at: Tensors) -> None:
    for output in at.model.graph.output:
        name = output.name
        if any(name in of for of in (at.floats, at.dynamic, at.sums, at.scaled)):
            raise UnsupportedError(f"output {name!r} is of quantized integers, not of floats")
        if name in at.renamed:
            at.nodes.append(helper.make_node("Identity", [at.renamed[name]], [name]))


def _weights(at: Tensors) -> tuple[QuantizedWeight, ...]:
    """Those of the products of the float graph that the model has quantized."""
    found = []
    for node in at.nodes:
        known = at.known.get(node.input[1]) if node.op_type in ("MatMul", "Gemm") else None
        if known is None or known.q.ndim != 2:
            continue
        flags = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        turned = known.transposed() if flags.get("transB", 0) else known
        given = at.clips.range_of(node.input[0])
        found.append(weight_of(label(node), turned, given, node.output[0] in at.products))
    return tuple(found)


def _assembled(at: Tensors) -> Any:
    graph, out = at.model.graph, onnx.ModelProto()
    out.CopyFrom(at.model)
    wanted, kept = {value.name for value in graph.output}, []
    for node in reversed(at.nodes):
        if wanted.intersection(node.output):
            kept.append(node)
            wanted.update(node.input)
    made = {name for node in kept for name in node.output}
    _rename_constants(at, kept, wanted)
    # What nothing ever read may be a feature's table.
    read = {name for node in graph.node for name in node.input}
    wanted.update(tensor.name for tensor in graph.initializer if tensor.name not in read)
    del out.graph.node[:], out.graph.initializer[:], out.graph.value_info[:]
    out.graph.node.extend(reversed(kept))
    for name, tensor in {**at.constants, **at.clips.constants}.items():
        if name in wanted and name not in made:
            new = onnx.TensorProto()
            new.CopyFrom(tensor)
            new.name = name
            out.graph.initializer.append(new)
    return out


def _rename_constants(at: Tensors, nodes: list[Any], wanted: set[str]) -> None:
    """Floats of integers that nothing reads any more get the name of these: tables keep theirs."""
    sources: dict[str, list[str]] = {}
    for name, source in at.sources.items():
        if name in wanted:
            sources.setdefault(source, []).append(name)
    renamed = {n[0]: s for s, n in sources.items() if len(n) == 1 and s not in wanted}
    for node in nodes:
        for index, name in enumerate(node.input):
            node.input[index] = renamed.get(name, name)
    for name, source in renamed.items():
        at.constants[source] = at.constants.pop(name)
    wanted.update(renamed.values())


def _swaps(node: Any) -> bool:
    order = next((list(a.ints) for a in node.attribute if a.name == "perm"), [1, 0])
    return order == [1, 0]
