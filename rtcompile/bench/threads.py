"""`rtcompile bench WHAT --threads N`: requests a second of N threads beside those of one.

All threads call one ranker, each with requests of its own, as a service does. Beside that, N
processes, which show what the machine gives, and one request that the threads share
(`runtime.load(..., threads=N)`). One thread, N threads and N processes take turns, so that
a slow minute of the machine falls on all.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path

from rtcompile.bench.graphs import Say
from rtcompile.bench.peers import Call, in_turn
from rtcompile.bench.processes import Processes
from rtcompile.bench.subjects import Subject
from rtcompile.bench.timing import side_by_side
from rtcompile.runtime import Ranker
from rtcompile.runtime.abi.worker_pool import TRIALS

__all__ = ["Throughput", "measure_threads", "requests_per_second"]

# Of a machine whose speed changes within a second, short rounds see the same.
_ROUNDS, _SECONDS = 31, 0.2
# Between two looks at whether to go on: to look costs as much as some parts of a short request.
_UNSEEN_SECONDS = 1e-3


@dataclass(frozen=True)
class Throughput:
    """Requests a second of `rows` rows: of one thread, and of `threads` in all.

    `ratio` is the median of the rounds' ratios, `processes` that of as many processes. `shared`:
    how many times as fast one request is when the threads share it.
    """

    model: str
    rows: int
    threads: int
    one: float
    all: float
    ratio: float
    processes: float
    shared: float


def measure_threads(
    subject: Subject, threads: int, rows: Sequence[int], folder: Path, progress: Say
) -> list[Throughput]:
    """Build once, measure at each of `rows`."""
    path = subject.build(folder / f"{subject.name}.rtc", progress)

    def make() -> Callable[[int, float], float]:
        ranker = subject.load(path)
        return lambda count, seconds: requests_per_second([subject.calls(ranker, count)], seconds)

    with Processes(threads, make) as processes:
        ranker, sharing = subject.load(path), subject.load(path, threads)
        progress(f"{subject.name}: measuring")
        return [_at(subject, count, threads, ranker, sharing, processes) for count in rows]


def _at(
    subject: Subject,
    rows: int,
    threads: int,
    ranker: Ranker,
    sharing: Ranker,
    processes: Processes,
) -> Throughput:
    calls = [subject.calls(ranker, rows) for _ in range(threads)]
    requests_per_second(calls, 0.1)
    processes.requests_per_second(rows, 0.1)
    rounds = [
        (
            requests_per_second(calls[:1], _SECONDS),
            requests_per_second(calls, _SECONDS),
            processes.requests_per_second(rows, _SECONDS),
        )
        for _ in range(_ROUNDS)
    ]
    shared = subject.calls(sharing, rows)
    for call in islice(cycle(shared), TRIALS):  # of which the ranker learns whether to share them
        call()
    taken = side_by_side({"one": in_turn(calls[0]), "shared": in_turn(shared)})
    return Throughput(
        subject.name,
        rows,
        threads,
        statistics.median(one for one, _, _ in rounds),
        statistics.median(several for _, several, _ in rounds),
        statistics.median(several / one for one, several, _ in rounds),
        statistics.median(apart / one for one, _, apart in rounds),
        taken["one"] / taken["shared"],
    )


def requests_per_second(calls: Sequence[Sequence[Call]], seconds: float) -> float:
    """What as many threads as there are lists of calls do in `seconds`.

    Each makes its calls in turn, and begins with another than the threads before it. Its time ends
    with its last call, not with that of another thread.
    """
    threads = len(calls)
    rates = [0.0] * threads
    ready = threading.Barrier(threads + 1)
    stop = threading.Event()

    def work(which: int) -> None:
        own = calls[which]
        turn = cycle(islice(cycle(own), which, which + len(own)))
        count, batch = 0, 1
        ready.wait()
        begin = now = time.perf_counter()
        while count == 0 or not stop.is_set():  # a busy machine may begin late
            for call in islice(turn, batch):
                call()
            before, now, count = now, time.perf_counter(), count + batch
            if now - before < _UNSEEN_SECONDS:
                batch *= 2
        rates[which] = count / (now - begin)

    workers = [threading.Thread(target=work, args=(which,)) for which in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    time.sleep(seconds)
    stop.set()
    for worker in workers:
        worker.join()
    return sum(rates)
