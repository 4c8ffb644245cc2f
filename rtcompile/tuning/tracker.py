"""The tracker: TVM's register of workers, which hands a free one to whoever asks."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable

from rtcompile.errors import TuningError
from rtcompile.tuning.addresses import listen

__all__ = ["track"]


def track(host: str, port: int, say: Callable[[str], None]) -> None:
    """Hand out workers until this process is ended. `port` 0 takes a free one.

    Raises TuningError.
    """
    try:
        from tvm.rpc import tracker
    except ImportError as error:
        raise TuningError(f"{error}: pip install 'rtcompile[tune]'") from error
    tracker.logger.setLevel("WARNING")
    with listen(host, port) as listening:
        asyncio.set_event_loop(asyncio.new_event_loop())
        handler = tracker.TrackerServerHandler(listening, secrets.token_hex())
        say(f"tracker on {host}:{listening.getsockname()[1]}")
        handler.run()
