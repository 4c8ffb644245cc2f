"""The walk over a graph: each node by its converter, what the build knows computed at once.

constants only             ->   their value, by onnx's own evaluator
extents                    ->   arithmetic over the batch (`extent_arithmetic.py`)
a converter of ours        ->   `converters.py`
one of TVM's that is right ->   `tvm_converters.py`
a function of ONNX's       ->   the nodes of its body
anything else              ->   refused: node, operator, reason
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper
from tvm import relax

from rtcompile.errors import UnsupportedError
from rtcompile.frontends.onnx.operators.constants import (
    NotComputable,
    computed,
    constant_of,
    dense_tensor,
    is_random,
)
from rtcompile.frontends.onnx.operators.converters import CONVERTERS
from rtcompile.frontends.onnx.operators.extent_arithmetic import EXTENT_OPERATORS
from rtcompile.frontends.onnx.operators.function_bodies import function_body, has_body
from rtcompile.frontends.onnx.operators.node import (
    NoConverterError,
    Node,
    NodeError,
    element_type,
    is_computable,
)
from rtcompile.frontends.onnx.operators.node_builder import NodeBuilder
from rtcompile.frontends.onnx.operators.refused_operators import REFUSED
from rtcompile.frontends.onnx.operators.tvm_converters import TVM_CONVERTERS, convert_by_tvm
from rtcompile.frontends.onnx.operators.values import Extents, Known, Value
from rtcompile.frontends.onnx.rewrite.graph_edit import node_name
from rtcompile.frontends.onnx.tensors import array_of

__all__ = ["import_graph", "standard_domain"]

Opsets = Mapping[str, int]

_CONTROL = ("Constant", "If")
Scope = dict[str, Value]


def standard_domain(domain: str) -> str:
    """A domain of an operator set; "ai.onnx" is the one without a name."""
    return "" if domain == "ai.onnx" else domain


def import_graph(
    model: Any, shapes: Mapping[str, Sequence[Any]], batch: Any, operators: Mapping[str, str]
) -> Any:
    """An IRModule whose `main` is the graph of an onnx.ModelProto.

    `shapes`: extents of the inputs that are no initializers; `batch`: the symbol among them;
    `operators`: what nodes are in the file, by name. Raises UnsupportedError, which names the node.
    """
    opsets = {standard_domain(entry.domain): entry.version for entry in model.opset_import}
    return _Importer(opsets, batch, operators).run(model.graph, shapes)


class _Importer:
    def __init__(self, opsets: Opsets, batch: Any, operators: Mapping[str, str]) -> None:
        self._opsets, self._batch, self._operators = opsets, batch, operators
        self._block = NodeBuilder()
        self._depth = 0  # of functions and branches that a node stands for

    def run(self, graph: Any, shapes: Mapping[str, Sequence[Any]]) -> Any:
        scope: Scope = {t.name: Known(array_of(t)) for t in graph.initializer}
        for sparse in graph.sparse_initializer:
            scope[sparse.values.name] = Known(dense_tensor(sparse))
        parameters = []
        for value in graph.input:
            if value.name not in scope:
                dtype = element_type(value.type.tensor_type.elem_type)
                ty = relax.TensorType(list(shapes[value.name]), dtype)
                scope[value.name] = relax.Var(_identifier(value.name), ty)
                parameters.append(scope[value.name])
        problem = None
        with self._block.function("main", params=parameters):
            with self._block.dataflow():
                try:
                    self._convert(graph.node, scope, self._opsets)
                    results = [self._result(scope, output.name) for output in graph.output]
                except UnsupportedError as error:
                    # The builder is left as it wants to be: it writes a warning where it is not.
                    problem, results = error, parameters[:1]
                whole = results[0] if len(results) == 1 else relax.Tuple(results)
                output = self._block.emit_output(whole)
            self._block.emit_func_output(output)
        if problem is not None:
            raise problem
        module = self._block.get()
        module["main"] = module["main"].with_attrs({"num_input": len(parameters)})
        return module

    def _result(self, scope: Scope, name: str) -> Any:
        value = scope.get(name)
        if value is None:
            raise UnsupportedError(f"output {name!r}: nothing computes it")
        if isinstance(value, Extents):
            raise UnsupportedError(f"output {name!r} is the count of rows of a request")
        if isinstance(value, Known) and value.array.dtype.kind in "OUS":
            raise UnsupportedError(f"output {name!r} is text: keep the other outputs")
        if isinstance(value, Known) and not is_computable(value.array.dtype.name):
            raise UnsupportedError(
                f"output {name!r}: tensors of {value.array.dtype.name} are not supported: keep the "
                "other outputs"
            )
        return value.constant if isinstance(value, Known) else value

    def _convert(self, nodes: Iterable[Any], scope: Scope, opsets: Opsets) -> None:
        """Put the outputs of `nodes` into `scope`."""
        listed = list(nodes)
        for place, proto in enumerate(listed):
            name = node_name(proto) or f"#{place}"
            if not self._depth:
                self._block.at(name, self._operators.get(name, proto.op_type))
            self._depth += 1
            try:
                values = self._values(proto, name, scope, opsets)
            except NoConverterError as error:
                more = _without_converter(listed[place + 1 :], place + 1, opsets)
                told = "".join(f"\n  - {other}" for other in more)
                also = f"\nand there is none for these either:{told}" if told else ""
                raise UnsupportedError(f"node {name}: {error}{also}") from error
            except NodeError as error:
                raise UnsupportedError(f"node {name}: {error}") from error
            except UnsupportedError as error:
                inner = str(error)
                where = inner if inner.startswith("node ") else f"{proto.op_type}: {inner}"
                raise UnsupportedError(f"node {name}: {where}") from error
            except Exception as error:  # TVM's and numpy's have no base class in common
                said = (str(error).strip().splitlines() or [type(error).__name__])[-1]
                raise UnsupportedError(
                    f"node {name}: {proto.op_type} in this form is not supported: {said[:300]}"
                ) from error
            finally:
                self._depth -= 1
            for output, value in zip(proto.output, values, strict=False):
                if output:
                    scope[output] = self._named(value, proto, output)

    def _named(self, value: Value, proto: Any, output: str) -> Value:
        """A value bound to a variable whose name tells the node, for messages of later phases."""
        if isinstance(value, Known | Extents | relax.Var) or value is None:
            return value
        return self._block.emit(value, _identifier(proto.name or output))

    def _values(self, proto: Any, name: str, scope: Scope, opsets: Opsets) -> Sequence[Value]:
        """What a node's outputs are."""
        domain = standard_domain(proto.domain)
        attributes = {a.name: helper.get_attribute_value(a) for a in proto.attribute}
        inputs = tuple(self._read(scope, given, proto) for given in proto.input)
        opset = opsets.get(domain, 1)
        outputs = tuple(proto.output)
        node = Node(
            proto.op_type,
            domain,
            opset,
            name,
            inputs,
            outputs,
            attributes,
            self._block,
            self._batch,
        )
        if (domain, proto.op_type) == ("", "Constant"):
            return [Known(constant_of(node))]
        if (domain, proto.op_type) == ("", "If"):
            return self._branch(node, scope, opsets)
        folded = _folded(node, proto)
        if folded is not None:
            return folded
        if domain == "" and proto.op_type in EXTENT_OPERATORS:
            found = EXTENT_OPERATORS[proto.op_type](node)
            if found is not None:
                return _listed(found)
        converter = CONVERTERS.get((domain, proto.op_type))
        if converter is not None:
            return _listed(converter(node))
        if domain == "" and proto.op_type in TVM_CONVERTERS:
            return convert_by_tvm(node)
        if proto.op_type in REFUSED:
            raise NoConverterError(f"{node.operator}: {REFUSED[proto.op_type]}")
        body = function_body(node, proto, opsets)
        if body is not None:
            return self._inlined(node, *body)
        raise NoConverterError(f"{node.operator}: {_no_converter(node)}")

    def _read(self, scope: Scope, name: str, proto: Any) -> Value:
        if not name:
            return None
        if name not in scope:
            raise NodeError(f"{proto.op_type}: nothing computes its input {name!r}")
        return scope[name]

    def _inlined(self, node: Node, body: Any, opsets: Opsets) -> Sequence[Value]:
        """The nodes of a function in place of its call."""
        scope: Scope = dict.fromkeys(body.input)
        scope.update(zip(body.input, node.inputs, strict=False))
        # An input that is left out reads as the empty name does.
        nodes = []
        for proto in body.node:
            inner = onnx.NodeProto()
            inner.CopyFrom(proto)
            given = [n if n not in body.input or scope[n] is not None else "" for n in inner.input]
            del inner.input[:]
            inner.input.extend(given)
            inner.name = inner.name or f"{node.operator}.{inner.op_type}"
            nodes.append(inner)
        self._convert(nodes, scope, opsets)
        return [scope.get(output) for output in body.output][: len(node.outputs)]

    def _branch(self, node: Node, scope: Scope, opsets: Opsets) -> Sequence[Value]:
        """The branch that a condition known to the build takes."""
        condition = node.known(0)
        if condition is None:
            node.refuse("its condition depends on data: both branches would have to be one graph")
        graph = node.attributes["then_branch" if condition.all() else "else_branch"]
        inner = {**scope}
        inner.update({t.name: Known(numpy_helper.to_array(t)) for t in graph.initializer})
        self._convert(graph.node, inner, opsets)
        return [inner[output.name] for output in graph.output]


def _without_converter(nodes: Sequence[Any], first: int, opsets: Opsets) -> list[str]:
    """Those of `nodes`, the first of which has the number `first`, that nothing converts."""
    found = []
    for place, proto in enumerate(nodes, first):
        domain = standard_domain(proto.domain)
        ours = (domain, proto.op_type) in CONVERTERS or proto.op_type in _CONTROL
        known = ours or (domain == "" and proto.op_type in (*EXTENT_OPERATORS, *TVM_CONVERTERS))
        known = known or has_body(proto.op_type, opsets.get(domain, 1), domain)
        if not known or proto.op_type in REFUSED:
            found.append(f"node {proto.name or f'#{place}'}: {proto.op_type}")
    return found


def _no_converter(node: Node) -> str:
    if node.domain:
        return (
            f"the operator set {node.domain!r} has no such operator here; export the model with "
            "operators of ONNX, or with the function that it stands for"
        )
    return "there is no converter; export the model without this operator"


def _folded(node: Node, proto: Any) -> list[Value] | None:
    """The outputs of a node whose inputs are all known, else None."""
    given = [value for value in node.inputs if value is not None]
    if not given or not all(isinstance(value, Known) for value in given) or is_random(node):
        return None
    try:
        return [Known(array) for array in computed(proto, node)]
    except NotComputable:
        return None


def _listed(result: Any) -> Sequence[Value]:
    if isinstance(result, relax.Tuple):
        return list(result.fields)
    return result if isinstance(result, list | tuple) else [result]


def _identifier(name: str) -> str:
    word = re.sub(r"\W", "_", np.str_(name).item())
    return word if word and not word[0].isdigit() else f"v_{word}"
