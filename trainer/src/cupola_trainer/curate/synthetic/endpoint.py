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
from typing import Any
from urllib.parse import urlsplit

import urllib3

from cupola_api import quantities
from cupola_api.outcome import FailureClass
from cupola_api.run import GenerateRun
from cupola_api.synthetic import ENDPOINT_KEY, Endpoint
from cupola_trainer.curate.synthetic.answers import Answer
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
        self._pool = urllib3.PoolManager(maxsize=run.concurrency, retries=False)
        self.host = urlsplit(endpoint.url).netloc

    def ask(self, request: Request) -> Answer:
        """The answer to a request; one that failed says why. Raises PodFailure if none can come."""
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
        return Answer(request.key, failed=why)

    def _once(self, request: Request) -> Answer:
        deadline = time.monotonic() + self._seconds
        try:
            response = self._pool.request(
                "POST",
                f"{self._endpoint.url}/chat/completions",
                body=json.dumps(self._body(request)).encode(),
                headers=self._headers,
                timeout=urllib3.Timeout(connect=_CONNECT, read=self._seconds),
                redirect=False,
                preload_content=False,
            )
            try:
                body = _read(response, deadline)
            except BaseException:
                response.close()
                raise
            response.release_conn()
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise _Again(f"no answer ({type(error).__name__})") from None
        if response.status == 200:
            return _answer(request, body)
        return self._refused(request, response, body)

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

    def _refused(self, request: Request, response: urllib3.BaseHTTPResponse, body: bytes) -> Answer:
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
        return Answer(request.key, failed=said)


def _read(response: urllib3.BaseHTTPResponse, deadline: float) -> bytes:
    """The body, if it comes in time and is not too long."""
    parts: list[bytes] = []
    size = 0
    while part := response.read1(1 << 16):
        parts.append(part)
        size += len(part)
        if size > _MOST_BYTES:
            raise _Malformed(f"an answer of more than {_MOST_BYTES >> 20} MiB")
        if time.monotonic() > deadline:
            raise _Again("no answer (it did not end in time)")
    return b"".join(parts)


def _answer(request: Request, body: bytes) -> Answer:
    """What a chat completion says. Raises _Malformed if it is none."""
    try:
        value = json.loads(body)
        choice = value["choices"][0]
        text = choice["message"].get("content") or ""
        usage = value.get("usage") or {}
        found = Answer(
            request.key,
            text=_text(text),
            truncated=choice.get("finish_reason") == "length",
            input_tokens=_count(usage.get("prompt_tokens")),
            output_tokens=_count(usage.get("completion_tokens")),
        )
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        raise _Malformed("an answer that is no chat completion") from None
    return found


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    value.encode()  # half of a surrogate pair is a ValueError
    return value.replace("\0", "")


def _count(value: object) -> int:
    if value is None:
        return 0
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
