"""Asks a service that speaks the chat completions API of OpenAI: one answer, tried several times.

Nothing that the service says goes into a message but its status and its own short code: a message
of it may repeat the prompt, or a part of the key.
"""

from __future__ import annotations

import email.utils
import json
import os
import random
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import urllib3

from cupola_api import quantities
from cupola_api.outcome import FailureClass
from cupola_api.run import GenerateRun
from cupola_api.synthetic import ENDPOINT_KEY, Endpoint
from cupola_trainer.curate.synthetic.answers import Answer
from cupola_trainer.curate.synthetic.connections import Connections
from cupola_trainer.curate.synthetic.requests import Request
from cupola_trainer.pod import PodFailure

TRIES = 6
_CONNECT = 10.0
_LONGEST_WAIT = 300.0
_MOST_BYTES = 16 << 20
_CODE = re.compile(r"[a-z][a-z0-9_-]{0,40}")
_AGAIN = {408, 409, 425, 429}
_OF_KEY = {401, 402, 403}
_NO_ADDRESS = {301, 302, 303, 307, 308, 404, 405}

Pause = Callable[[float], bool]
"""Waits some seconds; true if it was woken because all shall end."""


class Failed(NamedTuple):
    """A request to which there is no answer."""

    why: str
    """In a few words that hold nothing of the request."""
    refused: bool = False
    """Whether the endpoint said that it does not take this request."""


class _Again(Exception):
    """A try that may go better later. `after`: seconds, if the service said when."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


class _Malformed(_Again):
    """What came is not of the API."""


class Service:
    """An endpoint, asked by several threads."""

    def __init__(self, run: GenerateRun, endpoint: Endpoint, pause: Pause) -> None:
        self._run = run
        self._endpoint = endpoint
        self._pause = pause
        self._seconds = quantities.seconds(endpoint.timeout)
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if key := os.environ.get(ENDPOINT_KEY, "").strip():
            if not re.fullmatch(r"[\x21-\x7e]+", key):  # the words of http.client would repeat it
                raise PodFailure(
                    "EndpointKeyInvalid",
                    f"the key of the endpoint ({ENDPOINT_KEY}) is not one word of ASCII; see to the entry "
                    "of the Secret that synthetic.model.endpoint.key names",
                    FailureClass.USER,
                )
            self._headers["Authorization"] = f"Bearer {key}"
        self._connections = Connections(run.concurrency)
        self._counts = endpoint.price is not None or run.budget_tokens is not None
        """Whether it must be known how many tokens an answer takes."""
        self.host = urlsplit(endpoint.url).netloc

    def cut_late(self) -> None:
        """Cut off what takes longer than the endpoint's timeout, whatever it is at."""
        self._connections.cut(time.monotonic())

    def cut_all(self) -> None:
        """Cut off all that is asked."""
        self._connections.cut()

    def ask(self, request: Request) -> Answer | Failed:
        """The answer to a request, or why there is none. Raises PodFailure if there can be none."""
        why = ""
        for number in range(TRIES):
            try:
                return self._once(request)
            except _Again as again:
                why = str(again)
                last = TRIES - 1 if not isinstance(again, _Malformed) else 2
                wait = max(again.after or 0.0, 2.0**number * random.uniform(0.5, 1))  # noqa: S311
                if number >= last or self._pause(min(wait, _LONGEST_WAIT)):
                    break
        return Failed(why)

    def _once(self, request: Request) -> Answer | Failed:
        deadline = time.monotonic() + self._seconds
        try:
            with self._connections.until(deadline):
                response = self._connections.pool.request(
                    "POST",
                    f"{self._endpoint.url}/chat/completions",
                    body=json.dumps(self._body(request)).encode(),
                    headers=self._headers,
                    timeout=urllib3.Timeout(connect=_CONNECT, read=self._seconds),
                    redirect=False,
                    preload_content=False,
                )
                try:
                    body = _read(response)
                except BaseException:
                    response.close()
                    raise
                response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            late = time.monotonic() >= deadline
            why = "it did not end in time" if late else type(error).__name__
            raise _Again(f"no answer ({why})") from None
        if response.status == 200:
            return self._answer(request, body)
        return self._refused(response, body)

    def _body(self, request: Request) -> dict[str, Any]:
        system = [{"role": "system", "content": request.system}] if request.system else []
        return {
            "model": self._endpoint.model,
            "messages": [*system, {"role": "user", "content": request.text}],
            "max_tokens": self._run.max_tokens,
            "temperature": self._run.temperature,
            "top_p": self._run.top_p,
            "seed": request.seed,
            "stream": False,
        }

    def _answer(self, request: Request, body: bytes) -> Answer:
        answer, counted = _answer(request, body)
        if self._counts and not counted:
            raise PodFailure(
                "UsageUnknown",
                f"the endpoint {self.host} does not say how many tokens an answer takes (usage: "
                "prompt_tokens and completion_tokens), so that neither a budget nor what it costs can "
                "be known; leave synthetic.budget and the endpoint's price out",
                FailureClass.USER,
            )
        return answer

    def _refused(self, response: urllib3.BaseHTTPResponse, body: bytes) -> Failed:
        status, code = response.status, _code(body)
        said = f"status {status}, {code}" if code else f"status {status}"
        if status in _OF_KEY or code == "insufficient_quota":
            raise PodFailure(
                "EndpointRefused",
                f"the endpoint {self.host} refuses to answer ({said}); see to the key in the Secret "
                "that synthetic.model.endpoint.key names, and to what its account may use",
                FailureClass.USER,
            )
        if status in _NO_ADDRESS:
            raise PodFailure(
                "EndpointUnknown",
                f"the endpoint {self.host} knows no such address or no model {self._endpoint.model} "
                f"({said}); correct synthetic.model.endpoint",
                FailureClass.USER,
            )
        if status in _AGAIN or status >= 500:
            raise _Again(said, _retry_after(response))
        return Failed(said, refused=True)


def _read(response: urllib3.BaseHTTPResponse) -> bytes:
    """The body, if it is not too long."""
    parts: list[bytes] = []
    size = 0
    while part := response.read1(1 << 16):
        parts.append(part)
        size += len(part)
        if size > _MOST_BYTES:
            raise _Malformed(f"an answer of more than {_MOST_BYTES >> 20} MiB")
    return b"".join(parts)


def _answer(request: Request, body: bytes) -> tuple[Answer, bool]:
    """What a chat completion says, and whether it says its tokens. Raises _Malformed if it is none."""
    try:
        value = json.loads(body)
        choice = value["choices"][0]
        text = choice["message"].get("content") or ""
        usage = value.get("usage") or {}
        read, written = (_count(usage.get(f"{name}_tokens")) for name in ("prompt", "completion"))
        found = Answer(
            request.key,
            text=_text(text),
            truncated=choice.get("finish_reason") == "length",
            input_tokens=read or 0,
            output_tokens=written or 0,
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise _Malformed("an answer that is no chat completion") from None
    return found, None not in (read, written)


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # half of a surrogate pair is a ValueError
    return value.replace("\0", "")


def _count(value: object) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 40:
        raise TypeError
    return value


def _code(body: bytes) -> str:
    """The short code of an error, if it is one."""
    try:
        value = json.loads(body)["error"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    for name in ("code", "type"):
        code = value.get(name) if isinstance(value, dict) else None
        if isinstance(code, str) and _CODE.fullmatch(code):
            return code
    return ""


def _retry_after(response: urllib3.BaseHTTPResponse) -> float | None:
    """Seconds that the header Retry-After asks to wait, if it is there."""
    said = response.headers.get("Retry-After", "")
    if re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,6})?", said):
        return float(said)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(said).timestamp() - time.time())
    except (TypeError, ValueError, OverflowError):
        return None
