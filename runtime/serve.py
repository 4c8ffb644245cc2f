"""A request in one call of compiled code: encoding, the user's stages, the network over the items.

`serve_plan.py` says what the function is told. A request that it does not take, for a value of a
type that compiled code does not know, goes stage by stage instead (`ranking.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy.typing as npt
import tvm_ffi

from runtime.arrays import aligned_empty
from runtime.brief_calls import BriefCalls
from runtime.compiled_encoder import CompiledEncoder, EncodeMemory
from runtime.encoded import Mode
from runtime.input_table import InputTable
from runtime.python_turn import TURN
from runtime.scratch import Scratch, ScratchMemory
from runtime.serve_plan import SERVE, Outcome, Word
from runtime.stage import Results, Stage
from runtime.value_plan import State

__all__ = ["Served", "Server"]


class Server:
    """The function, and what all requests share.

    `stages`: those that it runs. `answers`: whether the cross stage is the last of them.
    """

    def __init__(
        self,
        module: Any,
        stages: Sequence[Stage],
        answers: bool,
        constants: Any,
        encoder: CompiledEncoder,
        scratch: Scratch,
    ) -> None:
        self.call = BriefCalls(lambda: module[SERVE])
        self.stages, self.answers, self.constants = tuple(stages), answers, constants
        self.encoder, self.scratch = encoder, scratch


class Served:
    """The words and the memory of one running request, used again by the next.

    `results`: of the user's stages. `tables`: of the inputs of all stages but the first.
    """

    def __init__(
        self, server: Server, results: Sequence[Results], tables: Sequence[InputTable]
    ) -> None:
        self._server, self._workspaces = server, [stage.workspace() for stage in server.stages]
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
        self._words, self._tensor = array.data, tvm_ffi.from_dlpack(array)
        plan = server.encoder.plan
        assert plan is not None
        self._words[Word.COUNT], self._words[Word.PLAN] = plan
        fixed = server.scratch.fixed(1) + server.scratch.per_byte * server.encoder.bound_of_none
        self._words[Word.SCRATCH_PER_BYTE] = server.scratch.per_byte
        self._words[Word.SCRATCH_FIXED] = fixed
        self._enter_memory(server.encoder.memory())
        self._scratch = self._scratch_memory(fixed)

    def run(self, fields: Mapping[str, object], rows: int) -> bool:
        """Run the stages on the user's fields; the cross stage for `rows` rows, unless that is 0.

        False where the request has to go stage by stage. Raises RequestError, UnknownIdError.
        """
        server, words = self._server, self._words
        encoded = server.encoder.write(fields, self._encoded)
        if encoded is None:
            return False
        if encoded is not self._encoded:
            self._enter_memory(encoded)
        if server.answers and rows > self._results[-1].rows:
            self._make_room(rows)
        words[Word.TURN] = 0 if server.call.keeps_lock(rows) else TURN.address
        server.call(rows, server.constants, self._tensor)
        while words[Word.OUTCOME] == Outcome.SCRATCH:
            self._scratch = self._scratch_memory(words[Word.NEEDED])
            server.call(rows, server.constants, self._tensor)
        if words[Word.OUTCOME] >= Outcome.STAGE:
            number = words[Word.OUTCOME] - Outcome.STAGE
            status = self._workspaces[number].words
            server.stages[number].refuse(status[0], status[1], status[2])
        return bool(words[Word.OUTCOME] == Outcome.DONE)

    def answers(self, rows: int) -> list[npt.NDArray[Any]]:
        """The outputs of the cross stage for `rows` rows, once it ran."""
        return self._results[-1].copies(rows)

    def _enter_memory(self, memory: EncodeMemory) -> None:
        self._encoded = memory
        memory.state[State.MODE] = Mode.ROWS
        self._words[Word.STATE] = memory.state_pointer
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
