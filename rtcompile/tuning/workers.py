"""The workers that a tracker knows, counted again and again while a run lasts."""

from __future__ import annotations

import socket
import time
from typing import Any

from rtcompile.errors import TuningError

__all__ = ["Workers"]

_CONNECT_SECONDS = 5.0
_LOOK_AGAIN = 0.2


class Workers:
    """Workers of one key at a tracker. Raises TuningError when the tracker cannot be reached."""

    def __init__(self, host: str, port: int, key: str) -> None:
        self._address, self._key = (host, port), key
        self._session: Any = None
        try:
            self._connect()
        except (OSError, RuntimeError) as error:
            raise TuningError(f"there is no tracker on {host}:{port}: {error}") from error

    def count(self) -> int:
        """How many there are now; 0 while the tracker itself cannot be reached."""
        try:
            if self._session is None:
                self._connect()
            known = self._session.summary()["server_info"]
        except (OSError, RuntimeError):
            self.close()
            return 0
        return sum(worker["key"] == f"server:{self._key}" for worker in known)

    def wait(self, seconds: float) -> int:
        """The count, as soon as it is not 0 or the time is over."""
        until = time.monotonic() + seconds
        while (found := self.count()) == 0 and time.monotonic() < until:
            time.sleep(_LOOK_AGAIN)
        return found

    def close(self) -> None:
        """Leave the tracker."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _connect(self) -> None:
        """Connect, after a try that fails at once where TVM's would go on for a minute."""
        from tvm.rpc import connect_tracker

        socket.create_connection(self._address, _CONNECT_SECONDS).close()
        self._session = connect_tracker(*self._address)
