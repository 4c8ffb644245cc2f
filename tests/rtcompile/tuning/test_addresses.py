from __future__ import annotations

import pytest

from rtcompile.errors import TuningError
from rtcompile.targets import TARGETS
from rtcompile.tuning.addresses import is_loopback, listen, parse_address
from rtcompile.tuning.tuned.machine import Machine
from rtcompile.tuning.worker import serve


def test_addresses_are_read() -> None:
    assert parse_address("127.0.0.1:9190") == ("127.0.0.1", 9190)
    assert parse_address("[::1]:9190") == ("::1", 9190)


@pytest.mark.parametrize(
    "text", ["", "host", "host:", ":9190", "host:port", "host:0", "host:70000"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(TuningError, match="is not HOST:PORT"):
        parse_address(text)


def test_loopback_is_told_from_other_addresses() -> None:
    assert is_loopback("127.0.0.1") and is_loopback("::1") and is_loopback("localhost")
    assert not is_loopback("0.0.0.0") and not is_loopback("192.0.2.1")


def test_a_port_that_is_taken_is_an_error() -> None:
    with listen("127.0.0.1", 0) as first, pytest.raises(TuningError, match="cannot listen"):
        listen("127.0.0.1", first.getsockname()[1])


def test_a_worker_that_its_tracker_cannot_name_is_refused() -> None:
    with pytest.raises(TuningError, match="cannot be reached through a tracker"):
        serve("127.0.0.1", 0, "192.0.2.1:9190", "key", print)


def test_a_machine_says_what_it_lacks() -> None:
    machine = Machine("a CPU", ("avx2", "fma"), "x86_64", "0")
    assert Machine.from_json(machine.to_json()) == machine
    assert "avx512f" in machine.lacks(TARGETS["x86-64-v4"])
    assert machine.lacks(TARGETS["aarch64-generic"]) == ("aarch64",)
