"""What a ranker is measured beside, each on one thread.

usual-stack   raw fields to scores: features in Python, network in ONNX Runtime
float32       raw fields to scores: our own build, beside one in lower precision
tensorflow    raw fields to scores: one traced graph, from tensors of strings that were made before
onnxruntime   the network alone, on features that were made before
openvino      the same
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import cycle
from typing import Any

from rtcompile import runtime
from rtcompile.bench.engines import PACKAGES, openvino_request
from rtcompile.bench.tensorflow_stack import TensorFlowStack
from rtcompile.bench.usual_stack import UsualStack
from rtcompile.errors import UnsupportedError
from rtcompile.models.workloads.design import Request

__all__ = ["PEERS", "Call", "Peers", "in_turn"]

Call = Callable[[], object]
# (requests of as many rows as there are items, items) -> a call
_Maker = Callable[[Sequence[Request], Sequence[str]], Call]

PEERS = ("usual-stack", "tensorflow", "onnxruntime", "openvino")


def in_turn(calls: Iterable[Call]) -> Call:
    """Makes one call after another, so that no cache holds all that a request reads."""
    turn = cycle(list(calls))
    return lambda: next(turn)()  # noqa: PLW0108  (the next one each time)


class Peers:
    """Those of `against` that are installed and can run a model; `say` tells which cannot.

    `float32`: our own build, a peer where it is given.
    """

    def __init__(
        self,
        usual: UsualStack,
        against: Sequence[str],
        say: Callable[[str], object],
        float32: runtime.Ranker | None = None,
    ) -> None:
        self._usual, self._float32 = usual, float32
        makers: dict[str, Callable[[], _Maker]] = {
            "float32": lambda: self._of_float32,
            "usual-stack": lambda: self._of_usual,
            "tensorflow": self._tensorflow,
            "onnxruntime": lambda: self._of_onnxruntime,
            "openvino": self._openvino,
        }
        self._say = say
        self._makers: dict[str, _Maker] = {}
        for name in against:
            try:
                self._makers[name] = makers[name]()
            except ImportError:
                say(f"{name} is not installed (pip install {PACKAGES[name]}): left out")
            except UnsupportedError as error:
                say(f"{error}: left out")

    def calls(self, requests: Sequence[Request], items: Sequence[str]) -> dict[str, Call]:
        """A call of each: a request, in turns."""
        found = {}
        for name, make in list(self._makers.items()):
            try:
                found[name] = make(requests, items)
            except UnsupportedError as error:
                self._say(f"{error}: left out")
                del self._makers[name]
        return found

    def _of_usual(self, requests: Sequence[Request], items: Sequence[str]) -> Call:
        rank = self._usual.rank
        return in_turn([partial(rank, r.user, items, r.context) for r in requests])

    def _of_float32(self, requests: Sequence[Request], items: Sequence[str]) -> Call:
        assert self._float32 is not None  # the command line offers it beside lower precision only
        rank = self._float32.rank
        arrays = [request.arrays() for request in requests]
        return in_turn([partial(rank, r.user, items, r.context or None) for r in arrays])

    def _tensorflow(self) -> _Maker:
        stack = TensorFlowStack(self._usual.bound)

        def make(requests: Sequence[Request], items: Sequence[str]) -> Call:
            fields = self._usual.fields(items)
            return in_turn([stack.prepared(r.user, fields, r.context) for r in requests])

        return make

    def _prepared(self, requests: Sequence[Request], items: Sequence[str]) -> dict[str, Any]:
        """The network's inputs of the first request: it does the same work for each."""
        return self._usual.inputs(requests[0].user, items, requests[0].context)

    def _of_onnxruntime(self, requests: Sequence[Request], items: Sequence[str]) -> Call:
        return partial(self._usual.session.run, None, self._prepared(requests, items))

    def _openvino(self) -> _Maker:
        running = openvino_request(self._usual.bound.path)

        def make(requests: Sequence[Request], items: Sequence[str]) -> Call:
            inputs = self._prepared(requests, items)
            return lambda: running.infer(inputs, share_inputs=True, share_outputs=True)

        return make
