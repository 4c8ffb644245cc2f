"""Large tables beside a model instead of in it: a protobuf message has no more than 2 GB."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import onnx
from onnx import helper
from onnx.external_data_helper import uses_external_data

from rtcompile.frontends.onnx.tensors import array_of, byte_count

__all__ = ["without_tables"]

# Models of fewer bytes of tables are one message.
_MOST = 1 << 30
_LARGE = 1 << 20


def without_tables(model: Any, most: int = _MOST) -> tuple[Any, dict[str, npt.NDArray[Any]]]:
    """An onnx.ModelProto that takes its large tables as inputs, and them by their names.

    `model` itself, and none, where its tables are in it and have at most `most` bytes.
    """
    sizes = [byte_count(tensor) for tensor in model.graph.initializer]
    if sum(sizes) <= most and not any(map(uses_external_data, model.graph.initializer)):
        return model, {}
    light, tables = onnx.ModelProto(), {}
    for field, value in model.ListFields():
        if field.name != "graph":
            _copy(light, field, value)
    for field, value in model.graph.ListFields():
        if field.name != "initializer":
            _copy(light.graph, field, value)
    inputs = {value.name for value in model.graph.input}
    for tensor, size in zip(model.graph.initializer, sizes, strict=True):
        if size <= min(_LARGE, most) and not uses_external_data(tensor):
            light.graph.initializer.append(tensor)
            continue
        tables[tensor.name] = array_of(tensor)
        if tensor.name not in inputs:
            kind, extents = tensor.data_type, list(tensor.dims)
            light.graph.input.append(helper.make_tensor_value_info(tensor.name, kind, extents))
    return light, tables


def _copy(message: Any, field: Any, value: Any) -> None:
    if field.is_repeated:
        getattr(message, field.name).extend(value)
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, value)
