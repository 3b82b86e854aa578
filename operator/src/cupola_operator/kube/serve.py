"""The operator's pages: /metrics for Prometheus, /healthz and /readyz for the kubelet."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from prometheus_client import CONTENT_TYPE_LATEST

_TEXT = "text/plain; charset=utf-8"
_SECONDS = 10


class Page(NamedTuple):
    """What a page says."""

    text: str
    good: bool = True
    """Whether the status is 200; otherwise it is 503."""
    kind: str = _TEXT
    """Content type."""


METRICS = CONTENT_TYPE_LATEST
"""Content type of metrics."""

Pages = dict[str, Callable[[], Page]]
"""By path."""


class Server:
    """Serves pages from the moment it is made. Raises OSError if it cannot listen."""

    def __init__(self, host: str, port: int, pages: Pages) -> None:
        class Handler(BaseHTTPRequestHandler):
            timeout = _SECONDS
            server_version = "cupola-operator"
            sys_version = ""

            def do_GET(self) -> None:
                make = pages.get(self.path.partition("?")[0])
                page = make() if make else None
                code = HTTPStatus.NOT_FOUND
                if page:
                    code = HTTPStatus.OK if page.good else HTTPStatus.SERVICE_UNAVAILABLE
                text = page.text if page else "there are /metrics, /healthz and /readyz\n"
                data = text.encode()
                self.send_response(code)
                self.send_header("Content-Type", page.kind if page else _TEXT)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Probes come every few seconds and are no news."""

        self._server = ThreadingHTTPServer((host, port), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])
        """The port; that of a free one if 0 was asked for."""
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.2,), name="http", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Serve no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_SECONDS)
