from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from prometheus_client import CollectorRegistry, Gauge, start_http_server

from cupola_api import metrics
from cupola_operator import scrape
from cupola_operator.scrape import parse

Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], int]]:
    servers = []

    def start(answer: Answer) -> int:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return server.server_port

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def page(text: bytes, status: int = 200, **headers: str) -> Answer:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        with suppress(OSError):
            request.wfile.write(text)

    return answer


def test_what_the_trainers_library_serves_is_read() -> None:
    registry = CollectorRegistry()
    for name, value in ((metrics.STEP, 12), (metrics.LOSS, 3.5), (metrics.TOKENS, 1e6)):
        Gauge(name, metrics.HELP[name], registry=registry).set(value)
    Gauge("other_metric", "Unknown.", registry=registry).set(1)
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    try:
        said = scrape.scrape("127.0.0.1", server.server_port)
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    assert said == {metrics.STEP: 12, metrics.LOSS: 3.5, metrics.TOKENS: 1e6}


def test_values_that_are_not_finite_are_left_out() -> None:
    text = f"{metrics.LOSS} NaN\n{metrics.STEP} +Inf\n{metrics.STEPS} 9\n"
    assert parse(text) == {metrics.STEPS: 9}


@pytest.mark.parametrize("text", ["{", 'x{a="} 1', "a b c d e", "\x00"])
def test_a_page_that_is_no_metrics_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a page of metrics"):
        parse(text)


@pytest.mark.parametrize("status", [404, 500, 302])
def test_only_a_plain_answer_counts_and_no_redirect_is_followed(
    serve: Callable[[Answer], int], status: int
) -> None:
    hits = []

    def target(request: BaseHTTPRequestHandler) -> None:
        hits.append(request.path)
        page(b"")(request)

    other = serve(target)
    text = f"{metrics.STEP} 1\n".encode()
    port = serve(page(text, status, Location=f"http://127.0.0.1:{other}/metrics"))
    assert scrape.scrape("127.0.0.1", port) == {}
    assert hits == []


def test_a_page_that_is_too_large_is_cut_off(
    serve: Callable[[Answer], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrape, "MAX_BYTES", 100)
    port = serve(page(f"{metrics.STEP} 1\n".encode() + b"#" * 200))
    assert scrape.scrape("127.0.0.1", port) == {}


def test_a_page_that_drips_is_given_up(
    serve: Callable[[Answer], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrape, "TIMEOUT", 0.2)
    stop = threading.Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not stop.wait(0.02):
            try:
                request.wfile.write(b"#")
            except OSError:
                return

    assert scrape.scrape("127.0.0.1", serve(drip)) == {}
    stop.set()


def test_nobody_there_and_no_address() -> None:
    assert scrape.scrape("127.0.0.1", 1) == {}
    assert scrape.scrape("example.org/path", 80) == {}
    assert scrape.scrape("", 80) == {}


def test_rubbish_is_no_answer(serve: Callable[[Answer], int]) -> None:
    assert scrape.scrape("127.0.0.1", serve(page(b"\xff\xfe{"))) == {}
    assert scrape.scrape("127.0.0.1", serve(lambda request: request.wfile.write(b"?\r\n"))) == {}
