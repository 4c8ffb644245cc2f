"""Where tracker and workers listen: addresses as a user writes them, and which are loopback."""

from __future__ import annotations

import ipaddress
import socket

from rtcompile.errors import TuningError

__all__ = ["is_loopback", "listen", "parse_address"]


def parse_address(text: str) -> tuple[str, int]:
    """HOST:PORT, or [V6]:PORT. Raises TuningError."""
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not (host and colon and port.isdigit() and 0 < int(port) < 1 << 16):
        raise TuningError(f"{text!r} is not HOST:PORT, as in 127.0.0.1:9190")
    return host, int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach `host`. Raises TuningError for a name without address."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise TuningError(f"{host!r} has no address: {error}") from error
    return all(ipaddress.ip_address(address).is_loopback for address in found)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens there, on a free port for 0. Raises TuningError."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listening = socket.socket(family, kind, protocol)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(64)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise TuningError(f"cannot listen on {host}:{port}: {error.strerror or error}") from error
    return listening
