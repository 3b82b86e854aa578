"""A service that speaks the API of chat completions over HTTP, on the loopback, with any faults."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from cupola_api.run import GenerateRun


@dataclass
class Reply:
    """What the service does with a request."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    """Says nothing, until the service ends."""
    cut: bool = False
    """Ends the connection in the middle of the body."""
    trickle: bool = False
    """Says headers without end, one after the other, until the client goes or the service ends."""


def completion(text: str | None, finish: str = "stop", read: int = 7, written: int = 5) -> Reply:
    """A good answer."""
    value = {
        "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": finish}],
        "usage": {"prompt_tokens": read, "completion_tokens": written},
    }
    return Reply(body=json.dumps(value).encode())


class Service(ThreadingHTTPServer):
    """The service; `reply` says what it does, by the request and how often that was asked before."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply: Callable[[dict[str, Any], int], Reply] = lambda body, _: completion(
            f"About {body['messages'][-1]['content'].split()[-1]}, number {body['seed']}."
        )
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.ending = threading.Event()
        self.lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no error."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: Service

    def log_message(self, *arguments: Any) -> None:
        """Keep quiet."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.lock:
            before = self.server.asked.count(body)
            self.server.asked.append(body)
            self.server.keys.append(self.headers.get("Authorization"))
        reply = self.server.reply(body, before)
        if reply.hang:
            self.server.ending.wait(20)
            self.close_connection = True
            return
        if reply.trickle:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n")
            while not self.server.ending.wait(0.02):
                self.wfile.write(b"X: y\r\n")
                self.wfile.flush()
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body) + reply.cut))
        self.end_headers()
        self.wfile.write(reply.body)
        self.wfile.flush()
        if reply.cut:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.ending.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    """Ten real documents."""
    folder = tmp_path / "pages"
    folder.mkdir()
    lines = [json.dumps({"text": f"A page that speaks of topic{i}"}) for i in range(10)]
    (folder / "a.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture
def make(tmp_path: Path, documents: Path, service: Service) -> Callable[..., GenerateRun]:
    """A run that asks the service about the ten documents."""

    def run(**fields: Any) -> GenerateRun:
        value: dict[str, Any] = {
            "namespace": "n",
            "name": "d",
            "output": (tmp_path / "out").as_uri(),
            "source": "written",
            "endpoint": {"url": service.url, "model": "toy", "timeout": "2s"},
            "prompts": [{"name": "plain", "text": "Say it in plain words: {text}"}],
            "seeds": {
                "source": {"name": "pages", "uri": documents.as_uri(), "format": "Jsonl"},
                "max_characters": 1000,
            },
            "documents": 20,
            "max_tokens": 50,
            "temperature": 1.0,
            "top_p": 1.0,
            "seed": 0,
            "concurrency": 4,
            "threads": 1,
        }
        return GenerateRun.model_validate(value | fields)

    return run
