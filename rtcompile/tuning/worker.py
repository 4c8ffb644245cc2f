"""A worker: TVM's RPC server on the target machine, kept alive whatever its candidates do.

Each session is a process of its own. TVM's server loop ends when such a process crashes; `serve`
starts it again on the same socket. Where the worker itself is killed, the kernel ends the session
with it: no candidate runs on without a clock, and the other side learns of it at once.
"""

from __future__ import annotations

import ctypes
import json
import multiprocessing
import os
import signal
import socket
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from rtcompile.codegen.program.trials import Outcome
from rtcompile.errors import RtcompileError, TuningError
from rtcompile.runtime import InferenceError
from rtcompile.tuning.addresses import is_loopback, listen, parse_address
from rtcompile.tuning.tuned.machine import Machine

__all__ = ["MACHINE", "REQUESTS", "serve"]

# Functions of every session: its machine, as JSON; requests to artifacts that were uploaded.
MACHINE, REQUESTS = "rtcompile.worker.machine", "rtcompile.worker.requests"
_PR_SET_PDEATHSIG = 1
_EVERY_ADDRESS = ("0.0.0.0", "::")


def serve(host: str, port: int, tracker: str, key: str, say: Callable[[str], None]) -> None:
    """Run candidates for the tracker at HOST:PORT until this process is ended.

    `port` 0 takes a free one. `say` gets a line about what happens. Raises TuningError.
    """
    address = parse_address(tracker)
    if is_loopback(host) and not is_loopback(address[0]):
        raise TuningError(
            f"a worker that listens on {host} cannot be reached through a tracker on another "
            f"machine, {address[0]}: give --host an address of this one, or use a tunnel"
        )
    _prepare_sessions()
    with listen(host, port) as listening:
        say(f"worker {key!r} on {host}:{listening.getsockname()[1]}, tracker {tracker}")
        while True:
            say(f"{_serve_until_it_breaks(listening, host, address, key)}; going on")


def _serve_until_it_breaks(
    listening: socket.socket, host: str, tracker: tuple[str, int], key: str
) -> str:
    """Serve sessions until one crashes or the tracker is out of reach; gives the reason."""
    from tvm.rpc import server

    server.logger.setLevel("ERROR")
    reported = None if host in _EVERY_ADDRESS else host  # else as the tracker sees it
    port = listening.getsockname()[1]
    home = Path.cwd()
    try:
        server._listen_loop(listening, port, key, tracker, None, reported)
    except (RuntimeError, OSError) as error:
        return str(error)
    finally:
        os.chdir(home)  # the loop leaves the process in the folder of the session that crashed
    raise AssertionError("the loop of TVM's server ends by an exception only")


def _prepare_sessions() -> None:
    """What sessions inherit: to die with the worker, and to tell what machine this is."""
    import tvm_ffi

    multiprocessing.set_start_method("fork", force=True)
    libc = ctypes.CDLL(None)
    os.register_at_fork(after_in_child=lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL))
    machine = Machine.here().to_json()
    tvm_ffi.register_global_func(MACHINE, lambda: machine, override=True)
    tvm_ffi.register_global_func(REQUESTS, _time_requests, override=True)


def _time_requests(uploaded: str) -> str:
    """The outcome, as JSON. `uploaded`: candidate, model, perhaps default and features."""
    import tvm_ffi

    from rtcompile.tuning.requests import Requests, time_requests

    place = tvm_ffi.get_global_func("tvm.rpc.server.workpath")
    files = {name: Path(str(place(name))) for name in str(uploaded).split()}
    requests = Requests(files["model"], files.get("features"))
    try:
        outcome = time_requests(files["candidate"], files.get("default"), requests)
    except (RtcompileError, InferenceError, RuntimeError, ValueError, TypeError) as error:
        outcome = Outcome(None, f"build: {str(error).strip().splitlines()[-1]}")
    return json.dumps(asdict(outcome))
