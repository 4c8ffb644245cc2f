"""ONNX's GRU, LSTM and RNN as the calls of `relay_passes/dialect/recurrence.py`.

The weights must be constants and the activations the default ones (an RNN's may be Relu). Steps are
a number; the batch comes first inside, whatever the layout. A first state of zeros is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import relax

from rtcompile.errors import UnsupportedError
from rtcompile.relay_passes.dialect.checked_values import CHECK_INDEX, lengths_label
from rtcompile.relay_passes.dialect.recurrence import GATES, RecurrenceForm
from rtcompile.relay_passes.matching import call_name, constant_array, shape_of

__all__ = ["RECURRENT", "convert_recurrent"]

# Operators, and the activations that they have by default.
RECURRENT: dict[str, tuple[str, ...]] = {
    "GRU": ("Sigmoid", "Tanh"),
    "LSTM": ("Sigmoid", "Tanh", "Tanh"),
    "RNN": ("Tanh",),
}

_DIRECTIONS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
_REFUSED = ("clip", "input_forget", "activation_alpha", "activation_beta")


@dataclass(frozen=True)
class _Layer:
    """One direction of an operator."""

    form: RecurrenceForm
    weight: npt.NDArray[np.float32]  # [inputs, gates * units]
    recurrent: npt.NDArray[np.float32]  # [units, gates * units]
    bias: npt.NDArray[np.float32]  # [gates * units], of the inputs' share
    inner: npt.NDArray[np.float32]  # [units]


def convert_recurrent(block: Any, operator: str, inputs: Sequence[Any], attributes: Any) -> Any:
    """A tuple of the operator's outputs: Y, Y_h and, of an LSTM, Y_c. Raises UnsupportedError."""
    given = [*inputs, *[None] * (8 - len(inputs))]
    x, w, r, b, lengths, *states, peepholes = [*given[:6], given[6], given[7]]
    _refuse(operator, attributes, peepholes)
    directions = _DIRECTIONS[attributes.get("direction", b"forward").decode()]
    cell = _cell(operator, attributes, len(directions))
    layers = _layers(operator, cell, directions, (w, r, b), lengths is not None)
    by_row = int(attributes.get("layout", 0)) == 1
    if not by_row:
        x = block.emit(relax.op.permute_dims(x, [1, 0, 2]))
    steps = _steps(x, operator)
    if lengths is not None:
        lengths = _checked_lengths(block, lengths, operator, steps)
    if operator != "LSTM":
        states = states[:1]
    results = []
    for place, layer in enumerate(layers):
        first = [_state(block, state, place, by_row) for state in states]
        results.append(_run(block, layer, x, first, lengths))
    outputs = [_sequence(block, [result[0] for result in results], by_row)]
    outputs += [_stacked(block, list(ends), int(by_row)) for ends in zip(*results, strict=True)][1:]
    return relax.Tuple(outputs)


def _refuse(operator: str, attributes: Any, peepholes: Any) -> None:
    if peepholes is not None:
        raise UnsupportedError(f"{operator} with peepholes is not supported")
    for name in _REFUSED:
        if attributes.get(name):
            raise UnsupportedError(f"{operator} with the attribute {name} is not supported")


def _cell(operator: str, attributes: Any, directions: int) -> str:
    default = RECURRENT[operator]
    found = tuple(name.decode() for name in attributes.get("activations", ()))
    found = found or default * directions
    of_all = {tuple(name.lower() for name in default)}
    if operator == "RNN":
        of_all.add(("relu",))
    one = tuple(name.lower() for name in found[: len(default)])
    if one not in of_all or tuple(name.lower() for name in found) != one * directions:
        raise UnsupportedError(
            f"{operator} with the activations {', '.join(found)} is not supported, only with "
            f"{', '.join(default)}" + (" or Relu" if operator == "RNN" else "")
        )
    if operator == "GRU":
        return "gru" if attributes.get("linear_before_reset", 0) else "gru_first"
    return "lstm" if operator == "LSTM" else f"rnn_{one[0]}"


def _layers(
    operator: str, cell: str, directions: tuple[bool, ...], weights: Any, lengths: bool
) -> list[_Layer]:
    w, r, b = (constant_array(value) if value is not None else None for value in weights)
    if w is None or r is None or (b is None and weights[2] is not None):
        raise UnsupportedError(f"{operator} whose weights are computed is not supported")
    units, gates = r.shape[2], GATES[cell]
    layers = []
    for place, reverse in enumerate(directions):
        ours = np.zeros((2, gates, units), np.float32)
        if b is not None:
            ours = b[place].reshape(2, gates, units).copy()
        inner = np.zeros(units, np.float32)
        if cell == "gru":  # the bias that stays inside the reset
            inner, ours[1, 2] = ours[1, 2].copy(), 0.0
        form = RecurrenceForm(cell, reverse=reverse, lengths=lengths)
        bias = ours.sum(axis=0).reshape(-1).astype(np.float32)
        weight, recurrent = (np.ascontiguousarray(m[place].T, np.float32) for m in (w, r))
        layers.append(_Layer(form, weight, recurrent, bias, inner))
    return layers


def _steps(x: Any, operator: str) -> int:
    """How many a sequence has, [n, steps, inputs]."""
    shape = shape_of(x)
    if shape is None or len(shape) != 3 or not isinstance(shape[1], int):
        raise UnsupportedError(
            f"{operator} goes step by step along the batch, or an axis that is not fixed: each row "
            "would depend on the one before; export it with a fixed number of steps and the batch "
            "as its second axis (its first with layout=1)"
        )
    return shape[1]


def _checked_lengths(block: Any, lengths: Any, operator: str, steps: int) -> Any:
    """Each of [n] from 0 to `steps`."""
    symbol = f"{CHECK_INDEX}.{steps + 1}.plain.{lengths_label(operator, steps)}"
    ty = relax.TensorType(lengths.ty.shape, "int64")
    return block.emit(relax.op.call_dps_packed(symbol, relax.Tuple([lengths]), out_ty=ty))


def _run(block: Any, layer: _Layer, x: Any, states: list[Any], lengths: Any) -> list[Any]:
    """y [n, steps, units] and the last states, [n, units]."""
    shape, form = shape_of(x), layer.form
    assert shape is not None
    if any(state is not None for state in states):
        form = RecurrenceForm(form.cell, form.reverse, initial=True, lengths=form.lengths)
    units = layer.recurrent.shape[0]
    share = block.emit(relax.op.matmul(x, relax.const(layer.weight)))
    share = block.emit(relax.op.add(share, relax.const(layer.bias)))
    given = [_filled(block, state, shape[0], units) for state in states] if form.initial else []
    given += [block.emit(relax.op.astype(lengths, "int32"))] if form.lengths else []
    fields = [share, relax.const(layer.recurrent), relax.const(layer.inner), *given]
    ends = 2 if form.cell == "lstm" else 1
    types = [relax.TensorType([shape[0], shape[1], units], "float32")]
    types += [relax.TensorType([shape[0], units], "float32")] * ends
    call = relax.op.call_dps_packed(form.name, relax.Tuple(fields), out_ty=types)
    found = block.emit(call)
    return [block.emit(relax.TupleGetItem(found, place)) for place in range(1 + ends)]


def _filled(block: Any, state: Any, rows: Any, units: int) -> Any:
    """A state; zeros where the other one of an LSTM is given and this one is not."""
    if state is not None:
        return state
    return block.emit(relax.op.zeros(relax.ShapeExpr([rows, units]), "float32"))


def _state(block: Any, states: Any, place: int, by_row: bool) -> Any:
    """The first state of one direction, [n, units]; None where it is zero."""
    if states is None or _is_zero(block, states):
        return None
    axis = int(by_row)
    shape = shape_of(states)
    if shape is not None and shape[axis] != 1:
        part = relax.op.strided_slice(states, axes=[axis], begin=[place], end=[place + 1])
        states = block.emit(part)
    return block.emit(relax.op.squeeze(states, [axis]))


def _is_zero(block: Any, value: Any) -> bool:
    """Whether a tensor is known to be zero everywhere, in whatever shape and part of it."""
    array = constant_array(value)
    if array is not None:
        return not array.any()
    if isinstance(value, relax.Var):
        bound = block.lookup_binding(value)
        return bound is not None and _is_zero(block, bound)
    name = call_name(value)
    if name == "relax.zeros":
        return True
    if name == "relax.full":
        return _is_zero(block, value.args[1])
    moves = ("broadcast_to", "strided_slice", "reshape", "permute_dims", "squeeze", "expand_dims")
    moved = name in {f"relax.{move}" for move in (*moves, "astype")}
    return moved and _is_zero(block, value.args[0])


def _sequence(block: Any, states: list[Any], by_row: bool) -> Any:
    """Y: [steps, directions, n, units], or [n, steps, directions, units]."""
    if not by_row:
        states = [block.emit(relax.op.permute_dims(y, [1, 0, 2])) for y in states]
    return _stacked(block, states, 2 if by_row else 1)


def _stacked(block: Any, parts: list[Any], axis: int) -> Any:
    expanded = [block.emit(relax.op.expand_dims(part, [axis])) for part in parts]
    if len(expanded) == 1:
        return expanded[0]
    return block.emit(relax.op.concat(expanded, axis))
