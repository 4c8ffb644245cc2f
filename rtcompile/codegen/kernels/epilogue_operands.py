"""What the epilogue of a dense kernel reads beside its sums, and how it is stored.

A panel's columns of a row are evaluated at once, in the registers that hold the sums.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.kernels.dense_shape import DenseShape
from rtcompile.codegen.kernels.epilogue import (
    Period,
    evaluate,
    kept_steps,
    stream_row,
)
from rtcompile.codegen.kernels.panels import Panel
from rtcompile.relay_passes.dialect.epilogue import ACC, Epilogue, Step

__all__ = [
    "Stream",
    "add_stream",
    "apply_epilogue",
    "length_argument",
    "load_row",
    "store_row",
    "stream_buffers",
    "without_addends",
]


def length_argument(shape: DenseShape) -> Period | None:
    """The kernel's last parameter, where its epilogue asks for a sequence's length; else None."""
    return Period.of(T.arg("length", T.int64())) if shape.epilogue.by_length else None


@dataclass(frozen=True)
class Stream:
    """What an epilogue reads: a buffer [rows, columns], by value [rows, 1], and by which rule."""

    form: str
    buffer: Any
    period: Period | None

    def row(self, row: Any) -> Any:
        """The row that belongs to `row` of x."""
        return stream_row(self.form, row, self.period)


def stream_buffers(
    shape: DenseShape, pointers: Sequence[Any], rows: Any, period: Period | None
) -> list[Stream]:
    """The streams of a kernel. `period`: of a sequence, where the epilogue asks for it."""
    return [
        Stream(
            form,
            T.decl_buffer((rows, 1 if form == "value" else shape.columns), "float32", data=pointer),
            period,
        )
        for form, pointer in zip(shape.epilogue.streams, pointers, strict=True)
    ]


def load_row(panel: Panel, source: Any, acc: Any, row: Any) -> None:
    """Load a panel's columns of a row; what pads the panel is zero."""
    if panel.valid < panel.width:
        with T.vectorized(panel.width) as j:
            T.buffer_store(acc, tirx.const(0, "float32"), [j])
    kind = T.vectorized if panel.valid == panel.width else T.unroll
    with kind(panel.valid) as j:
        T.buffer_store(acc, source[row, panel.start + j], [j])


def store_row(
    panel: Panel,
    target: Any,
    results: Any,
    row: Any,
    convert: Callable[[Any], Any] = lambda value: value,
) -> None:
    """Store a panel's columns of a row, as what `convert` makes of them."""
    kind = T.vectorized if panel.valid == panel.width else T.unroll
    with kind(panel.valid) as j:
        T.buffer_store(target, convert(results[j]), [row, panel.start + j])


def without_addends(epilogue: Epilogue) -> tuple[list[int], Epilogue]:
    """(the streams that are added first, what is left to do with the sum).

    What is added can start the accumulators: it needs no registers of its own behind the loop.
    """
    read = [operand for step in epilogue.steps for operand in step.operands]
    added, last = [], ACC
    for index, step in enumerate(epilogue.steps):
        others = [operand for operand in step.operands if operand != last]
        addend = step.operator == "add" and len(others) == 1 and ":" in others[0]
        if not addend or read.count(last) != 1 or others[0].startswith("value"):
            break
        added.append(_number(others[0]))
        last = f"s{index}"
    names = {f"s{i}": f"s{i - len(added)}" for i in range(len(added), len(epilogue.steps))}
    names[last] = ACC
    rest = tuple(
        Step(step.operator, tuple(names.get(operand, operand) for operand in step.operands))
        for step in epilogue.steps[len(added) :]
    )
    return added, Epilogue(rest)


def add_stream(panel: Panel, stream: Stream, acc: Any, row: Any) -> None:
    """Add a stream's row to an accumulator."""
    kind = T.vectorized if panel.valid == panel.width else T.unroll
    place = T.Bind(stream.row(row))
    with kind(panel.valid) as j:
        T.buffer_store(acc, acc[j] + stream.buffer[place, panel.start + j], [j])


def apply_epilogue(
    epilogue: Epilogue, panel: Panel, given: Sequence[Stream], acc: Any, row: Any
) -> Any:
    """The buffer of a row's results: the accumulator, overwritten. `given`: all streams."""
    if not epilogue.steps:
        return acc
    read = {operand for step in epilogue.steps for operand in step.operands}
    streams = {
        index: _stream(stream, panel, row)
        for index, stream in enumerate(given)
        if f"{stream.form}:{index}" in read
    }
    buffers: dict[int, Any] = {}

    def store(index: int, target: Any) -> None:
        with T.vectorized(panel.width) as j:
            kept = {step: buffer[j] for step, buffer in buffers.items()}
            read = lambda text: acc[j] if text == ACC else streams[_number(text)](j)  # noqa: E731
            T.buffer_store(target, evaluate(epilogue, index, read, kept), [j])

    for index in kept_steps(epilogue):
        kept = T.alloc_buffer((panel.width,), "float32")
        store(index, kept)
        buffers[index] = kept
    store(len(epilogue.steps) - 1, acc)
    return acc


def _number(operand: str) -> int:
    return int(operand.split(":")[1])


def _stream(given: Stream, panel: Panel, row: Any) -> Callable[[Any], Any]:
    """A stream's value by column of the panel. A short panel is copied: it may be the last."""
    place, stream = T.Bind(given.row(row)), given.buffer
    if given.form == "value":
        value = T.Bind(stream[place, 0])
        return lambda j: value
    if panel.valid == panel.width:
        return lambda j: stream[place, panel.start + j]
    copied = T.alloc_buffer((panel.width,), "float32")
    with T.vectorized(panel.width) as j:
        T.buffer_store(copied, tirx.const(0, "float32"), [j])
    with T.unroll(panel.valid) as j:
        T.buffer_store(copied, stream[place, panel.start + j], [j])
    return lambda j: copied[j]
