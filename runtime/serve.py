"""A request in one call of compiled code: reading it, the user's stages, the rest over the items.

`serve_plan.py` says what the function is told. A request that it does not take, for a value of a
type that compiled code does not know or for memory that is too small, is read by the runtime, and
goes stage by stage where a column is left (`ranking.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from runtime.arrays import aligned_empty
from runtime.brief_calls import BriefCalls
from runtime.compiled_encoder import CompiledEncoder, EncodeMemory
from runtime.encoded import Mode
from runtime.input_table import InputTable, address
from runtime.item_index import ItemPlaces
from runtime.python_objects import python_objects
from runtime.python_turn import TURN
from runtime.scratch import Scratch, ScratchMemory
from runtime.serve_plan import SERVE, Answer, Names, Outcome, Word
from runtime.stage import Results, Stage
from runtime.value_plan import State

__all__ = ["Served", "Server"]


class Server:
    """The function, and what all requests share.

    `stages`: those that it runs. `answers`: whether the cross stage is the last of them. `fields`:
    the user's. `reads`: whether it can read Python's objects.
    """

    def __init__(
        self,
        module: Any,
        stages: Sequence[Stage],
        answers: bool,
        constants: int,
        fields: Sequence[str],
        encoder: CompiledEncoder,
        scratch: Scratch,
    ) -> None:
        self._module, self.brief = module, BriefCalls()
        self.reads = python_objects() is not None
        self.stages, self.answers, self.constants = tuple(stages), answers, constants
        self.encoder, self.scratch = encoder, scratch
        # Those of the columns first, whose values are written; some columns may share a field.
        columns = encoder.names
        self._names = [*columns, *(name for name in fields if name not in columns)]
        self.names = aligned_empty(len(self._names) + Names.FIRST, "int64")
        self.names[:] = len(fields), len(self._names), *map(id, self._names)

    def new_function(self) -> Any:
        """Another object each time."""
        function = self._module[SERVE]
        # Reading needs Python's lock; the function gives it up itself.
        function.release_gil = not self.reads
        return function


class Served:
    """The words and the memory of one running request, used again by the next.

    `results`: of the user's stages. `tables`: of the inputs of all stages but the first.
    """

    def __init__(
        self, server: Server, results: Sequence[Results], tables: Sequence[InputTable]
    ) -> None:
        self._server, self._workspaces = server, [stage.workspace() for stage in server.stages]
        # One a request: what is shared moves between the caches of threads.
        self._function, self._brief = server.new_function(), server.brief
        self._is_left = False  # whether `answer` found that a column is left to the runtime
        cross = server.stages[-1]
        self._helpers = cross.helpers
        # As `numpy.empty` takes them: (name, whether all rows share it, shape, dtype).
        self._outputs = [(p.name, p.per_request, p.shape, np.dtype(p.dtype)) for p in cross.outputs]
        self._results = list(results)
        inputs = [[], *([table.pointer] for table in tables)]
        if server.answers:
            self._results.append(cross.answer_memory(1))
        words = [0] * Word.STAGES
        parts = zip(self._workspaces, inputs, self._results, strict=True)
        for workspace, given, made in parts:
            words += [*workspace.pointers, *given, *made.pointers]
        array = aligned_empty(len(words), "int64")
        array[:] = words
        self._words, self._address = array.data, address(array)
        self._fill_words()
        self._enter_memory(server.encoder.memory())
        self._scratch = self._scratch_memory(self._words[Word.SCRATCH_FIXED])
        self._enter_answers()

    def _fill_words(self) -> None:
        """Enter what stays."""
        server, words = self._server, self._words
        plan = server.encoder.plan
        assert plan is not None
        words[Word.COUNT], words[Word.PLAN] = plan
        words[Word.CONSTANTS], words[Word.NAMES] = server.constants, address(server.names)
        words[Word.READS], words[Word.TURN] = int(server.reads), TURN.address
        words[Word.BRIEF] = server.brief.address
        fixed = server.scratch.fixed(1) + server.scratch.per_byte * server.encoder.bound_of_none
        words[Word.SCRATCH_PER_BYTE], words[Word.SCRATCH_FIXED] = server.scratch.per_byte, fixed

    def set_items(self, places: ItemPlaces, index: int) -> None:
        """Whose ids and places are the request's. `index`: the address of its words."""
        self._words[Word.IDS], self._words[Word.INDEX] = places.words_at, index

    def answer(self, user: object, items: Sequence[object]) -> dict[str, npt.NDArray[Any]] | None:
        """Read a request as it was given, run all stages, and give the outputs. None where that
        cannot be. Raises as `run`.

        Everything that threads share and Python touches here moves between their caches, so there
        is little of it.
        """
        rows = len(items)
        if rows > self._room:
            self._make_room(rows)
        if self._helpers is not None and rows > self._helpers.most_rows:
            return None
        found = {}
        for name, shared, shape, dtype in self._outputs:
            found[name] = np.empty(shape if shared else (rows, *shape) if shape else rows, dtype)
        if self._brief.most < rows < self._brief.least_long:
            self._time(id(user), id(items), id(found), rows)
        else:
            self._function(id(user), id(items), id(found), self._address)
        if self._words[Word.OUTCOME] and (outcome := self._outcome(id(found))) != Outcome.DONE:
            self._is_left = outcome == Outcome.LEFT
            return None
        return found

    def run(self, fields: Mapping[str, object], rows: int) -> bool:
        """Run the stages on the user's fields; the cross stage for `rows` rows, unless that is 0.

        False where the request has to go stage by stage. Raises RequestError, UnknownIdError.
        """
        if self._is_left:
            self._is_left = False
            return False
        server = self._server
        encoded = server.encoder.write(fields, self._encoded)
        if encoded is None:
            return False
        if encoded is not self._encoded:
            self._enter_memory(encoded)
        if server.answers and rows > self._room:
            self._make_room(rows)
        self._words[Word.ROWS] = rows
        if self._brief.most < rows < self._brief.least_long:
            self._time(0, 0, 0, rows)
        else:
            self._function(0, 0, 0, self._address)
        return self._outcome(0) == Outcome.DONE

    def _time(self, fields: int, ids: int, found: int, rows: int) -> None:
        self._brief.time(rows, lambda: self._function(fields, ids, found, self._address))

    def _outcome(self, found: int) -> int:
        """How the last call went, made again with more memory where it has to be."""
        words = self._words
        while words[Word.OUTCOME] == Outcome.SCRATCH:
            self._scratch = self._scratch_memory(words[Word.NEEDED])
            self._function(0, 0, found, self._address)
        outcome = int(words[Word.OUTCOME])
        if outcome >= Outcome.STAGE:
            status = self._workspaces[outcome - Outcome.STAGE].words
            self._server.stages[outcome - Outcome.STAGE].refuse(status[0], status[1], status[2])
        return outcome

    def answers(self, rows: int) -> list[npt.NDArray[Any]]:
        """The outputs of the cross stage for `rows` rows, once it ran."""
        return self._results[-1].copies(rows)

    def _enter_memory(self, memory: EncodeMemory) -> None:
        self._encoded = memory
        memory.state[State.MODE] = Mode.ROWS
        self._words[Word.STATE] = memory.state_pointer
        self._words[Word.VALUES] = memory.values.address
        for place, pointer in enumerate(memory.pointers, Word.ENCODED):
            self._words[place] = pointer

    def _scratch_memory(self, needed: int) -> ScratchMemory:
        memory = ScratchMemory(needed + needed // 4)
        self._words[Word.SCRATCH] = memory.header[1]
        self._words[Word.SCRATCH_BYTES] = memory.size
        return memory

    def _make_room(self, rows: int) -> None:
        """For the answer. Its pointers are the last words."""
        made = self._server.stages[-1].answer_memory(rows)
        first = len(self._words) - len(made.pointers)
        for place, pointer in enumerate(made.pointers, first):
            self._words[place] = pointer
        self._results[-1] = made
        self._enter_answers()

    def _enter_answers(self) -> None:
        """Where the outputs of the last stage are copied from, if it answers."""
        self._room = self._results[-1].rows if self._server.answers else 0
        self._words[Word.ROOM] = self._room
        if not self._server.answers:
            return
        answers = aligned_empty(len(self._outputs) * Answer.WORDS, "int64")
        ports, sources = self._server.stages[-1].outputs, self._results[-1].addresses
        for words, port, source in zip(
            answers.reshape(-1, Answer.WORDS), ports, sources, strict=True
        ):
            size = port.row_elements * np.dtype(port.dtype).itemsize
            each, shared = (0, size) if port.per_request else (size, 0)
            words[:] = id(port.name), source, each, shared, 0
        self._answers, self._words[Word.ANSWERS] = answers, address(answers)
