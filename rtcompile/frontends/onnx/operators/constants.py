"""What is known when the model is built: constants in every form, and what is computed of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from rtcompile.frontends.onnx.operators.node import Node
from rtcompile.frontends.onnx.operators.values import Known

__all__ = ["NotComputable", "computed", "constant_of", "dense_tensor", "is_random"]

Array = npt.NDArray[Any]

_RANDOM = (
    "Bernoulli",
    "Multinomial",
    "RandomNormal",
    "RandomNormalLike",
    "RandomUniform",
    "RandomUniformLike",
)


class NotComputable(Exception):  # noqa: N818  # a question that is answered with no
    """onnx's evaluator has no value for a node."""


def is_random(node: Node) -> bool:
    """Whether two runs of a node may differ."""
    return node.operator in _RANDOM or node.operator == "Dropout"


def constant_of(node: Node) -> Array:
    """The array of a node `Constant`, in any of its forms."""
    if len(node.attributes) != 1:
        node.refuse("it needs exactly one value")
    form, value = next(iter(node.attributes.items()))
    if form == "value":
        return numpy_helper.to_array(value)
    if form == "sparse_value":
        return dense_tensor(value)
    if form in ("value_float", "value_floats"):
        return np.asarray(value, np.float32)
    if form in ("value_int", "value_ints"):
        return np.asarray(value, np.int64)
    if form in ("value_string", "value_strings"):
        texts = [value] if form == "value_string" else list(value)
        array: Array = np.array([text.decode() for text in texts], np.dtype(object))
        return array.reshape(()) if form == "value_string" else array
    node.refuse(f"the attribute {form} is not known")


def dense_tensor(sparse: Any) -> Array:
    """The array of a SparseTensorProto."""
    values, indices = (numpy_helper.to_array(t) for t in (sparse.values, sparse.indices))
    dense = np.zeros(tuple(sparse.dims), values.dtype)
    if indices.ndim == 1:
        dense.reshape(-1)[indices] = values
    else:
        dense[tuple(indices.T)] = values
    return dense


def computed(proto: Any, node: Node) -> Sequence[Array]:
    """The outputs of a node whose inputs are all known. Raises NotComputable."""
    inputs = {
        name: value.array
        for name, value in zip(proto.input, node.inputs, strict=True)
        if isinstance(value, Known)
    }
    if any(attribute.HasField("g") for attribute in proto.attribute):
        raise NotComputable
    graph = helper.make_graph(
        [proto],
        "constants",
        [helper.make_value_info(name, onnx.TypeProto()) for name in inputs],
        [helper.make_value_info(name, onnx.TypeProto()) for name in proto.output if name],
    )
    opset = helper.make_opsetid(node.domain, node.opset)
    opsets = [opset] if not node.domain else [opset, helper.make_opsetid("", 17)]
    try:
        evaluator = ReferenceEvaluator(helper.make_model(graph, opset_imports=opsets))
        with np.errstate(all="ignore"):
            found = evaluator.run(None, inputs)
    except Exception as error:  # of no public base class
        raise NotComputable from error
    if not all(isinstance(array, np.ndarray | np.generic) for array in found):
        raise NotComputable
    arrays = iter(found)
    return [np.asarray(next(arrays)) if name else np.empty(0) for name in proto.output]
