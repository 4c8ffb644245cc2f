"""A request in one call of compiled code: reading it, the user's stages, the rest over the items.

`abi/serve.py` says what the functions are told. A request that they do not take, for a value of a
type that compiled code does not know or an id that is unknown, is read by the runtime
(`ranking.py`). It goes stage by stage from the context stage on, or all the way where a column is
left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.rank import ADDRESSES, Addresses
from rtcompile.runtime.abi.serve import SERVE, Outcome, Request, StageCall
from rtcompile.runtime.items.item_index import ItemPlaces
from rtcompile.runtime.items.item_table import ItemState
from rtcompile.runtime.memory.struct_memory import allocate
from rtcompile.runtime.process.brief_calls import BriefCalls
from rtcompile.runtime.process.python_entry import python_function
from rtcompile.runtime.process.python_objects import python_objects
from rtcompile.runtime.process.python_turn import TURN
from rtcompile.runtime.request.answer import Outputs
from rtcompile.runtime.stages.serve_features import FeaturePlan, RequestFeatures
from rtcompile.runtime.stages.stage import Results, Stage

__all__ = ["Served", "Server"]

_Found = TypeVar("_Found")


class Server:
    """The functions, and what all requests share.

    `stages`: those that it runs, by name and in order. `features`: of those that are stages of
    features, the user's and the context's.
    """

    def __init__(
        self,
        module: Any,
        stages: Mapping[str, Stage],
        features: Sequence[FeaturePlan],
        constants: int,
    ) -> None:
        self._module, self.brief, self.constants = module, BriefCalls(), constants
        self.python = python_objects() or 0
        self.names, self.stages = tuple(stages), tuple(stages.values())
        self.features = tuple(features)
        # Whether the cross stage is the last of them.
        self.answers = "cross" in stages
        self.has_user = "user" in stages
        # Whether a request has fields of the context.
        self.takes_context = any("context" in plan.parts for plan in features)
        addresses = allocate(Addresses)
        if self.answers:
            module[ADDRESSES](addresses.address)
        self.addresses = addresses.words

    @property
    def reads(self) -> bool:
        """Whether it can read Python's objects."""
        return self.python != 0

    @property
    def needs_ids(self) -> bool:
        """Whether it answers only where it reads all: what rows and items have goes into a stage of
        features."""
        return "context" in self.names or self.takes_context

    def new_function(self) -> Any:
        """`serve`, another object each time."""
        function = self._module[SERVE]
        # Of Python's lock, which the function gives up itself where it may.
        function.release_gil = not self.reads
        return function

    def new_answer(self, words: npt.NDArray[np.int64]) -> Callable[..., Any]:
        """`answer` of the words."""
        at = self.addresses[Addresses.ANSWER]
        return python_function("answer", __name__, "", at, words, self._module)


class Served:
    """The words and the memory of one running request, used again by the next.

    `inputs`: where the tables of the stages' inputs lie, none of stages of features. `results`: of
    all stages but the cross stage. `grow_context`: makes room for the context stage's results of so
    many rows, and calls `set_context` where they move. `grow_ids`: makes room for ids, and says
    whether there was too little.
    """

    def __init__(
        self,
        server: Server,
        inputs: Sequence[Sequence[int]],
        results: Sequence[Results],
        grow_context: Callable[[int], object],
        grow_ids: Callable[[Sequence[object]], bool],
    ) -> None:
        self._server, self._grow_context, self._grow_ids = server, grow_context, grow_ids
        self._workspaces = [stage.workspace() for stage in server.stages]
        # One a request: what is shared moves between the caches of threads.
        self._function, self._brief = server.new_function(), server.brief
        self._features = [RequestFeatures(plan) for plan in server.features]
        self._answer = server.stages[-1].answer_memory(1) if server.answers else Results([], [], [])
        made = [*results, self._answer] if server.answers else list(results)
        calls, self._outputs_at = list[int](), list[int]()
        for workspace, given, outputs in zip(self._workspaces, inputs, made, strict=True):
            call = [0] * StageCall.WORDS
            call[StageCall.WORKSPACE], call[StageCall.STATUS] = workspace.pointers
            calls += [*call, *given]
            self._outputs_at.append(len(calls))
            calls += outputs.pointers
        request = allocate(Request, len(calls))
        request.array[Request.STAGES.slice(len(calls))] = calls
        self.words = request.array
        self._words, self._address = request.words, request.address
        self._fill_words()
        if server.answers:
            self._call = server.new_answer(self.words)
            self._enter_answer()

    def _fill_words(self) -> None:
        """Enter what stays."""
        server, words = self._server, self._words
        words[Request.WHOLE], words[Request.READS] = 1, int(server.reads)
        words[Request.CONSTANTS], words[Request.PYTHON] = server.constants, server.python
        words[Request.TURN], words[Request.BRIEF] = TURN.address, server.brief.address
        for number, features in enumerate(self._features):
            words[Request.FEATURES.at(number)] = features.address

    def set_places(self, places: ItemPlaces) -> None:
        """Where the request's ids and places are."""
        self._words[Request.IDS] = places.words_at

    def set_items(self, state: ItemState) -> None:
        """Where items are looked up."""
        self._words[Request.INDEX], self._words[Request.STORED] = (
            state.index.address,
            state.store.address,
        )
        self._words[Request.VERSION] = state.version

    def forget_items(self) -> None:
        """They may be elsewhere."""
        self._words[Request.VERSION] = 0

    def set_context(self, results: Results) -> None:
        """Where the context stage writes."""
        if "context" in self._server.names:
            self._set_outputs(self._server.names.index("context"), results)

    def answer(
        self, user: object, items: Sequence[object], context: object
    ) -> dict[str, npt.NDArray[Any]] | None:
        """Read a request as it was given, its items a list or tuple, run all stages, and give the
        outputs. None where that cannot be. Raises as `run`.

        `context`: None where the model has no fields of it.

        Most requests do not come here: `rank.py`.
        """
        rows = len(items)
        if rows > self._words[Request.ROOM]:
            self._make_room(rows)
        found: dict[str, npt.NDArray[Any]] | None
        found = self._timed(rows, lambda: self._call(user, items, context))
        while found is None and self._has_grown(user, items, context):
            found = self._call(user, items, context)
        self._is_done()
        return found

    def run(self, fields: Mapping[str, object], rows: int | None) -> bool:
        """Run the stages on the user's fields; the cross stage for `rows` rows, if that is not
        None: their places are there.

        False where the request has to go stage by stage, or there is no stage of the user. Raises
        RequestError, UnknownIdError.
        """
        if not self._server.has_user or not self._features[0].write("user", fields):
            return False
        words, count = self._words, rows or 0
        if self._server.answers and count > words[Request.ROOM]:
            self._make_room(count)
        words[Request.ROWS], words[Request.WHOLE] = count, int(rows is not None)
        self._timed(count, lambda: self._function(self._address))
        if words[Request.OUTCOME] == Outcome.SCRATCH:
            self._grow_scratch()
            self._function(self._address)
        words[Request.WHOLE] = 1
        return self._is_done()

    def _has_grown(self, user: object, items: Sequence[object], context: object) -> bool:
        """Whether the last call lacked memory, and it is there now."""
        outcome = self._words[Request.OUTCOME]
        if outcome == Outcome.SCRATCH:
            self._grow_scratch()
            return True
        return outcome == Outcome.UNREAD and self._grow_room(user, items, context)

    def _is_done(self) -> bool:
        """Whether the last call did all. Raises what a stage found."""
        outcome = self._words[Request.OUTCOME]
        if outcome >= Outcome.STAGE:
            status = self._workspaces[outcome - Outcome.STAGE].words
            raise self._server.stages[outcome - Outcome.STAGE].error_of(status)
        return outcome == Outcome.DONE

    def _timed(self, rows: int, call: Callable[[], _Found]) -> _Found:
        """What a call gives. One of untried rows keeps Python's lock: to wait for that is no part
        of what it takes. One that did nothing says nothing."""
        if not self._brief.is_untried(rows):
            return call()
        words = self._words
        words[Request.READS] = words[Request.TURN] = 0
        begin = perf_counter_ns()
        found = call()
        taken = perf_counter_ns() - begin
        words[Request.READS], words[Request.TURN] = int(self._server.reads), TURN.address
        if words[Request.OUTCOME] == Outcome.DONE:
            self._brief.note(rows, taken)
        return found

    def answers(self, rows: int) -> list[npt.NDArray[Any]]:
        """The outputs of the cross stage for `rows` rows, once it ran."""
        return self._answer.copies(rows)

    # -- memory -------------------------------------------------------------------------------

    def _grow_room(self, user: object, items: Sequence[object], context: object) -> bool:
        """Make room for what is read, and say whether there was too little."""
        sides: dict[str, Any] = {"user": user}
        if self._server.takes_context:
            sides["context"] = context
        if any(type(fields) is not dict for fields in sides.values()):
            return False  # compiled code does not read them
        columns = sides.get("context", {}).values()
        if not all(_is_column(column, len(items)) for column in columns):
            return False
        before = [features.capacity for features in self._features]
        more_ids = self._grow_ids(items)
        try:
            written = all(f.write(*side) for f in self._features for side in sides.items())
        except KeyError:
            return False
        more_values = before != [features.capacity for features in self._features]
        return written and (more_ids or more_values)

    def _grow_scratch(self) -> None:
        for features in self._features:
            features.grow_scratch()

    def _make_room(self, rows: int) -> None:
        """For the results of so many rows."""
        self._answer = self._server.stages[-1].answer_memory(rows)
        self._set_outputs(-1, self._answer)
        self._enter_answer()

    def _set_outputs(self, stage: int, results: Results) -> None:
        for place, pointer in enumerate(results.pointers, self._outputs_at[stage]):
            self._words[Request.STAGES.at(place)] = pointer

    def _enter_answer(self) -> None:
        """Where the outputs are copied from."""
        self._words[Request.ROOM] = self._answer.rows
        if "context" in self._server.names:
            self._grow_context(self._answer.rows)
        ports, sources = self._server.stages[-1].outputs, self._answer.addresses
        self._outputs = Outputs(ports, sources.tolist())
        self._words[Request.ANSWERS] = self._outputs.address


def _is_column(values: Any, rows: int) -> bool:
    """Whether these are as many values as there are rows, in a form that compiled code may read."""
    if type(values) is np.ndarray:
        return bool(values.ndim == 1 and len(values) == rows)
    return type(values) in (list, tuple) and len(values) == rows
