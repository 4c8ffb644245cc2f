"""Fuse `matmul` by a constant matrix with what follows it element by element into one call.

    relu(add(matmul(x, W), b))      ->   call_dps_packed("rtc.dense.maximum acc 0.0", (x, W, b))
    x0 * (matmul(x, W) + b) + x     ->   call_dps_packed("rtc.dense.multiply acc each:0; "
                                                         "add s0 each:1", (x, W, b, x0, x))

x is [..., k], W a constant [k, m], b a constant of m values (zeros where there is none). The
kernel template behind the name packs W when it is built, and evaluates the steps
(`relay_passes/dialect/epilogue.py`) on the sums while they are in registers: any activation, a
residual, a gate, a cross layer. Another tensor that a step reads is a stream of the call; its form
says which row r of it belongs to a row of x, which is [n, ..., k] with M rows of x for each n:

    each      r is [n, ..., m]   the same row
    divM      r is [n, 1, m]     one row for M rows of x
    modM      r is [1, M, m]     M rows, over and over
    one       r is [1, 1, m]     one row for all
    value     r is [n, ..., 1]   the same row, one value for all its columns
    row       a constant of one value a column

A matmul takes as many of the operators behind it as end in a single value; intermediates that
someone else reads stay where they are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax, tirx
from tvm.ir import IRModule

from rtcompile.relay_passes.dialect.epilogue import (
    ACC,
    Epilogue,
    Step,
    number,
    steps_of_call,
)
from rtcompile.relay_passes.matching import (
    bindings,
    call_name,
    constant_array,
    dtype_of,
    kernel_symbol,
    reads,
    rewrite_main,
    shape_of,
)
from rtcompile.relay_passes.report import PassReport

__all__ = ["DENSE", "dense_steps", "fuse_dense", "is_dense"]

DENSE = "rtc.dense"

_MOST_TENSORS = 4
_MOST_STREAMS = 12  # constants of columns included
_MOST_STEPS = 40


def is_dense(value: Any) -> bool:
    """Whether a value is a call of a dense layer."""
    name = kernel_symbol(value)
    return name == DENSE or name.startswith(DENSE + ".")


def dense_steps(call: Any) -> str:
    """The text of a dense layer's epilogue."""
    return kernel_symbol(call)[len(DENSE) + 1 :]


@dataclass
class _Layer:
    """A matmul and the operators behind it that it takes, in order."""

    matmul: Any
    bias: npt.NDArray[np.float32]
    steps: list[Step] = field(default_factory=list)
    streams: list[Any] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of the call."""
        text = str(Epilogue(tuple(self.steps)))
        return f"{DENSE}.{text}" if text else DENSE

    def emit(self, operator: str, *operands: str) -> str:
        """Append a step; its operand."""
        self.steps.append(Step(operator, operands))
        return f"s{len(self.steps) - 1}"

    def stream(self, form: str, tensor: Any) -> str:
        """The operand that reads `tensor`, each tensor once."""
        for index, known in enumerate(self.streams):
            if known.same_as(tensor):
                return f"{form}:{index}"
        self.streams.append(tensor)
        return f"{form}:{len(self.streams) - 1}"


class _Matcher:
    """Finds the layers of a function: by the variable of its last operator."""

    def __init__(self, function: Any, report: PassReport) -> None:
        self._bound = bindings(function)
        self._report = report
        self._order = {var: index for index, var in enumerate(self._bound)}
        self._readers = _readers(function, self._bound)
        self._taken: set[Any] = set()

    def layers(self) -> dict[Any, _Layer]:
        """Each layer, at the variable that holds its result."""
        found = {}
        for var, value in self._bound.items():
            bias = self._plain(value)
            if bias is None or var in self._taken:
                continue
            chain = self._longest(var)
            self._taken.update(chain)
            layer = self._layer(var, bias, chain)
            found[chain[-1] if chain else var] = layer
        return found

    def _plain(self, call: Any) -> npt.NDArray[np.float32] | None:
        """The bias of zeros of a matmul that has a kernel, else None."""
        if call_name(call) != "relax.matmul":
            return None
        source, weight = call.args
        matrix = constant_array(weight)
        extents = shape_of(source)
        if matrix is None or matrix.ndim != 2 or extents is None or len(extents) < 2:
            return None
        if str(matrix.dtype) != "float32" or dtype_of(source) != "float32":
            self._report.refused.append(f"matmul of {dtype_of(source)} by {matrix.dtype}")
            return None
        return np.zeros(matrix.shape[1], "float32")

    def _longest(self, matmul: Any) -> list[Any]:
        """The longest chain behind a matmul that only its last value leaves."""
        region = self._region(matmul)
        for end in reversed(region):
            if dtype_of(end) != "float32":
                continue
            chain = self._behind(end, {matmul, *region})
            if matmul in chain and self._closed(chain, end):
                return sorted(chain - {matmul}, key=self._order.__getitem__)
        return []

    def _region(self, matmul: Any) -> list[Any]:
        """What can be steps of a layer, in order: each reads the matmul or another one of them."""
        inside = {matmul}
        open_vars = self._readers.get(matmul, set()) & self._bound.keys()
        trial = _Layer(matmul, np.zeros(0, np.float32))
        operands = {matmul: ACC}
        found: list[Any] = []
        while open_vars and len(trial.steps) < _MOST_STEPS:
            var = min(open_vars, key=self._order.__getitem__)
            open_vars = open_vars - {var}
            if var in inside or var in self._taken:
                continue
            operand = self._step(trial, matmul, var, operands)
            if operand is not None and _fits(trial):
                operands[var] = operand
                inside.add(var)
                found.append(var)
                open_vars |= self._readers.get(var, set()) & self._bound.keys()
        return found

    def _behind(self, end: Any, region: set[Any]) -> set[Any]:
        """`end` and what of the region it is computed from."""
        found, open_vars = set(), [end]
        while open_vars:
            var = open_vars.pop()
            if var in region and var not in found:
                found.add(var)
                value = self._bound[var]
                open_vars += [] if call_name(value) == "relax.matmul" else list(value.args)
        return found

    def _closed(self, chain: set[Any], end: Any) -> bool:
        """Whether nobody outside reads anything of the chain but its end."""
        return all(var.same_as(end) or self._readers.get(var, set()) <= chain for var in chain)

    def _layer(self, matmul: Any, bias: npt.NDArray[np.float32], chain: list[Any]) -> _Layer:
        layer = _Layer(matmul, bias)
        operands = {matmul: ACC}
        for var in chain:
            operand = self._step(layer, matmul, var, operands)
            assert operand is not None  # it was found so
            operands[var] = operand
        return _with_bias(layer)

    def _step(self, layer: _Layer, matmul: Any, var: Any, operands: dict[Any, str]) -> str | None:
        """Append what `var` is bound to; its operand, or None where it is no step of the layer."""
        call = self._bound[var]
        make = steps_of_call(call)
        if make is None or not _same_shape(var, matmul):
            return None
        if call_name(call) == "relax.astype" and (
            dtype_of(call.args[0]) != "bool" or dtype_of(var) != "float32"
        ):
            return None
        if call_name(call) == "relax.nn.prelu" and not _by_column(call):
            return None
        steps, streams = list(layer.steps), list(layer.streams)
        given = [
            _bound_of_clip(arg) or self._operand(layer, matmul, arg, operands) for arg in call.args
        ]
        if any(operand is None for operand in given):
            layer.steps, layer.streams = steps, streams
            return None
        return make(layer.emit, call, *given)

    def _operand(
        self, layer: _Layer, matmul: Any, argument: Any, operands: dict[Any, str]
    ) -> str | None:
        if argument in operands:
            return operands[argument]
        if not isinstance(argument.ty, relax.TensorType) or dtype_of(argument) != "float32":
            return None
        shape, array = shape_of(matmul), constant_array(argument)
        assert shape is not None
        if array is not None and array.size == 1 and array.ndim <= len(shape):
            return number(array.reshape(())[()])
        extents = shape_of(argument)
        if array is not None and extents is not None:
            extents = (1,) * (len(shape) - len(extents)) + extents
            if all(extent == 1 for extent in extents[:-1]) and extents[-1] == shape[-1]:
                return layer.stream("row", argument)
        form = _form(extents, shape)
        return None if form is None else layer.stream(form, argument)


def _by_column(call: Any) -> bool:
    """Whether the slopes of a PReLU are one, or one a column."""
    slopes, shape = shape_of(call.args[1]), shape_of(call.args[0])
    assert slopes is not None and shape is not None
    return slopes == (1,) or int(call.attrs.axis) % len(shape) == len(shape) - 1


def _bound_of_clip(argument: Any) -> str | None:
    """A plain number among the arguments, as an operand."""
    value = getattr(argument, "value", None)
    plain = isinstance(argument, tirx.FloatImm | tirx.IntImm)
    return number(value) if plain else None


def _fits(layer: _Layer) -> bool:
    tensors = sum(isinstance(stream, relax.Var) for stream in layer.streams)
    return tensors <= _MOST_TENSORS and len(layer.streams) <= _MOST_STREAMS


def _with_bias(layer: _Layer) -> _Layer:
    """Constants that are added to the sum, alone or beside other addends, become the bias."""
    renamed: dict[str, str] = {}
    steps: list[Step] = []
    running = ACC
    adding = True
    for index, step in enumerate(layer.steps):
        operands = tuple(renamed.get(operand, operand) for operand in step.operands)
        adding = adding and _adds(step, operands, running) and _reads(layer, index) == 1
        constant = _constant(layer, operands, running) if adding else None
        if constant is not None:
            sign = -1 if step.operator == "subtract" else 1
            layer.bias = (layer.bias + np.float32(sign) * constant).astype(np.float32)
            renamed[f"s{index}"] = running
            continue
        steps.append(Step(step.operator, operands))
        renamed[f"s{index}"] = f"s{len(steps) - 1}"
        running = renamed[f"s{index}"]
    return _without_unread(_Layer(layer.matmul, layer.bias, steps, layer.streams))


def _adds(step: Step, operands: tuple[str, ...], running: str) -> bool:
    """Whether a step adds something to the running sum, or takes it off."""
    if operands.count(running) != 1:
        return False
    return step.operator == "add" or (step.operator == "subtract" and operands[0] == running)


def _reads(layer: _Layer, index: int) -> int:
    """How often what precedes step `index` in a chain is read."""
    before = ACC if index == 0 else f"s{index - 1}"
    return sum(step.operands.count(before) for step in layer.steps)


def _constant(layer: _Layer, operands: tuple[str, ...], running: str) -> Any:
    """The constant that is added to the running sum, None where it is none."""
    (other,) = (operand for operand in operands if operand != running)
    kind, _, index = other.partition(":")
    if kind == "row":
        array = constant_array(layer.streams[int(index)])
        assert array is not None
        return array.reshape(-1)
    return None if index or other[0] in "as" else np.float32(float(other))


def _without_unread(layer: _Layer) -> _Layer:
    """Streams that no step reads any more are dropped, the others renumbered."""
    read = sorted(
        {
            int(operand.split(":")[1])
            for step in layer.steps
            for operand in step.operands
            if ":" in operand
        }
    )

    def renumbered(operand: str) -> str:
        form, _, index = operand.partition(":")
        return f"{form}:{read.index(int(index))}" if index else operand

    layer.steps = [Step(s.operator, tuple(map(renumbered, s.operands))) for s in layer.steps]
    layer.streams = [layer.streams[index] for index in read]
    return layer


def _readers(function: Any, bound: dict[Any, Any]) -> dict[Any, set[Any]]:
    """The variables that read each variable; the function itself where it is the result."""
    found: dict[Any, set[Any]] = {}
    for var, value in bound.items():
        for read in reads(value):
            found.setdefault(read, set()).add(var)
    found.setdefault(function.body.body, set()).add(function)
    return found


def _same_shape(a: Any, b: Any) -> bool:
    if not isinstance(a.ty, relax.TensorType):
        return False
    left, right = shape_of(a), shape_of(b)
    return left is not None and right is not None and list(map(str, left)) == list(map(str, right))


def _form(stream: tuple[Any, ...] | None, result: tuple[Any, ...]) -> str | None:
    """Which row of a stream belongs to a row of the result; None where there is no simple rule."""
    if stream is None or len(stream) != len(result) or len(result) < 2:
        return None
    if any(not isinstance(e, int) for e in result[1:]):
        return None
    repeats = math.prod(result[1:-1])
    by_row = str(stream[0]) == str(result[0])
    inner = stream[1:-1]
    if str(stream[-1]) != str(result[-1]):
        return "value" if stream[-1] == 1 and by_row and inner == result[1:-1] else None
    if not by_row and stream[0] != 1:
        return None
    if inner == result[1:-1]:
        if by_row:
            return "each"
        return f"mod{repeats}" if repeats > 1 else "one"
    if all(extent == 1 for extent in inner):
        return f"div{repeats}" if by_row else "one"
    return None


@relax.expr_functor.mutator
class _Rewriter(relax.PyExprMutator):
    def __init__(self, mod: IRModule, layers: dict[Any, _Layer], bound: dict[Any, Any]) -> None:
        super().__init__(mod)
        self._layers, self._bound = layers, bound
        self._var: Any = None

    def visit_var_binding_(self, binding: Any) -> None:
        self._var = binding.var
        super().visit_var_binding_(binding)

    def visit_call_(self, op: Any) -> Any:
        layer = self._layers.get(self._var)
        if layer is None:
            return super().visit_call_(op)
        source, weight = self._bound[layer.matmul].args
        streams = [self.visit_expr(stream) for stream in layer.streams]
        arguments = [self.visit_expr(source), weight, relax.const(layer.bias), *streams]
        return relax.op.call_dps_packed(layer.name, relax.Tuple(arguments), out_ty=op.ty)


def fuse_dense(mod: IRModule, report: PassReport) -> IRModule:
    """Rewrite every dense layer of `main`. Idempotent."""
    layers = _Matcher(mod["main"], report).layers()
    report.applied += len(layers)
    return rewrite_main(mod, _Rewriter(mod, layers, bindings(mod["main"])))
