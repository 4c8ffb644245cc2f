"""The process that builds for another one, which a crash of TVM or LLVM must not end.

Jobs come in by its standard input, and answers go out by its output. A job is a pickled (model,
options, output, folder to work in, sys.path). Answers are pickled pairs: ("step", text) as the
build goes on, then ("built", BuildResult) or ("failed", exception). The process ends with its
input; a build that goes on then is given up. See `contained_build.py`.
"""

from __future__ import annotations

import os
import pickle
import queue
import signal
import sys
import threading
from pathlib import Path
from typing import IO, Any

__all__ = ["main"]


def main() -> None:
    """Build until there are no more jobs."""
    from rtcompile.driver import build_here
    from rtcompile.files.scratch_folder import sigterm_unwinds

    jobs, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what libraries print is no answer
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # whoever gave the job says what is to become of it
    waiting: queue.Queue[Any] = queue.Queue()
    busy = threading.Event()
    threading.Thread(target=_read, args=(jobs, waiting, busy), daemon=True).start()
    while (job := waiting.get()) is not None:
        model, options, output, folder, path = job
        os.chdir(folder)
        sys.path[:] = path

        def say(step: str) -> None:
            _answer(answers, ("step", step))

        try:
            with sigterm_unwinds():
                result = build_here(Path(model), options, output=Path(output), progress=say)
            _answer(answers, ("built", result))
        except Exception as error:
            _answer(answers, ("failed", error))
        busy.clear()


def _read(jobs: IO[bytes], waiting: queue.Queue[Any], busy: threading.Event) -> None:
    """Hand jobs on; at the end of them, end the process, so that its folders go."""
    try:
        while True:
            job = pickle.load(jobs)
            busy.set()
            waiting.put(job)
    except (EOFError, OSError):
        waiting.put(None)
        if busy.is_set():
            os.kill(os.getpid(), signal.SIGTERM)


def _answer(answers: IO[bytes], answer: tuple[str, Any]) -> None:
    answers.write(pickle.dumps(answer))  # whole, or not at all
    answers.flush()
