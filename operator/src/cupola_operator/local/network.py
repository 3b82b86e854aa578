"""Addresses of pods on one machine.

Linux routes all of 127.0.0.0/8 to this machine, so each pod has an address of its own, and every
pod can serve its metrics on the same port.
"""

from __future__ import annotations

import hashlib
import socket
import zlib

_FIRST_PORT = 20_000
_PORTS = 10_000


def address(owner_uid: str, pod: str) -> str:
    """The loopback address of a pod: the same for the same owner and name, whoever asks.

    24 bits of a hash, outside 127.0.0.0/16. Two pods at work that share one are as good as
    impossible; the later one could not open its port and would be tried again under a new name.
    """
    digest = hashlib.sha256(f"{owner_uid}/{pod}".encode()).digest()
    return f"127.{1 + digest[0] % 254}.{digest[1]}.{1 + digest[2] % 254}"


def free_port(seed: str) -> int:
    """A TCP port that nobody listens on, below those that Linux gives to clients.

    The search begins at a place chosen by `seed`, so that two jobs that search at the same time do
    not find the same one. Raises OSError if there is none.
    """
    start = zlib.crc32(seed.encode())
    for offset in range(_PORTS):
        port = _FIRST_PORT + (start + offset) % _PORTS
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("", port))
            except OSError:
                continue
            return port
    raise OSError(f"no free TCP port between {_FIRST_PORT} and {_FIRST_PORT + _PORTS}")
