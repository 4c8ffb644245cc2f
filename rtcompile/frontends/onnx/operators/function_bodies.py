"""Operators that ONNX defines by others: the body of the function, for the opset of the model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import defs, helper

from rtcompile.frontends.onnx.operators.node import Node
from rtcompile.frontends.onnx.operators.values import Extents, Known
from rtcompile.relay_passes.matching import static_int

__all__ = ["function_body", "has_body"]


def function_body(node: Node, proto: Any, opsets: Mapping[str, int]) -> tuple[Any, Any] | None:
    """(FunctionProto, opsets of its nodes), attributes of the call put in; None without a body."""
    try:
        schema = defs.get_schema(node.operator, node.opset, node.domain)
    except defs.SchemaError:
        return None
    body = _body(schema, node, proto, opsets)
    if body is None:
        return None
    given = {attribute.name: attribute for attribute in proto.attribute}
    for name, declared in schema.attributes.items():
        if name not in given and declared.default_value.name:
            given[name] = declared.default_value
    nodes = [_with_attributes(inner, given) for inner in body.node]
    del body.node[:]
    body.node.extend(nodes)
    inner_opsets = {entry.domain: entry.version for entry in body.opset_import}
    return body, {**opsets, **inner_opsets}


def has_body(operator: str, opset: int, domain: str) -> bool:
    """Whether ONNX defines an operator by others."""
    try:
        schema = defs.get_schema(operator, opset, domain)
    except defs.SchemaError:
        return False
    return bool(schema.has_function or schema.has_context_dependent_function)


def _body(schema: Any, node: Node, proto: Any, opsets: Mapping[str, int]) -> Any:
    body = onnx.FunctionProto()
    target = opsets.get("", 0)
    if schema.has_function:
        versions = [v for v in schema.function_opset_versions if v <= target]
        if versions:
            body.ParseFromString(schema.get_function_with_opset_version(max(versions)))
            return body
    if schema.has_context_dependent_function:
        every = schema.context_dependent_function_opset_versions
        versions = [v for v in every if v <= target]
        if versions:
            types = [_type(value) for value in node.inputs]
            text = schema.get_context_dependent_function_with_opset_version(
                max(versions), proto.SerializeToString(), types
            )
            body.ParseFromString(text)
            return body if body.node else None
    return None


def _type(value: Any) -> bytes:
    """The TypeProto of an input; of one that is left out, an empty one."""
    if value is None:
        return onnx.TypeProto().SerializeToString()
    if isinstance(value, Known | Extents):
        dtype = value.array.dtype if isinstance(value, Known) else np.dtype(np.int64)
        shape: Any = list(value.array.shape)
    else:
        dtype = _dtype(str(value.ty.dtype))
        extents = value.ty.shape.values if value.ty.shape is not None else []
        shape = [known if (known := static_int(e)) is not None else "N" for e in extents]
    number = helper.np_dtype_to_tensor_dtype(dtype)
    return helper.make_tensor_type_proto(number, shape).SerializeToString()


def _dtype(name: str) -> Any:
    return helper.tensor_dtype_to_np_dtype(16) if name == "bfloat16" else np.dtype(name)


def _with_attributes(proto: Any, given: Mapping[str, Any]) -> Any:
    """A node of a body whose attributes that stand for the call's have their values."""
    node = onnx.NodeProto()
    node.CopyFrom(proto)
    del node.attribute[:]
    for attribute in proto.attribute:
        if attribute.ref_attr_name:
            if attribute.ref_attr_name not in given:
                continue
            value = node.attribute.add()
            value.CopyFrom(given[attribute.ref_attr_name])
            value.name = attribute.name
        else:
            node.attribute.add().CopyFrom(attribute)
    return node
