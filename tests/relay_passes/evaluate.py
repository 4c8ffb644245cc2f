"""A graph's value by numpy, operator by operator: what the passes must keep.

Products are summed in float64 in the order of the contracted axis, then rounded, so that two graphs
that compute the same in the same order agree to the bit. Every value is checked against the type
that the graph gives it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax, tirx
from tvm.ir import IRModule

from rtcompile.relay_passes.dialect.epilogue import Epilogue
from rtcompile.relay_passes.matching import bindings, call_name, constant_array, static_int
from tests.relay_passes.evaluate_quantized import evaluate_quantized
from tests.relay_passes.evaluate_trimmed import last_position, padded, trimmed

Array = npt.NDArray[Any]


def evaluate(mod: IRModule, *inputs: Array, rows: int | None = None) -> tuple[Array, ...]:
    """The results of `main`. `rows` is the batch where no input tells."""
    function = mod["main"]
    graph = _Graph(function, rows)
    with np.errstate(all="ignore"):
        return graph.run(inputs)


def _ordered_sum(products: Array, axis: int) -> Array:
    total = np.zeros(np.delete(products.shape, axis), np.float64)
    for part in np.moveaxis(products, axis, 0):
        total = total + part
    return total.astype(np.float32)


def _matmul(a: Array, b: Array) -> Array:
    wide = a.astype(np.float64)[..., :, :, None] * b.astype(np.float64)[..., None, :, :]
    return _ordered_sum(wide, wide.ndim - 2)


def _conv1d(x: Array, kernel: Array) -> Array:
    width = x.shape[2] - kernel.shape[2] + 1
    taps = [x[:, :, at : at + width] for at in range(kernel.shape[2])]
    parts = [
        np.swapaxes(_matmul(np.swapaxes(tap, 1, 2), kernel[:, :, at].T), 1, 2)
        for at, tap in enumerate(taps)
    ]
    return np.sum(parts, axis=0, dtype=np.float32)


def _sigmoid(x: Array) -> Array:
    return (1 / (1 + np.exp(-x.astype(np.float64)))).astype(np.float32)


def _erf(x: Array) -> Array:
    return np.vectorize(math.erf, otypes=[np.float32])(x)


def _softmax(x: Array, axis: int = -1) -> Array:
    powers = np.exp(np.moveaxis(x, axis, -1) - x.max(axis, keepdims=True).swapaxes(axis, -1))
    return np.moveaxis(powers / _ordered_sum(powers, powers.ndim - 1)[..., None], -1, axis)


def _dense(name: str, x: Array, matrix: Array, bias: Array, *streams: Array) -> Array:
    """y = f(x @ matrix + bias, streams), the steps of f one after the other."""
    acc = (_matmul(x, matrix) + bias).reshape(-1, matrix.shape[1])
    epilogue = Epilogue.parse(name.removeprefix("rtc.dense").removeprefix("."))
    return _steps(epilogue, acc, streams).reshape(*x.shape[:-1], matrix.shape[1])


def _steps(epilogue: Epilogue, acc: Array, streams: tuple[Array, ...]) -> Array:
    """The steps on sums [rows, columns]."""
    columns = acc.shape[1]
    values: dict[str, Any] = {"acc": acc}

    def operand(text: str) -> Any:
        if ":" in text:
            form, index = text.split(":")
            return _stream(form, streams[int(index)], len(acc), columns)
        return values[text] if text in values else np.float32(text)

    result = acc
    for index, step in enumerate(epilogue.steps):
        result = _OPERATORS[step.operator](*map(operand, step.operands))
        values[f"s{index}"] = result
    return result


def _stream(form: str, stream: Array, rows: int, columns: int) -> Array:
    """The rows of a stream as its form says."""
    at = np.arange(rows)
    kind, count = form.rstrip("0123456789"), form.lstrip("abcdefghijklmnopqrstuvwxyz")
    if kind == "value":
        return stream.reshape(-1, 1)
    row = {
        "each": lambda: at,
        "div": lambda: at // int(count),
        "mod": lambda: at % int(count),
        "one": lambda: at * 0,
        "row": lambda: at * 0,
    }[kind]()
    return stream.reshape(-1, columns)[row]


def _lookup(name: str, table: Array, ids: Array) -> Array:
    column = name.removeprefix("rtc.embedding_lookup").removeprefix(".")
    if column:
        ids = ids[:, int(column)][:, None]
    if (ids != np.floor(ids)).any() or (ids < -len(table)).any() or (ids >= len(table)).any():
        raise ValueError("an id that the table does not have")
    return table[ids.astype(np.int64)]


def _outer_dense(form: str, a: Array, b: Array, matrix: Array, bias: Array) -> Array:
    """A dense layer over the products of two vectors; of pairs (h, m >= h) where symmetric."""
    pairs = form.startswith("symmetric")
    steps = form.removeprefix("symmetric").removeprefix(".")
    products = a[..., :, None] * b[..., None, :]
    if pairs:
        flat = products[(..., *np.triu_indices(a.shape[-1]))]
    else:
        flat = products.reshape(*a.shape[:-1], -1)
    return _dense(f"rtc.dense.{steps}", flat, matrix, bias)


def _blocks(rows: int, *args: Array) -> Array:
    """Blocks of the sources' rows, and products of two, one behind the other."""
    *sources, table = args
    flat = [source.reshape(len(source) * rows, -1) for source in sources]
    parts = []
    for left, left_at, right, right_at, width in table.tolist():
        part = flat[left][:, left_at : left_at + width]
        assert part.shape[1] == width
        parts.append(part if right < 0 else part * flat[right][:, right_at : right_at + width])
    return np.concatenate(parts, 1)


_OPERATORS: dict[str, Callable[..., Any]] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "divide": np.divide,
    "power": np.power,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "less": np.less,
    "less_equal": np.less_equal,
    "greater": np.greater,
    "greater_equal": np.greater_equal,
    "where": np.where,
    "isfinite": np.isfinite,
    "logical_not": np.logical_not,
    "negative": np.negative,
    "square": np.square,
    "exp": np.exp,
    "log": np.log,
    "sqrt": np.sqrt,
    "abs": np.abs,
    "erf": _erf,
    "tanh": np.tanh,
    "sigmoid": _sigmoid,
    "nn.relu": lambda x: np.maximum(x, np.float32(0)),
    "matmul": _matmul,
    "nn.conv1d": _conv1d,
}


class _Graph:
    def __init__(self, function: Any, rows: int | None) -> None:
        self._function, self._rows = function, rows
        self._values: dict[Any, Any] = {}
        self._extents: dict[Any, int] = {}
        self._lengths: dict[str, int] = {}  # symbol of trimmed rows -> positions that count

    def run(self, inputs: tuple[Array, ...]) -> tuple[Array, ...]:
        """The results, of these parameters."""
        for param, array in zip(self._function.params, inputs, strict=True):
            for extent, size in zip(param.ty.shape.values, array.shape, strict=True):
                if isinstance(extent, tirx.Var):
                    assert self._extents.setdefault(extent, size) == size
            self._bind(param, array)
        for var, value in bindings(self._function).items():
            self._bind(var, self._value(value))
        found = self._value(self._function.body.body)
        return found if isinstance(found, tuple) else (found,)

    def _bind(self, var: Any, value: Any) -> None:
        if isinstance(var.ty, relax.TensorType):
            assert str(value.dtype) == str(var.ty.dtype), f"{var}: {value.dtype} != {var.ty}"
            if var.ty.shape is not None:
                wanted = self._shape(var.ty.shape.values)
                assert value.shape == wanted, f"{var}: {value.shape} != {wanted}"
        self._values[var] = value

    def _shape(self, extents: Any) -> tuple[int, ...]:
        return tuple(self._extent(extent) for extent in extents)

    def _extent(self, extent: Any) -> int:
        known = static_int(extent)
        if known is not None:
            return known
        if isinstance(extent, tirx.Var):
            if extent.name in self._lengths:
                return next(iter(self._extents.values())) * self._lengths[extent.name]
            return self._extents[extent] if extent in self._extents else self._given_rows()
        if isinstance(extent, tirx.Mul):
            return self._extent(extent.a) * self._extent(extent.b)
        raise NotImplementedError(f"extent {extent}")

    def _given_rows(self) -> int:
        assert self._rows is not None, "no input tells the batch"
        return self._rows

    def _value(self, expression: Any) -> Any:
        array = constant_array(expression)
        if array is not None:
            return array
        if isinstance(expression, relax.Var):
            return self._values[expression]
        if isinstance(expression, relax.Tuple):
            return tuple(self._value(part) for part in expression.fields)
        if isinstance(expression, relax.TupleGetItem):
            return self._value(expression.tuple_value)[expression.index]
        if isinstance(expression, relax.ShapeExpr):
            return self._shape(expression.values)
        return self._call(expression)

    def _call(self, call: Any) -> Any:
        name = (call_name(call) or "").removeprefix("relax.")
        if name == "call_dps_packed":
            return self._kernel(call)
        args = [self._value(arg) for arg in call.args if not _is_index(name, arg)]
        if name in _OPERATORS:
            return _OPERATORS[name](*args)
        return getattr(self, f"_{name.replace('.', '_')}")(call, *args)

    def _kernel(self, call: Any) -> Array:
        name, args = str(call.args[0].global_symbol), self._value(call.args[1])
        lower = evaluate_quantized(name.removeprefix("rtc."), args, _steps)
        if lower is not None:
            return lower
        kernel, _, rest = name.removeprefix("rtc.").partition(".")
        if kernel == "positions":
            form, symbol = rest.split(".")
            self._lengths[symbol] = last_position(form, args[0])
            return np.array([self._lengths[symbol]])
        wanted = self._shape(call.ty_args[0].shape.values)
        if kernel == "trim":
            return trimmed(*args[:-1], length=int(args[-1][0]))
        if kernel == "pad_positions":
            return padded(args[0], wanted, length=int(args[1][0]))
        length = self._lengths.get(getattr(call.ty_args[0].shape.values[0], "name", ""), 0)
        name = name.replace("div0:", f"div{length}:").replace("mod0:", f"mod{length}:")
        if kernel == "dense":
            return _dense(name, *args)
        if kernel == "embedding_lookup":
            return _lookup(name, *args)
        if kernel == "outer_dense":
            return _outer_dense(rest, *args)
        if kernel == "blocks":
            return _blocks(int(rest), *args).reshape(wanted)
        if kernel == "softmax":
            return _softmax(args[0].reshape(-1, int(rest))).reshape(wanted)
        if kernel in ("batch_matmul", "shared_matmul"):
            return _matmul(args[0], args[1] if rest == "nn" else np.swapaxes(args[1], -1, -2))
        assert name == "rtc.spread", name
        return np.broadcast_to(args[0], wanted)

    def _reshape(self, call: Any, x: Array, shape: tuple[int, ...]) -> Array:
        return x.reshape(shape)

    def _nn_softmax(self, call: Any, x: Array) -> Array:
        return _softmax(x, int(call.attrs.axis))

    def _squeeze(self, call: Any, x: Array) -> Array:
        return x.squeeze(tuple(int(a) for a in call.attrs.axis))

    def _expand_dims(self, call: Any, x: Array) -> Array:
        return np.expand_dims(x, tuple(int(a) for a in call.attrs.axis))

    def _flatten(self, call: Any, x: Array) -> Array:
        return x.reshape(-1)

    def _permute_dims(self, call: Any, x: Array) -> Array:
        return x.transpose([int(a) for a in call.attrs.axes])

    def _concat(self, call: Any, parts: tuple[Array, ...]) -> Array:
        return np.concatenate(parts, int(call.attrs.axis))

    def _sum(self, call: Any, x: Array) -> Array:
        axes = tuple(int(a) for a in call.attrs.axis)
        wide = x.sum(axes, dtype=np.float64, keepdims=bool(call.attrs.keepdims))
        return wide.astype(np.float32)

    def _split(self, call: Any, x: Array) -> tuple[Array, ...]:
        at = call.attrs.indices_or_sections
        sections = static_int(at)
        cuts = sections if sections is not None else [int(i) for i in at]
        return tuple(np.split(x, cuts, int(call.attrs.axis)))

    def _take(self, call: Any, table: Array, ids: Array) -> Array:
        return table.take(ids, int(call.attrs.axis), mode="raise")

    def _astype(self, call: Any, x: Array) -> Array:
        return x.astype(str(call.attrs.dtype))

    def _strided_slice(self, call: Any, x: Array) -> Array:
        axes, begins, ends = (
            [int(getattr(f, "value", f)) for f in arg.fields] for arg in call.args[1:4]
        )
        index = [slice(None)] * x.ndim
        for axis, begin, end in zip(axes, begins, ends, strict=True):
            index[axis] = slice(begin, end)
        return x[tuple(index)]


def _is_index(name: str, argument: Any) -> bool:
    return name == "strided_slice" and isinstance(argument, relax.Tuple)
