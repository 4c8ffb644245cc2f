"""A request in one call of compiled code: reading it, the user's stages, the rest over the items.

`serve_plan.py` says what the function is told. A request that it does not take, for a value of a
type that compiled code does not know or for memory that is too small, is read by the runtime, and
goes stage by stage where a column is left (`ranking.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

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
from runtime.serve_plan import SERVE, Names, Outcome, Word
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
        self._function, self._turn = server.new_function(), TURN.address
        self._reads, self._brief = int(server.reads), server.brief
        self._outputs = [port.name for port in server.stages[-1].outputs]
        self._is_left = False  # whether `answer` found that a column is left to the runtime
        self._helpers = server.stages[-1].helpers
        self._results = list(results)
        inputs = [[], *([table.pointer] for table in tables)]
        if server.answers:
            self._results.append(server.stages[-1].answer_memory(1))
        words = [0] * Word.STAGES
        parts = zip(self._workspaces, inputs, self._results, strict=True)
        for workspace, given, made in parts:
            words += [*workspace.pointers, *given, *made.pointers]
        array = aligned_empty(len(words), "int64")
        array[:] = words
        self._words, self._address = array.data, address(array)
        plan = server.encoder.plan
        assert plan is not None
        self._words[Word.COUNT], self._words[Word.PLAN] = plan
        self._words[Word.CONSTANTS] = server.constants
        self._words[Word.NAMES] = address(server.names)
        self._words[Word.ROOM] = self._results[-1].rows
        fixed = server.scratch.fixed(1) + server.scratch.per_byte * server.encoder.bound_of_none
        self._words[Word.SCRATCH_PER_BYTE] = server.scratch.per_byte
        self._words[Word.SCRATCH_FIXED] = fixed
        self._enter_memory(server.encoder.memory())
        self._scratch = self._scratch_memory(fixed)

    def set_items(self, places: ItemPlaces, index: int) -> None:
        """Whose ids and places are the request's. `index`: the address of its words."""
        self._words[Word.IDS], self._words[Word.INDEX] = places.words_at, index

    def answer(self, user: object, items: Sequence[object]) -> dict[str, npt.NDArray[Any]] | None:
        """Read a request as it was given, run all stages, and copy the outputs. None where that
        cannot be. Raises as `run`.

        Everything that threads share and Python touches here moves between their caches, so there
        is little of it.
        """
        rows, words = len(items), self._words
        if self._helpers is not None and rows > self._helpers.most_rows:
            return None
        if rows > words[Word.ROOM]:
            self._make_room(rows)
        self._call(id(user), id(items), rows)
        if words[Word.OUTCOME] and (outcome := self._outcome()) != Outcome.DONE:
            self._is_left = outcome == Outcome.LEFT
            return None
        return dict(zip(self._outputs, self.answers(words[Word.ROWS]), strict=True))

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
        if server.answers and rows > self._results[-1].rows:
            self._make_room(rows)
        self._call(0, 0, rows)
        return self._outcome() == Outcome.DONE

    def _outcome(self) -> int:
        """How the last call went, made again with more memory where it has to be."""
        words = self._words
        while words[Word.OUTCOME] == Outcome.SCRATCH:
            self._scratch = self._scratch_memory(words[Word.NEEDED])
            self._call(0, 0, words[Word.ROWS])
        outcome = int(words[Word.OUTCOME])
        if outcome >= Outcome.STAGE:
            status = self._workspaces[outcome - Outcome.STAGE].words
            self._server.stages[outcome - Outcome.STAGE].refuse(status[0], status[1], status[2])
        return outcome

    def _call(self, fields: int, ids: int, rows: int) -> None:
        """`fields`, `ids`: where they lie, or 0 where they are read."""
        words, function = self._words, self._function
        keeps = self._brief.keeps_lock(rows)
        words[Word.ROWS] = rows
        words[Word.TURN] = 0 if keeps else self._turn
        words[Word.RELEASES] = 0 if keeps else self._reads
        if keeps is None:
            self._brief.time(rows, lambda: function(fields, ids, self._address))
        else:
            function(fields, ids, self._address)

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
        self._words[Word.ROOM] = made.rows
