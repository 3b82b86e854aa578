from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import pytest
from kubernetes.client import Configuration

from cupola_operator.cluster import Unavailable
from cupola_operator.kube import api as module
from cupola_operator.kube.api import Api, NotLeading, Request

LIST = Request("list", "pods", "/api/v1/pods", {"limit": "5", "continue": "a+b/c="})
CREATE = Request("create", "pods", "/api/v1/pods", body={"kind": "Pod"})


class Script:
    """A server that answers with (status, headers, body) in turn, the last one for ever."""

    def __init__(self, *answers: tuple[int, dict[str, str], str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.agents: set[str] = set()
        script = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                script.asked.append(self.path)
                script.agents.add(self.headers["User-Agent"])
                many = len(script.answers) > 1
                status, headers, body = script.answers.pop(0) if many else script.answers[0]
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            do_POST = do_GET  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()


@pytest.fixture
def opened() -> Iterator[list[Any]]:
    things: list[Any] = []
    yield things
    for one in things:
        if isinstance(one, Script):
            one.server.shutdown()
            one.server.server_close()
            one.thread.join()
        else:
            one.close()


def serve(opened: list[Any], *answers: tuple[int, dict[str, str], str]) -> tuple[Script, str]:
    script = Script(*answers)
    opened.append(script)
    return script, f"http://127.0.0.1:{script.server.server_address[1]}"


def reach(opened: list[Any], url: str, **options: Any) -> Api:
    configuration: Any = Configuration()
    configuration.host = url
    configuration.retries = False
    api = Api(configuration, **options)
    opened.append(api)
    return api


def test_a_query_is_quoted_and_the_answer_is_an_object(opened: list[Any]) -> None:
    script, url = serve(opened, (200, {}, '{"items": []}'))
    answer = reach(opened, url).ask(LIST)
    assert (answer.code, answer.value) == (200, {"items": []})
    assert [unquote(path) for path in script.asked] == ["/api/v1/pods?limit=5&continue=a+b/c="]
    assert "+" not in script.asked[0]  # which would be a space
    assert {agent.partition("/")[0] for agent in script.agents} == {"cupola-operator"}


def test_an_answer_that_says_no_is_final(opened: list[Any]) -> None:
    script, url = serve(opened, (409, {}, '{"message": "exists"}'))
    answer = reach(opened, url).ask(CREATE)
    assert (answer.code, answer.message, answer.ok) == (409, "exists", False)
    assert len(script.asked) == 1


def test_what_never_answers_is_given_up_in_time(opened: list[Any]) -> None:
    script, url = serve(opened, (503, {}, '{"message": "busy"}'))
    with pytest.raises(Unavailable, match="does not answer list pods: busy"):
        reach(opened, url).ask(LIST, patience=1.0)
    assert 2 <= len(script.asked) <= 4


def test_a_pause_that_is_longer_than_the_patience_is_not_waited_for(opened: list[Any]) -> None:
    script, url = serve(opened, (429, {"Retry-After": "3600"}, "{}"))
    with pytest.raises(Unavailable, match="status 429"):
        reach(opened, url).ask(LIST)
    assert len(script.asked) == 1


def test_retry_after_is_waited_for(opened: list[Any]) -> None:
    slept: list[float] = []
    _, url = serve(opened, (429, {"Retry-After": "7"}, "{}"), (200, {}, '{"a": 1}'))
    api = reach(opened, url)
    api._hurry.wait = slept.append  # type: ignore[method-assign,assignment]
    assert api.ask(LIST).value == {"a": 1}
    assert slept == [7.0]


def test_pauses_grow_and_are_jittered(opened: list[Any]) -> None:
    slept: list[float] = []
    _, url = serve(opened, *[(500, {}, "{}")] * 4, (200, {}, '{"a": 1}'))
    api = reach(opened, url)
    api._hurry.wait = slept.append  # type: ignore[method-assign,assignment]
    api.ask(LIST)
    bounds = [(0.125, 0.25), (0.25, 0.5), (0.5, 1), (1, 2)]
    assert all(low <= pause <= high for pause, (low, high) in zip(slept, bounds, strict=True))


def test_a_server_that_is_not_there_is_said_so(opened: list[Any]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(Unavailable, match="does not answer list pods: no connection"):
            reach(opened, url).ask(LIST, patience=0.2)


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_asked(opened: list[Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        begun = time.monotonic()
        with pytest.raises(Unavailable, match="it takes too long"):
            reach(opened, url).ask(LIST, patience=0.5)
        assert time.monotonic() - begun < module.READ_SECONDS


def test_nothing_is_tried_again_in_a_hurry(opened: list[Any]) -> None:
    script, url = serve(opened, (503, {}, "{}"))
    api = reach(opened, url)
    api.hurry()
    with pytest.raises(Unavailable):
        api.ask(LIST)
    assert len(script.asked) == 1


def test_without_the_lease_nothing_is_written(opened: list[Any]) -> None:
    script, url = serve(opened, (200, {}, '{"a": 1}'))
    api = reach(opened, url, left=lambda: 0.0)
    with pytest.raises(NotLeading):
        api.ask(CREATE)
    assert script.asked == []
    assert api.ask(LIST).ok  # every replica may read


def test_a_write_is_given_up_when_the_lease_ends(opened: list[Any]) -> None:
    left = [0.3]
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        api = reach(opened, url, left=lambda: left.pop() if left else 0.0)
        with pytest.raises(NotLeading):
            api.ask(CREATE)


def test_every_request_is_counted(opened: list[Any]) -> None:
    seen: list[tuple[str, str, str]] = []
    _, url = serve(opened, (500, {}, "{}"), (200, {}, '{"a": 1}'))
    api = reach(opened, url, observe=lambda *one: seen.append(one[:3]))
    api.ask(LIST)
    assert seen == [("list", "pods", "500"), ("list", "pods", "200")]


def test_the_module_of_http_is_the_standard_one() -> None:
    """The folder operator/ must shadow nothing: these tests run beside it."""
    assert http.server.__file__.endswith("http/server.py")
