"""The calls of lower precision by numpy, for `evaluate.py`.

`steps(name, acc, streams)` is the epilogue's evaluator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.relay_passes.dialect.epilogue import Epilogue

Array = npt.NDArray[Any]
Steps = Callable[[Epilogue, Array, tuple[Array, ...]], Array]


def evaluate_quantized(name: str, args: tuple[Array, ...], steps: Steps) -> Any:
    """The value of the call `rtc.NAME`, or None where it is none of these."""
    kernel, _, rest = name.partition(".")
    if kernel == "quantize":
        return _static(*args) if rest == "static" else _dynamic(args[0], rest == "signed")
    if kernel == "to_bf16":
        return _padded(_bf16(args[0]), 2)
    if kernel == "dense_int8":
        return _dense_int8(rest, args, steps)
    if kernel == "dense_bf16":
        return _dense_bf16(rest, args, steps)
    if kernel == "observe":
        return args[0]
    return args[-1] if kernel == "select" else None


def _padded(x: Array, step: int) -> Array:
    width = -(-x.shape[-1] // step) * step
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, width - x.shape[-1])])


def _to_bytes(x: Array, inverse: Any, zero: Any) -> Array:
    inside = np.clip(x * np.float32(inverse) + np.float32(zero), 0, 255)
    return np.trunc(inside + np.float32(0.5)).astype(np.uint8)


def _static(x: Array, entry: Array) -> Array:
    return _padded(_to_bytes(x, *entry), 4)


def _dynamic(x: Array, signed: bool) -> tuple[Array, Array]:
    levels, zero = (127, 128) if signed else (255, 0)
    largest = np.abs(x).max(axis=-1, keepdims=True)
    safe = np.where(largest < 1e-30, np.inf, largest)
    scale = np.where(largest < 1e-30, 0, largest / levels).astype(np.float32)
    return _padded(_to_bytes(x, np.float32(levels) / safe.astype(np.float32), zero), 4), scale


def _bf16(x: Array) -> npt.NDArray[np.uint16]:
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def _as_float(bits: npt.NDArray[np.uint16]) -> Array:
    return (bits.astype(np.uint32) << 16).view(np.float32)


def _epilogue(rest: list[str]) -> Epilogue:
    return Epilogue.parse(".".join(rest))


def _dense_int8(rest: str, args: tuple[Array, ...], steps: Steps) -> Array:
    form, output, *text = rest.split(".", 2)
    epilogue = _epilogue(text)
    q, weight, start, factor, bias, *others = args
    depth, columns = weight.shape
    sums = q[..., :depth].astype(np.int64).reshape(-1, depth) @ weight.astype(np.int64) + start
    acc = sums.astype(np.float32) * factor
    if form == "dynamic":
        acc = acc * others.pop(0).reshape(-1, 1)
    entry = others.pop(0) if output == "uint8" else None
    y = steps(epilogue, (acc + bias).astype(np.float32), tuple(others))
    y = y.reshape(*q.shape[:-1], columns)
    return y if entry is None else _static(y, entry)


def _dense_bf16(rest: str, args: tuple[Array, ...], steps: Steps) -> Array:
    output, *text = rest.split(".", 1)
    x, weight, bias, *streams = args
    depth, columns = weight.shape
    given = _as_float(x[..., :depth]).reshape(-1, depth).astype(np.float64)
    acc = (given @ _as_float(weight).astype(np.float64) + bias).astype(np.float32)
    y = steps(_epilogue(text), acc, tuple(streams)).reshape(*x.shape[:-1], columns)
    return y if output == "float32" else _padded(_bf16(y), 2)
