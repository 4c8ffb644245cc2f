"""A recurrent layer: the states of a tile of rows, step by step, products and gates in one kernel.

The inputs' share p of all gates is one dense layer over rows x steps, made before. What is left
follows the steps; for a GRU (`relay_passes/dialect/recurrence.py` has the formulas) this emits

    state[0] = h0 or 0
    for step:
        for panel of 16 units:
            for each 6 rows, then 3, then 1:
                z, r, c = p_z[rows, step, panel], p_r[...], bias[panel]     in registers
                for k in units:
                    z[i, :] += state[i, k] * R_z[k, panel]                  and r, c
                z, r = sigmoid(z), sigmoid(r)
                c = tanh(p_h + r * c)
                state'[rows, panel] = y[rows, step, panel] = c + z * (state - c)
        state, state' = state', state
    last = state

The recurrent matrix is packed by panels, the gates of a panel side by side: [k, gate, width]. A GRU
whose reset stands before the product runs over the panels twice a step, z and r * state first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.kernels.panels import Panel
from rtcompile.codegen.kernels.vector_math import sigmoid, tanh
from rtcompile.relay_passes.dialect.recurrence import GATES, RecurrenceForm
from rtcompile.targets import Registers

__all__ = [
    "RecurrenceShape",
    "pack_recurrent",
    "recurrence_kernel",
    "recurrence_panels",
    "scratch_elements",
]

# Rows of state for each row of a tile: this step's and the next's; z and r * state behind them.
_STATES = {"gru_first": 4}

_NARROWEST = 8
_MOST_ROWS = 6


@dataclass(frozen=True)
class RecurrenceShape:
    """What a kernel is specialised for. `sequence`: every state, not the last alone."""

    form: RecurrenceForm
    units: int
    steps: int
    sequence: bool

    @property
    def name(self) -> str:
        """Name of the kernel; equal shapes share one."""
        form = self.form.name.removeprefix("rtc.").replace(".", "_")
        return f"{form}_{self.steps}x{self.units}" + ("_sequence" if self.sequence else "")


def recurrence_panels(shape: RecurrenceShape, registers: Registers) -> tuple[Panel, ...]:
    """Panels of units, a vector wide. All gates of one, for a block of rows, fit the registers."""
    cut: list[Panel] = []
    start, width, gates = 0, max(_NARROWEST, registers.bits // 32), GATES[shape.form.cell]
    while start < shape.units:
        if shape.units - start >= width or width == _NARROWEST:
            rows = max(1, min(registers.block_rows(gates * width), _MOST_ROWS))
            cut.append(Panel(start, width, min(width, shape.units - start), rows))
            start += cut[-1].valid
        else:
            width //= 2
    return tuple(cut)


def pack_recurrent(
    matrix: npt.NDArray[np.float32], shape: RecurrenceShape, registers: Registers
) -> npt.NDArray[np.float32]:
    """R, [units, gates * units], for the kernel: by passes, panels, [k, gate, width]."""
    gates = matrix.reshape(shape.units, GATES[shape.form.cell], shape.units)
    parts = []
    for taken in _passes(shape.form.cell):
        for panel in recurrence_panels(shape, registers):
            packed = np.zeros((shape.units, len(taken), panel.width), np.float32)
            columns = slice(panel.start, panel.start + panel.valid)
            packed[:, :, : panel.valid] = gates[:, list(taken), columns]
            parts.append(packed.reshape(-1))
    return np.concatenate(parts)


def _passes(cell: str) -> tuple[tuple[int, ...], ...]:
    """The gates that are computed together, and in which order."""
    return ((0, 1), (2,)) if cell == "gru_first" else (tuple(range(GATES[cell])),)


def scratch_elements(shape: RecurrenceShape, rows: int) -> int:
    """Floats of scratch that the kernel needs for a tile of `rows`."""
    return _STATES.get(shape.form.cell, 2) * rows * shape.units


def recurrence_kernel(shape: RecurrenceShape, registers: Registers) -> Any:
    """A PrimFunc (p*, R*, bias*, [h0*, [c0*]], [lengths*], [y*], last*, [memory*], scratch*, rows).

    float32 but `lengths`, int32; the brackets as the shape's form says, memory for an LSTM.
    """
    form = shape.form
    gates = GATES[form.cell]
    cut = recurrence_panels(shape, registers)
    packed = shape.units * gates * sum(panel.width for panel in cut)
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(shape.name)
        T.func_attr({"tirx.is_scheduled": True, "tirx.noalias": True})
        names = ["p", "R", "bias", *_given(form)]
        names += ["y"] * shape.sequence + ["last"] + ["memory"] * (form.cell == "lstm")
        handles = {name: T.arg(name, T.handle(_dtype(name))) for name in [*names, "scratch"]}
        rows = T.arg("rows", T.int64())
        extents: dict[str, tuple[Any, ...]] = {
            "p": (rows, shape.steps, gates * shape.units),
            "R": (packed,),
            "bias": (shape.units,),
            "lengths": (rows,),
            "y": (rows, shape.steps, shape.units),
            "scratch": (_STATES.get(form.cell, 2) * rows, shape.units),
        }
        buffers = {
            name: T.decl_buffer(extents.get(name, (rows, shape.units)), _dtype(name), data=handle)
            for name, handle in handles.items()
        }
        _Kernel(shape, cut, buffers, rows).emit()
    return builder.get()


def _given(form: RecurrenceForm) -> list[str]:
    states = ["h0", "c0"] if form.cell == "lstm" else ["h0"]
    return states * form.initial + ["lengths"] * form.lengths


def _dtype(name: str) -> str:
    return "int32" if name == "lengths" else "float32"


def _one() -> Any:
    return tirx.const(1.0, "float32")


@dataclass(frozen=True)
class _At:
    """Where a block of rows by a panel of units stands; steps in the order of the sequence."""

    panel: Panel
    row: Any
    step: Any
    source: Any  # rows before this step's state, in the scratch
    target: Any  # and before the next one's


class _Kernel:
    """Emits the body of a kernel."""

    def __init__(self, shape: RecurrenceShape, cut: Any, buffers: Any, rows: Any) -> None:
        self._shape, self._cut = shape, cut
        self._at, self._rows = buffers, rows
        self._cell = shape.form.cell

    def emit(self) -> None:
        """First states, all steps, last states."""
        steps, states = self._shape.steps, self._at["scratch"]
        self._copy(self._at.get("h0"), states)
        if self._cell == "lstm":
            self._copy(self._at.get("c0"), self._at["memory"])
        with T.serial(steps) as count:
            step = T.Bind(steps - 1 - count if self._shape.form.reverse else count + 0)
            source = T.Bind(tirx.floormod(count, 2) * self._rows)
            target = T.Bind(self._rows - source)
            offset = 0
            for taken in _passes(self._cell):
                for panel in self._cut:
                    self._blocks(taken, offset, _At(panel, None, step, source, target))
                    offset += self._shape.units * len(taken) * panel.width
        self._copy(states, self._at["last"], (steps % 2) * self._rows)

    def _copy(self, source: Any, target: Any, first: Any = 0) -> None:
        """The first rows of `target` from `source`, from a row on; zeros where there is none."""
        with T.serial(self._rows) as i:
            for panel in self._cut:
                with T.vectorized(panel.valid) as j:
                    unit = panel.start + j
                    value = tirx.const(0, "float32") if source is None else source[first + i, unit]
                    T.buffer_store(target, value, [i, unit])

    def _blocks(self, taken: Sequence[int], offset: int, at: _At) -> None:
        """All rows of a panel, in blocks from the highest on."""
        done: Any = tirx.const(0, "int64")
        for height in dict.fromkeys((at.panel.rows, max(1, at.panel.rows // 2), 1)):
            count = T.Bind(tirx.floordiv(self._rows - done, height))
            with T.serial(count) as block:
                row = T.Bind(done + block * height)
                self._block(
                    taken, offset, _At(at.panel, row, at.step, at.source, at.target), height
                )
            done = T.Bind(done + count * height)

    def _block(self, taken: Sequence[int], offset: int, at: _At, height: int) -> None:
        width, units = at.panel.width, self._shape.units
        sums = [[self._first(gate, at, i) for gate in taken] for i in range(height)]
        states = self._at["scratch"]
        # What the candidate of a `gru_first` multiplies lies behind both states and z.
        before = 3 * self._rows if tuple(taken) == (2,) else at.source
        with T.serial(units) as k:
            for i in range(height):
                for place in range(len(taken)):
                    with T.vectorized(width) as j:
                        weight = self._at["R"][offset + (k * len(taken) + place) * width + j]
                        product = states[before + at.row + i, k] * weight
                        T.buffer_store(sums[i][place], sums[i][place][j] + product, [j])
        for i in range(height):
            self._finish(len(taken))(at, i, *sums[i])

    def _finish(self, taken: int) -> Callable[..., None]:
        """What follows the products, of a cell and as many of its gates."""
        if self._cell == "gru_first":
            return self._gates_first if taken == 2 else self._candidate
        if self._cell == "gru":
            return self._gru
        return self._lstm if self._cell == "lstm" else self._rnn

    def _first(self, gate: int, at: _At, i: int) -> Any:
        """What a gate's sum starts from: the input's share, or the bias inside a GRU's reset."""
        start = at.panel.start
        if self._cell == "gru" and gate == 2:
            return self._load(at, lambda j: self._at["bias"][start + j])
        return self._share(gate, at, i)

    def _share(self, gate: int, at: _At, i: int) -> Any:
        first = gate * self._shape.units + at.panel.start
        return self._load(at, lambda j: self._at["p"][at.row + i, at.step, first + j])

    def _state(self, at: _At, i: int) -> Any:
        states, start = self._at["scratch"], at.panel.start
        return self._load(at, lambda j: states[at.source + at.row + i, start + j])

    def _load(self, at: _At, value: Callable[[Any], Any]) -> Any:
        """A panel's values in registers, zeros behind the last."""
        panel = at.panel
        loaded = T.alloc_buffer((panel.width,), "float32")
        if panel.valid < panel.width:
            self._set(loaded, lambda j: tirx.const(0, "float32"))
        with self._kind(panel)(panel.valid) as j:
            T.buffer_store(loaded, value(j), [j])
        return loaded

    def _kind(self, panel: Panel) -> Any:
        return T.vectorized if panel.valid == panel.width else T.unroll

    def _set(self, buffer: Any, value: Callable[[Any], Any]) -> None:
        with T.vectorized(int(buffer.shape[0])) as j:
            T.buffer_store(buffer, value(j), [j])

    def _store(self, at: _At, target: Any, place: list[Any], value: Callable[[Any], Any]) -> None:
        with self._kind(at.panel)(at.panel.valid) as j:
            T.buffer_store(target, value(j), [*place, at.panel.start + j])

    # -- cells: the end of a step for one row of a panel, the sums of its gates given ----------

    def _gru(self, at: _At, i: int, z: Any, r: Any, c: Any) -> None:
        share, state = self._share(2, at, i), self._state(at, i)
        self._set(z, lambda j: sigmoid(z[j]))
        self._set(r, lambda j: sigmoid(r[j]))
        self._set(c, lambda j: tanh(share[j] + r[j] * c[j]))
        self._set(c, lambda j: c[j] + z[j] * (state[j] - c[j]))
        self._next(at, i, c, state)

    def _gates_first(self, at: _At, i: int, z: Any, r: Any) -> None:
        state, states = self._state(at, i), self._at["scratch"]
        self._set(z, lambda j: sigmoid(z[j]))
        self._set(r, lambda j: sigmoid(r[j]) * state[j])
        self._store(at, states, [2 * self._rows + at.row + i], lambda j: z[j])
        self._store(at, states, [3 * self._rows + at.row + i], lambda j: r[j])

    def _candidate(self, at: _At, i: int, c: Any) -> None:
        state, states, start = self._state(at, i), self._at["scratch"], at.panel.start
        z = self._load(at, lambda j: states[2 * self._rows + at.row + i, start + j])
        self._set(c, lambda j: tanh(c[j]))
        self._set(c, lambda j: c[j] + z[j] * (state[j] - c[j]))
        self._next(at, i, c, state)

    def _lstm(self, at: _At, i: int, given: Any, out: Any, forget: Any, c: Any) -> None:
        state, start, memory = self._state(at, i), at.panel.start, self._at["memory"]
        cell = self._load(at, lambda j: memory[at.row + i, start + j])
        self._set(given, lambda j: sigmoid(given[j]))
        self._set(out, lambda j: sigmoid(out[j]))
        self._set(forget, lambda j: sigmoid(forget[j]))
        self._set(c, lambda j: tanh(c[j]))
        self._set(c, lambda j: forget[j] * cell[j] + given[j] * c[j])
        active = self._active(at, i)
        kept = self._chosen(active, lambda j: c[j], lambda j: cell[j])
        self._store(at, memory, [at.row + i], kept)
        self._set(out, lambda j: out[j] * tanh(c[j]))
        self._next(at, i, out, state)

    def _rnn(self, at: _At, i: int, c: Any) -> None:
        state = self._state(at, i)
        zero = tirx.const(0, "float32")
        curve = tanh if self._cell == "rnn_tanh" else lambda x: tirx.Max(zero, x)  # NaN stays
        self._set(c, lambda j: curve(c[j]))
        self._next(at, i, c, state)

    def _active(self, at: _At, i: int) -> Any:
        """Whether the step lies inside the row's length; None where all do."""
        if not self._shape.form.lengths:
            return None
        length = tirx.Cast("int64", self._at["lengths"][at.row + i])
        return T.Bind(tirx.Cast("int64", at.step) < length)

    def _chosen(self, active: Any, new: Callable[[Any], Any], old: Callable[[Any], Any]) -> Any:
        if active is None:
            return new
        return lambda j: tirx.Select(active, new(j), old(j))

    def _next(self, at: _At, i: int, new: Any, state: Any) -> None:
        """Store the next state, and the sequence's where it is asked for."""
        active = self._active(at, i)
        kept = self._chosen(active, lambda j: new[j], lambda j: state[j])
        self._store(at, self._at["scratch"], [at.target + at.row + i], kept)
        if self._shape.sequence:
            zero = tirx.const(0, "float32")
            shown = self._chosen(active, lambda j: new[j], lambda j: zero)
            self._store(at, self._at["y"], [at.row + i, at.step], shown)
