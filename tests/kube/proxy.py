"""An HTTP server of our own before the API server, which misbehaves as it is told."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fault = Callable[["Handler"], bool]
"""Does what the proxy does instead of passing on; whether that was all."""


class Proxy:
    """Passes requests on; before that, `faults[method]` is taken from the front while there are any."""

    def __init__(self, target: Any) -> None:
        self.faults: dict[str, list[Fault]] = {}
        self.seen: list[tuple[str, str]] = []
        """Method and path of all requests."""
        proxy = self

        class Bound(Handler):
            owner = proxy
            api = target

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def misbehave(self, method: str, *faults: Fault) -> None:
        """The next requests of that method meet these faults, one each."""
        self.faults.setdefault(method, []).extend(faults)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Handler(BaseHTTPRequestHandler):
    owner: Proxy
    api: Any

    def _any(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.owner.seen.append((self.command, self.path))
        faults = self.owner.faults.get(self.command)
        if faults and faults.pop(0)(self):
            return
        status, kind, data = self.forward()
        self.answer(status, data, {"Content-Type": kind})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815

    def forward(self) -> tuple[int, str, bytes]:
        """Pass the request on; the answer."""
        context = ssl.create_default_context(cafile=str(self.api.ca))
        host = self.api.url.removeprefix("https://")
        connection = http.client.HTTPSConnection(host, context=context, timeout=20)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in ("host", "connection")}
        try:
            connection.request(self.command, self.path, self.body or None, headers)
            response = connection.getresponse()
            return response.status, response.headers["Content-Type"], response.read()
        finally:
            connection.close()

    def answer(self, status: int, data: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def status(code: int, **headers: str) -> Fault:
    """It answers with that status, and passes nothing on."""

    def fault(handler: Handler) -> bool:
        said = {"kind": "Status", "code": code, "message": f"told to say {code}"}
        handler.answer(code, json.dumps(said).encode(), headers)
        return True

    return fault


def cut(handler: Handler) -> bool:
    """The connection breaks before anything is passed on."""
    handler.close_connection = True
    return True


def lost(handler: Handler) -> bool:
    """What is asked is done, and the connection breaks before the answer."""
    handler.forward()
    handler.close_connection = True
    return True


def half(handler: Handler) -> bool:
    """What is asked is done, and the answer is cut off in its middle."""
    code, kind, data = handler.forward()
    handler.send_response(code)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data[: len(data) // 2])
    handler.close_connection = True
    return True


@contextmanager
def before(target: Any) -> Iterator[Proxy]:
    """A proxy before an API server."""
    one = Proxy(target)
    try:
        yield one
    finally:
        one.close()
