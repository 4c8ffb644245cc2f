"""What the kernels must give, in numpy and float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.relay_passes.dialect.epilogue import ACC, Epilogue

__all__ = ["apply_epilogue", "stream_shape"]

Floats = npt.NDArray[np.float64]

_OPERATORS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "power": np.power,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "where": np.where,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "erf": np.vectorize(math.erf, otypes=[np.float64]),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "abs": np.abs,
    "negative": np.negative,
}


def stream_shape(form: str, rows: int, columns: int) -> tuple[int, int]:
    """The rows and columns of a stream that `rows` rows of the product read."""
    if form == "value":
        return rows, 1
    if form in ("one", "row"):
        return 1, columns
    if form.startswith("div"):
        return -(-rows // int(form[3:])), columns
    return (int(form[3:]) if form.startswith("mod") else rows), columns


def _rows(form: str, stream: npt.NDArray[Any], rows: int) -> npt.NDArray[Any]:
    """A stream's row for each row of the product."""
    at = np.arange(rows)
    if form in ("one", "row"):
        at = at * 0
    elif form.startswith("div"):
        at = at // int(form[3:])
    elif form.startswith("mod"):
        at = at % int(form[3:])
    return stream[at]


def apply_epilogue(
    text: str, acc: Floats, streams: Sequence[npt.NDArray[np.float32]]
) -> npt.NDArray[np.float32]:
    """float32 [rows, columns]: the epilogue of the sums `acc`."""
    epilogue = Epilogue.parse(text)
    forms = epilogue.streams
    values: dict[str, Any] = {ACC: acc}
    for index, (form, stream) in enumerate(zip(forms, streams, strict=True)):
        values[f"{form}:{index}"] = _rows(form, stream, len(acc)).astype(np.float64)
    result: Any = acc
    with np.errstate(all="ignore"):
        for index, step in enumerate(epilogue.steps):
            operands = [values[o] if o in values else float(o) for o in step.operands]
            result = _OPERATORS[step.operator](*operands)
            values[f"s{index}"] = result
        found: npt.NDArray[np.float32] = np.broadcast_to(result, acc.shape).astype(np.float32)
    return found
