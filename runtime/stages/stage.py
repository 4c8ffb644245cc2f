"""A compiled stage: its function, its ports, and workspaces to run it in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter_ns
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.layout import Words
from rtcompile.runtime.abi.status import (
    REPORT,
    Code,
    FeatureCounts,
    Probe,
    Status,
    Tallied,
    probes_from,
)
from rtcompile.runtime.encoding.unparsed import unparsed_error
from rtcompile.runtime.errors import RequestError
from rtcompile.runtime.ffi import tvm_ffi
from rtcompile.runtime.memory.arrays import (
    aligned_block,
    aligned_empty,
    as_tensor,
    know_bfloat16,
)
from rtcompile.runtime.memory.input_table import PortAddresses, address
from rtcompile.runtime.memory.inputs_in_place import InputsInPlace
from rtcompile.runtime.memory.small_inputs import SmallInputs, small_rows
from rtcompile.runtime.process.brief_calls import Trials
from rtcompile.runtime.process.python_turn import TURN
from rtcompile.runtime.process.worker_pool import WorkerPool
from rtcompile.runtime.stages.profile import KernelTime, step_times
from rtcompile.runtime.stages.status import refusal

__all__ = ["FEWEST_ROWS", "Port", "Results", "Stage", "Workspace"]

FEWEST_ROWS = 64


@dataclass(frozen=True)
class Port:
    """An input or output: [rows, *shape] of `dtype`, or [*shape] when it is `per_request`.

    What is `flat` has as many values as there are; offsets `cuts` such inputs into a part a row,
    with a `last_offset` behind the last row's or without.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    per_request: bool
    flat: bool = False
    cuts: tuple[str, ...] = ()
    last_offset: bool = False

    @cached_property
    def row_elements(self) -> int:
        """Values a row."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count


class Results:
    """Memory for a stage's outputs of `rows` rows. `arguments`: as its function takes them;
    `pointers`: where these lie."""

    def __init__(
        self,
        arrays: list[npt.NDArray[Any]],
        addresses: list[int],
        arguments: list[Any],
        pointers: Sequence[int] = (),
        rows: int = 0,
    ) -> None:
        self.arrays, self.arguments, self.rows = arrays, arguments, rows
        self.pointers = pointers
        self.addresses = np.array(addresses, np.int64)
        # (whether all rows share it, the array with its extents) an output, where rows are kept.
        self.views: list[tuple[bool, npt.NDArray[Any]]] = []

    def copies(self, rows: int) -> list[npt.NDArray[Any]]:
        """The outputs of `rows` rows, for whoever asked, where rows are kept."""
        return [(view if shared else view[:rows]).copy() for shared, view in self.views]


def _row_bytes(ports: Sequence[Port]) -> list[int]:
    return [0 if p.per_request else p.row_elements * np.dtype(p.dtype).itemsize for p in ports]


def _flat(arrays: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    return [array.reshape(-1) for array in arrays]


@dataclass(frozen=True)
class Workspace:
    """What one running call of a stage computes in, and where it says what is wrong."""

    status: npt.NDArray[np.int64]
    words: Words  # of the status: Python's own integers, and no temporary arrays
    tensors: tuple[Any, Any]  # workspace and status, as the function takes them
    pointers: tuple[int, int]  # where they lie


class Stage:
    """Runs one main function of the module. Safe to call from many threads at once.

    With a `pool`, a call that is worth it is shared by its threads and the caller's. `strict`:
    whether a value that cannot be read is an error.
    `takes_turns`: whether its calls give up the caller's turn at Python and wait for the next
    (`python_turn.py`).
    """

    def __init__(
        self,
        function: Any,
        description: dict[str, Any],
        constants: Any,
        takes_turns: bool = False,
        strict: bool = False,
    ) -> None:
        self._function = function
        self.pool: WorkerPool | None = None
        self._of_workers: list[Workspace] = []
        self._constants = constants
        self._turn = TURN.address if takes_turns else 0
        self._bytes = description["workspace_bytes"]
        self._lookups = description["lookups"]
        self._features = description["features"]
        self._single_row = bool(description["single_row"])
        self._probes: Sequence[Any] = description.get("probes", ())
        self._tallied: Sequence[str] = description["tallied"]
        self._strict = strict
        self._calibrates = bool(description["calibration_words"])
        words = int(description["calibration_words"])
        self._first_probe = probes_from(len(self._tallied), words)
        # Of every workspace that there ever was: the counts are in them.
        self._statuses: list[npt.NDArray[np.int64]] = []
        self.inputs = tuple(_port(port) for port in description["inputs"])
        self.outputs = tuple(_port(port) for port in description["outputs"])
        self._input_table: bool = description["input_table"]
        self._output_table: bool = description["output_table"]
        # Whether a network has an output without rows, which is one of no rows too.
        self._is_fixed = self._input_table and any(port.per_request for port in self.outputs)
        self._row_bytes = _row_bytes(self.outputs)
        # One workspace and one input table a running call. Lists append and pop atomically.
        self._idle: list[Workspace] = []
        self._tables: list[PortAddresses] = []
        self._small: list[SmallInputs] = []
        self._in_place: list[InputsInPlace] = []
        by_rows = self._input_table and not any(p.per_request for p in self.inputs)
        self._first_input = self.inputs[0].name if by_rows and self.inputs else None
        self._small_rows = small_rows(_row_bytes(self.inputs))
        self._answers: list[Results] = []
        self._trials = Trials()  # see `call_one`

    def start_workers(self, work: int, count: int) -> None:
        """Have as many workers, before the first call. `work`: where their function lies.

        Raises RequestError where a thread cannot be started.
        """
        if self._calibrates:
            return  # a calibrating build has its counts in one place
        self._of_workers = [self.workspace() for _ in range(count)]
        places = [workspace.pointers for workspace in self._of_workers]
        # The library too, until they have ended.
        kept = self._of_workers, self._constants, self._function
        self.pool = WorkerPool(work, places, 2 + len(self.outputs), kept)

    def run(
        self,
        rows: int,
        inputs: Sequence[npt.NDArray[Any]],
        sizes: Mapping[str, int] | None = None,
    ) -> list[npt.NDArray[Any]]:
        """Compute `rows` rows from aligned inputs, in port order; returns the outputs.

        `sizes`: elements of the flat outputs whose size the data decides, by port name.
        """
        results = self.allocate(rows, sizes)
        if self._input_table:
            table = self._tables.pop() if self._tables else self.input_table()
            table.set(inputs)
            self.call(rows, [table.tensor, *results.arguments])
            self._tables.append(table)
        else:
            given = map(as_tensor, _flat(inputs))
            self.call(rows, [*given, *results.arguments])
        return self.shaped(rows, results.arrays, sizes)

    def answer(self, rows: int, inputs: Sequence[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
        """`run` of a stage that takes a table of inputs, with all memory used again but the copies
        of the outputs that it returns."""
        table = self._tables.pop() if self._tables else self.input_table()
        table.set(inputs)
        found = self.answer_from(rows, table.tensor)
        self._tables.append(table)
        return found

    def answer_given(self, given: Mapping[str, Any]) -> list[npt.NDArray[Any]] | None:
        """`answer` from arrays by input names: of a few rows copied to memory that is used again,
        of more read where they lie.

        None where an array is not as its port wants it.
        """
        if self._first_input is None:
            return None
        first = given[self._first_input]
        few = type(first) is np.ndarray and first.shape[:1] <= (self._small_rows,)
        idle: list[Any] = self._small if few else self._in_place
        inputs = idle.pop() if idle else self._new_inputs(few)
        rows = inputs.fill(given)
        found = None if rows is None else self.answer_from(rows, inputs.tensor)
        idle.append(inputs)
        return found

    def answer_from(self, rows: int, table: Any) -> list[npt.NDArray[Any]]:
        """`answer`, from the tensor of a table of inputs."""
        results = self._answers.pop() if self._answers else None
        if results is None or results.rows < rows:
            results = self.answer_memory(rows)
        self.call(rows, [table, *results.arguments])
        found = results.copies(rows)
        self._answers.append(results)
        return found

    def answer_memory(self, rows: int) -> Results:
        """Memory for the outputs of at least `rows` rows, to copy answers from."""
        results = self.allocate(max(FEWEST_ROWS, rows + rows // 4))
        shaped = self.shaped(results.rows, results.arrays)
        shared = [port.per_request for port in self.outputs]
        results.views = list(zip(shared, shaped, strict=True))
        return results

    def _new_inputs(self, few: bool) -> SmallInputs | InputsInPlace:
        row_bytes = _row_bytes(self.inputs)
        if few:
            return SmallInputs(self.inputs, row_bytes, self._small_rows)
        return InputsInPlace(self.inputs, row_bytes)

    def input_table(self) -> PortAddresses:
        """A table for the addresses of the inputs."""
        return PortAddresses(_row_bytes(self.inputs))

    def allocate(self, rows: int, sizes: Mapping[str, int] | None = None) -> Results:
        """Memory for the outputs of `rows` rows; of `sizes` elements where that is given."""
        given = sizes or {}
        arrays, addresses = aligned_block(
            [
                (given.get(p.name, (1 if p.per_request else rows) * p.row_elements), p.dtype)
                for p in self.outputs
            ]
        )
        if not self._output_table:
            tensors = list(map(as_tensor, arrays))
            return Results(arrays, addresses, tensors, addresses, rows)
        table = PortAddresses(self._row_bytes)
        table.addresses[:] = addresses
        return Results(arrays, addresses, [table.tensor], [table.pointer], rows)

    def shaped(
        self,
        rows: int,
        outputs: Sequence[npt.NDArray[Any]],
        sizes: Mapping[str, int] | None = None,
    ) -> list[npt.NDArray[Any]]:
        """The outputs with their extents; those of `sizes` stay flat."""
        return [
            output
            if sizes and port.name in sizes
            else output.reshape(port.shape if port.per_request else (rows, *port.shape))
            for output, port in zip(outputs, self.outputs, strict=True)
        ]

    def call(self, rows: int, tensors: Sequence[Any]) -> None:
        """Run on flat aligned tensors, inputs (or their table) then the outputs' arguments.

        Raises RequestError, UnknownIdError.
        """
        if not rows and not self._is_fixed:
            return
        workspace = self._idle.pop() if self._idle else self.workspace()
        words = workspace.words
        words[Status.CODE], words[Status.TURN] = 0, self._turn
        self._function(0, rows, self._constants, *workspace.tensors, *tensors)
        error = self.error_of(words) if words[Status.CODE] else None
        self._idle.append(workspace)
        if error is not None:
            raise error

    def call_one(self, tensors: Sequence[Any]) -> None:
        """`call` of a single row, of a stage that has no other calls: brief ones keep Python's
        lock."""
        if self._trials.over:
            self.call(1, tensors)
            return
        begin = perf_counter_ns()
        self.call(1, tensors)
        if self._trials.note(perf_counter_ns() - begin) and self._trials.brief:
            self._turn = 0
            self._function.release_gil = False

    def error_of(self, words: Words) -> RequestError:
        """What a status says: a RequestError or UnknownIdError."""
        told = {field: words[field] for field in REPORT}
        if told[Status.CODE] in (Code.UNPARSED, Code.UNEQUAL, Code.NO_ID):
            return unparsed_error(self._tallied[told[Status.NUMBER]], words)
        return refusal(told, self._lookups, self._features, self._single_row)

    def tally(self) -> dict[str, tuple[int, int]]:
        """By feature: places that took the default, values that could not be read."""
        counts = np.zeros((len(self._tallied), FeatureCounts.WORDS), np.int64)
        lie_in = Tallied.FEATURES.slice(len(self._tallied))
        for status in list(self._statuses):
            counts += status[lie_in].reshape(counts.shape)
        found: dict[str, tuple[int, int]] = {}
        for name, one in zip(self._tallied, counts.tolist(), strict=True):
            both = one[FeatureCounts.DEFAULTED], one[FeatureCounts.UNPARSED]
            found.setdefault(name, both)  # of several kernels the first counts
        return found

    def profile(self, name: str, tick: float) -> list[KernelTime]:
        """What a profiled build counted since the last time, while no call runs.

        `tick`: nanoseconds of one.
        """
        ran = [*self._idle, *self._of_workers]
        words = [workspace.status[self._first_probe :] for workspace in ran]
        return step_times(name, self._probes, words, tick)

    def calibration_words(self) -> npt.NDArray[np.int64]:
        """What the calls of a calibrating build read and write, as long as one call runs at a time.

        Shared memory: what is written here the next call reads.
        """
        if not self._idle:
            self._idle.append(self.workspace())
        return self._idle[-1].status[Status.WORDS : self._first_probe]

    def workspace(self) -> Workspace:
        """A new one."""
        memory = aligned_empty(self._bytes, "uint8")
        status = aligned_empty(self._first_probe + Probe.WORDS * len(self._probes), "int64")
        status[:] = 0
        status[Status.POOL] = self.pool.address if self.pool else 0
        if self._tallied:
            status[Tallied.STRICT] = self._strict
            self._statuses.append(status)
        tensors = (tvm_ffi.from_dlpack(memory), tvm_ffi.from_dlpack(status))
        return Workspace(status, status.data, tensors, (address(memory), address(status)))


def _port(description: dict[str, Any]) -> Port:
    if description["dtype"] == "bfloat16":
        know_bfloat16()
    return Port(
        description["name"],
        description["dtype"],
        tuple(description["shape"]),
        description["per_request"],
        description.get("flat", False),
        tuple(description.get("cuts", ())),
        description.get("last_offset", False),
    )
