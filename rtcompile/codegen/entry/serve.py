"""The function `serve`: from a request's user, items and context to its scores, in one call.

    def serve(request): serve_request(0, 0, 0, request)

    def serve_request(fields, ids, context, request):                   # internal
        outcome = DONE
        if fields != 0: read the user's fields of each stage of features    # `serve_features.py`
        if context != 0: read the context's
        if ids != 0: write_object(ids, request[IDS])
        if any of these could not be read, or there are not request[ROWS] ids: outcome = UNREAD
        where a context stage reads items, and ids != 0: look up, hold the items' columns
        without Python's lock, while the outcome is DONE:               # `python_lock.py`
            else: look up
            encode the fields of each stage of features; outcome = LEFT or SCRATCH where it says so
            user_rows(0, 1, constants, workspace, status, columns, scratch, outputs)
            if status[CODE] != 0: outcome = STAGE + 0
            else: user_network_rows(0, 1, constants, ...)
                ...
                    if request[WHOLE] != 0: cross_rows(0, request[ROWS], constants, ...)
                        if ids != 0: memcpy(answer[TO], answer[FROM]), of each answer

    look up:  look_up_items(FIND, 0, request[IDS], request[INDEX])
              if an id has no place: outcome = UNREAD

`fields` and `context` are the addresses of dicts, `ids` that of a list or tuple; they are 0 where
the values and the places are there already. Of a model without fields of the context, `context` is
not looked at. Where a context stage reads items, ids are looked up under the lock: the columns that
the request then holds have all the places that it found. `runtime/abi/serve.py` describes the
request; all addresses come from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.tirx.script.builder import ir as T

from rtcompile.codegen.emit.linkage import call_with_barriers
from rtcompile.codegen.emit.structs import Struct, struct_at
from rtcompile.codegen.emit.tir import Cell, i64
from rtcompile.codegen.entry.brief_calls import is_brief
from rtcompile.codegen.entry.item_index import LOOK_UP_ITEMS
from rtcompile.codegen.entry.python_lock import without_lock
from rtcompile.codegen.entry.serve_features import RequestFeatures, release_stored
from rtcompile.codegen.entry.stage import stage_rows_name
from rtcompile.codegen.entry.value_bytes import write_object
from rtcompile.codegen.features.wire_format import Marshalled
from rtcompile.codegen.program.program import StageProgram
from rtcompile.runtime.abi.answer import Output
from rtcompile.runtime.abi.item_index import Action, IdList, IdsOutcome
from rtcompile.runtime.abi.layout import Field
from rtcompile.runtime.abi.serve import SERVE, Outcome, Request, StageCall
from rtcompile.runtime.abi.serve_features import StageFeatures, StoredNow
from rtcompile.runtime.abi.status import Status

__all__ = [
    "SERVE_REQUEST",
    "answered_outputs",
    "serve_function",
    "serve_request",
    "served_stages",
]

SERVE_REQUEST = "serve_request"

_USER, _NETWORK, _CONTEXT, _CROSS = "user", "user_network", "context", "cross"


def served_stages(programs: Sequence[StageProgram]) -> list[StageProgram]:
    """The stages that `serve` runs, in order; none where the artifact has no such function.

    It needs features of the user or the context, and that compiled code can encode the columns of
    the user's. Where features of the context run before the cross stage, both are among them only
    if the same holds of these. A profiled build times encoding and stages apart, and a calibrating
    one keeps one status a stage.
    """
    named = {program.name: program for program in programs}
    user, context = named.get(_USER), named.get(_CONTEXT)
    if _CROSS not in named or (user is not None and not user.compiled_columns):
        return []
    if any(program.counter or program.calibration_words for program in programs):
        return []
    answers = context is None or context.compiled_columns
    if user is None and (context is None or not answers):
        return []
    names = [_USER, _NETWORK, *([_CONTEXT, _CROSS] if answers else [])]
    return [named[name] for name in names if name in named]


def answered_outputs(served: Sequence[StageProgram]) -> int:
    """How many outputs are copied to Python's arrays: none where the cross stage is left out."""
    return len(served[-1].outputs) if served[-1].name == _CROSS else 0


def serve_function() -> Any:
    """The PrimFunc `serve(words)`."""
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_name(SERVE)
        T.func_attr({"global_symbol": SERVE, "tirx.is_scheduled": True, "s_tir": True})
        call_with_barriers(SERVE_REQUEST, [i64(0), i64(0), i64(0), T.arg("words", T.int64())])
    return builder.get()


def serve_request(stages: Sequence[StageProgram]) -> Any:
    """The internal PrimFunc `serve_request(fields, ids, context, words)`."""
    with IRBuilder() as builder, T.prim_func(private=True, s_tir=True):
        T.func_name(SERVE_REQUEST)
        T.func_attr({"tirx.is_scheduled": True})
        names = ("fields", "ids", "context", "words")
        given = [T.arg(name, T.int64()) for name in names]
        _Request(stages, *given).emit()
    return builder.get()


def _words(program: StageProgram) -> int:
    """Words of a StageCall."""
    return StageCall.WORDS + _inputs(program) + _outputs(program)


def _inputs(program: StageProgram) -> int:
    if program.reads_columns:
        return 0
    return 1 if program.input_table else len(program.inputs)


def _outputs(program: StageProgram) -> int:
    return 1 if program.output_table else len(program.outputs)


class _Request:
    """Emits what becomes of one request."""

    def __init__(
        self, stages: Sequence[StageProgram], fields: Any, ids: Any, context: Any, words: Any
    ) -> None:
        self._run, self._request = stages, struct_at(Request, words)
        self._fields, self._ids, self._context = fields, ids, context
        self._holds_items = any(stage.name == _CONTEXT and stage.reads_items for stage in stages)
        reading = [stage.name for stage in stages if stage.reads_columns]
        self._features = {
            name: RequestFeatures(self._request.follow(Request.FEATURES.at(number)))
            for number, name in enumerate(reading)
        }
        self._answers = answered_outputs(stages)

    def emit(self) -> None:
        """Emit all of it: reading, with Python's lock, and the answer, mostly without."""
        request, python = self._request, self._request.follow(Request.PYTHON)
        self._say(i64(Outcome.DONE))
        self._read_fields(self._fields, StageFeatures.USER)
        self._read_fields(self._context, StageFeatures.CONTEXT)
        self._read_ids()
        held = Cell("int64", i64(0))
        if self._holds_items:
            self._hold(python, held)
        with self._if_done():
            brief = is_brief(request[Request.ROWS], request.follow(Request.BRIEF))
            releases = T.Bind(tirx.Select(brief, i64(0), request[Request.READS]))
            turn = T.Bind(tirx.Select(brief, i64(0), request[Request.TURN]))
            with without_lock(releases, python, turn):
                if not self._holds_items:
                    self._look_up()
                self._encode()
                with self._if_done():
                    self._stages(0, 0)
        release_stored(T.Bind(held.get()), python)

    @contextmanager
    def _if_done(self) -> Iterator[None]:
        """Emit the body for a request that nothing is in the way of so far."""
        with T.If(self._request[Request.OUTCOME] == Outcome.DONE), T.Then():
            yield

    def _read_fields(self, fields: Any, side: Field) -> None:
        with T.If(fields != 0), T.Then():
            rows = T.Bind(self._request[Request.ROWS])
            for features in self._features.values():
                with T.If(tirx.Not(features.read(side, fields, rows))), T.Then():
                    self._say(i64(Outcome.UNREAD))

    def _read_ids(self) -> None:
        with T.If(self._ids != 0), T.Then():
            at = T.Bind(self._request[Request.IDS])
            write_object(self._ids, at)
            items = struct_at(IdList, at)
            with T.If(items[IdList.WRITTEN] == 0):
                with T.Then():
                    self._say(i64(Outcome.UNREAD))
                with T.Else():
                    text = items.values(IdList.BEGIN, "uint8")
                    # Python's arrays have as many rows: the list may have changed since.
                    count = Marshalled(text, i64(0)).count()
                    with T.If(count != self._request[Request.ROWS]), T.Then():
                        self._say(i64(Outcome.UNREAD))

    def _look_up(self) -> None:
        with self._if_done(), T.If(self._ids != 0), T.Then():
            items, index = T.Bind(self._request[Request.IDS]), T.Bind(self._request[Request.INDEX])
            call_with_barriers(LOOK_UP_ITEMS, [i64(Action.FIND), i64(0), items, index])
            told = struct_at(IdList, items)
            bad = tirx.Or(told[IdList.OUTCOME] != IdsOutcome.DONE, told[IdList.MISSING] != 0)
            with T.If(bad), T.Then():
                self._say(i64(Outcome.UNREAD))

    def _hold(self, python: Struct, held: Cell) -> None:
        """Look up, and hold the columns of the items that are there now; `held`: their block."""
        self._look_up()
        with self._if_done(), T.If(self._ids != 0), T.Then():
            held.set(self._request.follow(Request.STORED)[StoredNow.STORED])
            places = T.Bind(self._request.follow(Request.IDS)[IdList.PLACES])
            self._features[_CONTEXT].hold(T.Bind(held.get()), python, places)

    def _encode(self) -> None:
        for name, features in self._features.items():
            wanted = tirx.const(True, "bool") if name == _USER else self._ids != 0
            with self._if_done(), T.If(wanted), T.Then():
                rows = i64(1) if name == _USER else T.Bind(self._request[Request.ROWS])
                self._say(features.encode(rows))

    def _copy_answers(self) -> None:
        """What the cross stage wrote, to Python's arrays."""
        with T.If(self._ids != 0), T.Then():
            answers, rows = (
                self._request.follow(Request.ANSWERS),
                T.Bind(self._request[Request.ROWS]),
            )
            for number in range(self._answers):
                output = answers.at_index(number)
                each, shared, to, source = (
                    T.Bind(output[field])
                    for field in (Output.ROW_BYTES, Output.SHARED_BYTES, Output.TO, Output.FROM)
                )
                size = T.Bind(rows * each + shared)
                T.evaluate(T.call_extern("int64", "memcpy", to, source, size))

    def _stages(self, number: int, first: int) -> None:
        """Emit the stages from `number` on, whose calls begin at a word `first` of STAGES."""
        if number == len(self._run):
            if self._answers:
                self._copy_answers()
        elif self._run[number].name == _CONTEXT:
            with T.If(self._ids != 0), T.Then():
                self._stage(number, first, T.Bind(self._request[Request.ROWS]))
        elif self._run[number].name == _CROSS:
            with T.If(self._request[Request.WHOLE] != 0), T.Then():
                self._stage(number, first, T.Bind(self._request[Request.ROWS]))
        else:
            self._stage(number, first, i64(1))

    def _stage(self, number: int, first: int, rows: Any) -> None:
        program = self._run[number]
        call = self._request.part(Request.STAGES, StageCall, first)
        workspace, status_at = call.pointer(StageCall.WORKSPACE), call.pointer(StageCall.STATUS)
        inputs = []
        if program.reads_columns:
            features = self._features[program.name]
            inputs = [
                features.pointer(field) for field in (StageFeatures.COLUMNS, StageFeatures.SCRATCH)
            ]
        status = Struct(Status, T.decl_buffer((1,), "int64", data=status_at))
        status[Status.CODE] = i64(0)
        given = [self._request.pointer(Request.CONSTANTS), workspace, status_at]
        ports = range(_inputs(program) + _outputs(program))
        places = [call.pointer(StageCall.ARGUMENTS.at(k)) for k in ports]
        arguments = [i64(0), rows, *given, *inputs, *places]
        call_with_barriers(stage_rows_name(program.name), arguments)
        with T.If(status[Status.CODE] != 0):
            with T.Then():
                self._say(i64(Outcome.STAGE + number))
            with T.Else():
                self._stages(number + 1, first + _words(program))

    def _say(self, outcome: Any) -> None:
        self._request[Request.OUTCOME] = outcome
