"""The arrays of a model's tensors. Large ones of external data are mapped, and not read.

An onnx.ModelProto that `read_model` gives has its external data in it, all but that of large
initializers: these name their file, by an absolute path, and `array_of` maps them from it. So a
table of gigabytes is no part of any message, and a copy of the model costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.external_data_helper import ExternalDataInfo, uses_external_data

__all__ = ["array_of", "byte_count", "external_files", "in_memory", "read_external_data"]

# From so many bytes on, an initializer's external data stay where they are.
_LARGE = 1 << 20

# Elements of whole bytes, as numpy has them.
_MAPPED = (
    *(TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16),
    *(TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64),
    *(TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64),
    TensorProto.BOOL,
)

# Those that someone still reads: a page of two mappings would count as two.
_mappings: WeakValueDictionary[Any, npt.NDArray[Any]] = WeakValueDictionary()


def array_of(tensor: Any) -> npt.NDArray[Any]:
    """The values of an initializer; of large external data mapped copy-on-write, once."""
    if not uses_external_data(tensor):
        return np.asarray(numpy_helper.to_array(tensor))
    info, dtype = ExternalDataInfo(tensor), helper.tensor_dtype_to_np_dtype(tensor.data_type)
    stat, place = Path(info.location).stat(), (info.offset or 0, tuple(tensor.dims))
    key = (info.location, stat.st_ino, stat.st_mtime_ns, np.dtype(dtype), *place)
    array: npt.NDArray[Any] | None = _mappings.get(key)
    if array is None:
        array = _mappings[key] = np.memmap(info.location, dtype, "c", *place)
    return array


def byte_count(tensor: Any) -> int:
    """How many bytes the values of an initializer have, wherever they are."""
    dtype = np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type))
    return int(np.prod(tensor.dims, dtype=np.int64)) * dtype.itemsize


def in_memory(tensor: Any) -> Any:
    """An initializer that holds its values."""
    if not uses_external_data(tensor):
        return tensor
    return numpy_helper.from_array(array_of(tensor), tensor.name)


def read_external_data(model: Any, folder: Path) -> None:
    """Read the external data of a model that lies in `folder`, or have them mapped.

    Raises what onnx raises for a file that is not there, or outside of the folder; ValueError for
    one that is too short.
    """
    mapped = [(tensor, list(tensor.external_data)) for tensor in _large(model.graph)]
    for tensor, entries in mapped:
        location = _checked(tensor, folder)
        for entry in entries:
            if entry.key == "location":
                entry.value = location
        tensor.data_location = TensorProto.DEFAULT
        del tensor.external_data[:]
    onnx.load_external_data_for_model(model, str(folder))
    for tensor, entries in mapped:
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.extend(entries)


def _large(graph: Any) -> list[Any]:
    external = [t for t in graph.initializer if uses_external_data(t) and t.data_type in _MAPPED]
    return [tensor for tensor in external if byte_count(tensor) >= _LARGE]


def _checked(tensor: Any, folder: Path) -> str:
    """The absolute path of a tensor's file, which is within `folder`, and long enough."""
    info, size = ExternalDataInfo(tensor), byte_count(tensor)
    path = (folder / info.location).resolve()
    given = (info.offset or 0) + size
    if info.length not in (None, size) or path.stat().st_size < given:
        raise ValueError(
            f"{tensor.name!r} of {size} bytes is not in its external data, {path.name}, at "
            f"{info.offset or 0}"
        )
    return str(path)


def external_files(model: Any) -> list[str]:
    """The names of the files beside a model that hold tensors of it."""
    tensors = list(_tensors_of_graph(model.graph))
    for function in model.functions:
        tensors += _tensors_of_nodes(function.node)
    return sorted({ExternalDataInfo(t).location for t in tensors if uses_external_data(t)})


def _tensors_of_graph(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _tensors_of_nodes(graph.node)


def _tensors_of_nodes(nodes: Any) -> Iterator[Any]:
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            if attribute.HasField("g"):
                yield from _tensors_of_graph(attribute.g)
            for graph in attribute.graphs:
                yield from _tensors_of_graph(graph)
