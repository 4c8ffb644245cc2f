"""Build in a process of its own, and say what died there.

TVM and LLVM end their process for some graphs: an assertion, a stack that overflows, no memory. A
worker (`build_worker.py`) is started for the first build that may do so, and kept for the next one:
a process of its own for each build would import TVM each time, for seconds, and a fork of a process
with threads is not safe. Which builds these are says `safe_graph.py`.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rtcompile.errors import ToolchainError
from rtcompile.options import BuildOptions

__all__ = ["build_contained"]


# Its modules are found where this process finds them.
_START = "import sys; sys.path[:] = sys.argv[1:]; from rtcompile.build_worker import main; main()"


class _Worker:
    """A worker process that waits for a job."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _START, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def run(self, job: tuple[Any, ...], progress: Callable[[str], None]) -> Any:
        """The result of a job. Raises what it raised, and _DeathError."""
        jobs, answers = self._process.stdin, self._process.stdout
        assert jobs is not None
        assert answers is not None
        step = "start"
        try:
            jobs.write(pickle.dumps(job))
            jobs.flush()
            while True:
                kind, said = pickle.load(answers)
                if kind == "built":
                    return said
                if kind == "failed":
                    raise said
                step = said
                progress(step)
        except (EOFError, BrokenPipeError, pickle.UnpicklingError) as error:
            raise _DeathError(step, self._process.wait()) from error

    def end(self) -> None:
        """End it, so that it cleans up after itself."""
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()


class _DeathError(Exception):
    """A worker is gone, in a step, with a code as subprocess has it."""

    def __init__(self, step: str, code: int) -> None:
        super().__init__(step, code)
        self.step, self.code = step, code


# Those without a job, by the process that started them.
_idle: dict[int, list[_Worker]] = {}


@atexit.register
def _end_all() -> None:
    for worker in _idle.pop(os.getpid(), ()):
        worker.end()


def build_contained(
    model: Path, options: BuildOptions, output: Path, progress: Callable[[str], None]
) -> Any:
    """`conductor.build_here`, in a worker. Raises as that does; ToolchainError where it dies."""
    idle = _idle.setdefault(os.getpid(), [])  # a fork has none yet
    worker = idle.pop() if idle else _Worker()
    job = str(model), options, str(output), str(Path.cwd()), list(sys.path)
    try:
        result = worker.run(job, progress)
    except _DeathError as death:
        worker.end()
        raise ToolchainError(_obituary(death, model, options, output)) from None
    except Exception:
        idle.append(worker)
        raise
    except BaseException:  # an interrupt: it still builds
        worker.end()
        raise
    idle.append(worker)
    return result


def _obituary(death: _DeathError, model: Path, options: BuildOptions, output: Path) -> str:
    how = f"ended with code {death.code}"
    if death.code < 0:
        with contextlib.suppress(ValueError):
            how = f"died of {signal.Signals(-death.code).name}"
    words = [sys.executable, "-m", "rtcompile", "build", str(model), "-o", str(output)]
    for target in options.targets:
        words += ["--target", target]
    words += ["--features", str(options.features)] if options.features else []
    words += [] if options.verify else ["--no-verify"]
    return (
        f"{model}: the compiler {how} in the step {death.step!r}: the graph holds something that "
        f"TVM or LLVM does not survive; {shlex.join(words)} shows it again"
    )
