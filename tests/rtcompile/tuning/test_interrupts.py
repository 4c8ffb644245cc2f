"""An interrupt that Python lost is raised all the same."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

from rtcompile.tuning.interrupts import Interrupts

# In a process of its own: an interrupt that comes a moment late would end whoever runs the tests.
_LOST = """
import signal
from rtcompile.tuning.interrupts import Interrupts

class Lost:  # interrupted in its destructor, where Python prints an exception and goes on
    def __del__(self):
        signal.raise_signal(signal.SIGINT)

before = signal.getsignal(signal.SIGINT)
with Interrupts() as interrupts:
    interrupts.check()
    lost = Lost()
    del lost
    try:
        interrupts.check()
    except KeyboardInterrupt:
        print("raised again")
assert signal.getsignal(signal.SIGINT) is before
"""

_AT_ONCE = """
import signal
from rtcompile.tuning.interrupts import Interrupts

try:
    with Interrupts():
        signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("raised")
"""


def _said(code: str) -> str:
    command = [sys.executable, "-c", code]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_a_lost_interrupt_is_raised() -> None:
    assert _said(_LOST) == "raised again"


def test_an_interrupt_is_raised_at_once() -> None:
    assert _said(_AT_ONCE) == "raised"


def test_other_threads_have_no_handler() -> None:
    before = signal.getsignal(signal.SIGINT)
    found = []

    def work() -> None:
        with Interrupts() as interrupts:
            interrupts.check()
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]
