"""Hostile requests by every route, in forked children: no signal, no foreign error, one answer.

    python -m tests.fuzz.request_fuzzer --requests 1000000 [--seed 0] [--models FOLDER]

A request is drawn by its number, so one that failed is tried again with `--seed N --requests 1`.
The parent starts a child for some thousands of them; one that dies of a signal, or finds a
difference, says which number it was at. With `--models` a run that was interrupted goes on where
it was when it is started again with the same numbers.

Of each request with features the answers of a ranker that reads it in compiled code and of one that
goes stage by stage are the same to the bit, or errors of one class. Of items, what is computed of
raw fields in the table and what is computed of the same fields as flat rows is the same.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import rtcompile
from rtcompile import runtime
from tests.fuzz.hostile_values import hostile_column, hostile_value
from tests.fuzz.progress import Progress
from tests.onnx_models import two_input_model
from tests.ranking_model import items
from tests.runtime.served_models import CASES, build_case, by_stages, context_of, load_case, user_of

__all__ = ["Models", "fuzz"]

_A_CHILD = 4000  # requests
_ROWS = 6
_MOST_KEPT = 2000  # items, before a child's tables are made anew


@dataclass
class Models:
    """The artifacts: two with features, one of which compiled code reads alone, and one without."""

    paths: tuple[Path, Path]
    graph: Path

    @staticmethod
    def build(folder: Path) -> Models:
        """In a folder, where they are not there yet."""
        paths = []
        for name in ("all_sides", "left_context"):
            path = folder / name / "m.rtc"
            if not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                build_case(path.parent, CASES[name])
            paths.append(path)
        graph = folder / "graph.rtc"
        if not graph.exists():
            two_input_model(folder / "graph.onnx")
            rtcompile.build(folder / "graph.onnx", output=graph)
        return Models((paths[0], paths[1]), graph)


class Rankers:
    """What a child asks: by model a ranker in compiled code, and one that goes stage by stage."""

    def __init__(self, models: Models) -> None:
        self.pairs = [(load_case(path), by_stages(path)) for path in models.paths]
        self.graph = runtime.load(models.graph)
        self.of_users = {id(one): set(one.extract(user_of(one))) for one, _ in self.pairs}


class DifferenceError(Exception):
    """Two routes gave two answers."""


def _outcome(call: Callable[[], Any]) -> Any:
    """What a call gives, or the class of its error; all but ours are raised."""
    try:
        return call()
    except runtime.RequestError as error:
        str(error)
        return type(error)


def _check_same(one: Any, other: Any) -> None:
    if isinstance(one, type) or isinstance(other, type):
        if one is not other:
            raise DifferenceError(f"{_told(one)} beside {_told(other)}")
        return
    if list(one) != list(other):
        raise DifferenceError(f"{list(one)} beside {list(other)}")
    for name in one:
        if not _same(one[name], other[name]):
            raise DifferenceError(f"{name}: {one[name]} beside {other[name]}")


def _told(outcome: Any) -> str:
    return outcome.__name__ if isinstance(outcome, type) else "an answer"


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return one.dtype == other.dtype and one.tobytes() == other.tobytes()
    parts = ("values", "lengths", "key_lengths", "seq_lengths", "weights")
    pairs = [(getattr(one, part), getattr(other, part)) for part in parts]
    return all((a is None) == (b is None) and (a is None or _same(a, b)) for a, b in pairs)


# -- one request -----------------------------------------------------------------------------------


def _one(rankers: Rankers, number: int) -> None:
    rng = random.Random(number)
    kind = rng.random()
    if kind < 0.1:
        _predict(rankers.graph, rng)
        return
    compiled, staged = rng.choice(rankers.pairs)
    if kind < 0.3:
        _upsert(rankers, compiled, staged, rng, number)
    else:
        _rank(compiled, staged, rng)


def _rank(compiled: runtime.Ranker, staged: runtime.Ranker, rng: random.Random) -> None:
    user, count = user_of(compiled), rng.randrange(_ROWS)
    ids: Any = [f"i{rng.randrange(20)}" for _ in range(count)]
    context: Any = context_of(compiled, count)
    where = rng.random()
    if where < 0.75:
        for _ in range(rng.randrange(1, 4)):
            user[rng.choice(list(user))] = hostile_value(rng)
    if where > 0.65:
        name = rng.choice(list(context))
        context[name] = hostile_column(rng, context[name])
    if where > 0.9:
        ids = hostile_column(rng, ids)
    if where > 0.97:
        user = rng.choice([None, list(user), hostile_value(rng), {**user, hostile(rng): 1}])
    _check_same(*[_outcome(lambda r=r: r.rank(user, ids, context)) for r in (compiled, staged)])
    if rng.random() < 0.1:
        _outcome(lambda: compiled.extract(user, ids, context))


def hostile(rng: random.Random) -> Any:
    """A key of a mapping: what can be hashed."""
    value = hostile_value(rng)
    try:
        hash(value)
    except Exception:
        return "x"
    return value


def _upsert(
    rankers: Rankers,
    compiled: runtime.Ranker,
    staged: runtime.Ranker,
    rng: random.Random,
    number: int,
) -> None:
    count = rng.randrange(1, 4)
    table: dict[str, Any] = {name: values[:count] for name, values in items(20).items()}
    table["id"] = [f"n{number % _MOST_KEPT}_{row}" for row in range(count)]
    for name in rng.sample([name for name in table if name != "id"], rng.randrange(1, 3)):
        table[name] = hostile_column(rng, table[name])
    plain_ids = rng.random() < 0.9
    if not plain_ids:
        table["id"] = hostile_column(rng, table["id"])
    outcomes = [_outcome(lambda r=r: r.items.upsert(table, key="id")) for r in (compiled, staged)]
    if isinstance(outcomes[0], type) or isinstance(outcomes[1], type):
        if outcomes[0] is not outcomes[1]:
            raise DifferenceError(f"upsert: {outcomes}")
        return
    if not plain_ids:
        return
    user, context = user_of(compiled), context_of(compiled, count)
    answers = [_outcome(lambda r=r: r.rank(user, table["id"], context)) for r in (compiled, staged)]
    _check_same(*answers)
    raw = {name: values for name, values in table.items() if name != "id"}
    flat = {**{name: [value] * count for name, value in user.items()}, **context, **raw}
    kept = _outcome(lambda: compiled.extract(user, table["id"], context))
    rows = _outcome(lambda: compiled.extract_rows(flat, count))
    if isinstance(kept, Mapping) and isinstance(rows, Mapping):
        users = rankers.of_users[id(compiled)]
        _check_same(*({n: c for n, c in one.items() if n not in users} for one in (kept, rows)))
    else:
        _check_same(kept, rows)


def _predict(ranker: runtime.Ranker, rng: random.Random) -> None:
    rows = rng.randrange(1, 4)
    given: dict[str, Any] = {"X": np.zeros((rows, 5), np.float32), "ids": np.zeros(rows, np.int64)}
    name = rng.choice(list(given))
    options = [hostile_value(rng), hostile_column(rng, given[name].tolist())]
    given[name] = rng.choice(options)
    found = _outcome(lambda: ranker.predict(given))
    if isinstance(found, type):
        return
    # What was taken was exact.
    x, ids = (np.asarray(given[name]) for name in ("X", "ids"))
    exact = {"X": x.astype(np.float32), "ids": ids.astype(np.int64)}
    _check_same(ranker.predict(exact), found)


# -- many ------------------------------------------------------------------------------------------


def fuzz(models: Models, first: int, count: int, progress: Progress | None = None) -> list[str]:
    """Try requests `first` to `first + count`. Returns what went wrong, a line each."""
    rankers, progress = Rankers(models), progress or Progress(first, count)
    end = first + count
    while progress.next < end:
        at, problem = _child(rankers, progress.next, min(progress.next + _A_CHILD, end))
        progress.add(at, problem)
    return progress.problems


def _child(rankers: Rankers, begin: int, end: int) -> tuple[int, str]:
    """Try requests in a child: (the next one, what went wrong)."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        os.close(reads)
        code = 1
        try:
            for number in range(begin, end):
                os.write(writes, f"{number}\n".encode())
                _one(rankers, number)
            code = 0
        except BaseException as error:
            frames = traceback.extract_tb(error.__traceback__)[-4:]
            told = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames))
            text = f"{type(error).__name__}: {str(error)[:300]} at {told}".replace("\n", " ")
            os.write(writes, f"! {text}\n".encode())
        finally:
            os._exit(code)
    os.close(writes)
    with os.fdopen(reads, encoding="utf-8", errors="replace") as lines:
        told = lines.read().splitlines()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    numbers = [int(line) for line in told if line.isdigit()]
    if status == 0:
        return end, ""
    what = told[-1] if told and told[-1].startswith("!") else f"signal {-status}"
    return numbers[-1] + 1, f"request {numbers[-1]}: {what}"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0, help="Number of the first request.")
    parser.add_argument("--models", type=Path, help="Folder that keeps the artifacts.")
    given = parser.parse_args()
    first, count = given.seed, given.requests
    kept = given.models and given.models / f"requests-{first}-{count}.json"
    with tempfile.TemporaryDirectory() as temporary:
        models = Models.build(given.models or Path(temporary))
        progress = Progress(first, count, kept, lambda text: print(text, flush=True))
        problems = fuzz(models, first, count, progress)
    print("\n".join(problems) or "no problem")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
