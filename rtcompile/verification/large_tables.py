"""Large tables beside a model instead of in it: a protobuf message has no more than 2 GB."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt
import onnx
from onnx import numpy_helper

__all__ = ["without_tables"]

# Models of fewer bytes of tables are one message.
_MOST = 1 << 30
_LARGE = 1 << 20


def without_tables(model: Any, most: int = _MOST) -> tuple[Any, dict[str, npt.NDArray[Any]]]:
    """An onnx.ModelProto that declares its large tables as external, and them by their names.

    `model` itself, and none, where its tables have at most `most` bytes.
    """
    sizes = [len(tensor.raw_data) for tensor in model.graph.initializer]
    if sum(sizes) <= most:
        return model, {}
    light, tables = onnx.ModelProto(), {}
    for field, value in model.ListFields():
        if field.name != "graph":
            _copy(light, field, value)
    for field, value in model.graph.ListFields():
        if field.name != "initializer":
            _copy(light.graph, field, value)
    for tensor, size in zip(model.graph.initializer, sizes, strict=True):
        if size <= min(_LARGE, most):
            light.graph.initializer.append(tensor)
            continue
        tables[tensor.name] = numpy_helper.to_array(tensor)
        declared = light.graph.initializer.add()
        declared.name, declared.data_type = tensor.name, tensor.data_type
        declared.dims.extend(tensor.dims)
        declared.data_location = onnx.TensorProto.EXTERNAL
        declared.external_data.add(key="location", value="table")
    return light, tables


def _copy(message: Any, field: Any, value: Any) -> None:
    if field.is_repeated:
        getattr(message, field.name).extend(value)
    elif field.message_type is not None:
        getattr(message, field.name).CopyFrom(value)
    else:
        setattr(message, field.name, value)
