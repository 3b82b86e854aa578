"""Connections of which each exchange ends in time, whatever the other side is at.

A timeout of a socket is one of silence: a service that sends a byte now and then outlasts it. So who
asks says until when, and another thread shuts what is late. What waits there then fails at once.
"""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection

_here = threading.local()
"""Of a thread that asks: `exchange`, what it is at."""


class _Exchange:
    """A request and what comes of it."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.socket: socket.socket | None = None
        self.late = False

    def use(self, used: socket.socket | None) -> None:
        """Go by this socket."""
        self.socket = used
        if self.late:
            self.cut()

    def cut(self) -> None:
        """Shut the socket; of TLS without asking the other side."""
        self.late = True
        if self.socket is not None:
            with suppress(OSError):  # it is closed already
                socket.socket.shutdown(self.socket, socket.SHUT_RDWR)


class _Plain(HTTPConnection):
    def getresponse(self) -> urllib3.response.HTTPResponse:  # type: ignore[override]  # as urllib3 has it
        _here.exchange.use(self.sock)
        return super().getresponse()


class _Tls(HTTPSConnection):
    def getresponse(self) -> urllib3.response.HTTPResponse:  # type: ignore[override]  # as urllib3 has it
        _here.exchange.use(self.sock)
        return super().getresponse()


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Plain


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Tls


class Connections:
    """A pool for several threads, each with one exchange at a time."""

    def __init__(self, most: int) -> None:
        self.pool = urllib3.PoolManager(maxsize=most, retries=False)
        self.pool.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
        self._under_way: set[_Exchange] = set()
        self._lock = threading.Lock()

    @contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """What this thread asks the pool for inside is one exchange, until then by `time.monotonic`."""
        one = _here.exchange = _Exchange(deadline)
        with self._lock:
            self._under_way.add(one)
        try:
            yield
        finally:
            with self._lock:
                self._under_way.discard(one)

    def cut(self, now: float = math.inf) -> None:
        """Cut off the exchanges that should have ended by `now`."""
        with self._lock:
            for one in self._under_way:
                if one.deadline <= now:
                    one.cut()
