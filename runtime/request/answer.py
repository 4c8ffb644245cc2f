"""The arrays that compiled code makes of a request's answer, as `abi/answer.py` has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.answer import Output
from rtcompile.runtime.memory.arrays import aligned_empty
from rtcompile.runtime.memory.input_table import address
from rtcompile.runtime.stages.stage import Port

__all__ = ["Outputs"]


class Outputs:
    """One an output of the cross stage, `ports`; `sources`: where it writes them.

    The structs lie at `address`.
    """

    def __init__(self, ports: Sequence[Port], sources: Sequence[int]) -> None:
        self._array = aligned_empty(len(ports) * Output.WORDS, "int64")
        self._array[:] = 0
        self.address = address(self._array)
        self._kept: list[object] = []  # what the structs point to
        structs = self._array.reshape(-1, Output.WORDS)
        for words, port, source in zip(structs, ports, sources, strict=True):
            self._enter(words, port, source)

    def _enter(self, words: npt.NDArray[np.int64], port: Port, source: int) -> None:
        dtype, shape = np.dtype(port.dtype), [*([] if port.per_request else [0]), *port.shape]
        extents = aligned_empty(max(1, len(shape)), "int64")
        extents[: len(shape)] = shape
        size = port.row_elements * dtype.itemsize
        given = {
            Output.NAME: id(port.name),
            Output.FROM: source,
            Output.SHARED_BYTES if port.per_request else Output.ROW_BYTES: size,
            Output.DTYPE: id(dtype),
            Output.DIMENSIONS: len(shape),
            Output.EXTENTS: address(extents),
            Output.BY_ROWS: not port.per_request,
        }
        for field, value in given.items():
            words[field] = value
        self._kept.append((extents, dtype))
