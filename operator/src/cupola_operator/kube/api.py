"""One request to the API server: bounded in time, tried again where that can help.

429 and 5xx, connections that break and answers that are cut off are tried again with growing,
jittered pauses; Retry-After is honoured. A request may have been carried out although its answer
was lost, so that what is sent must stand being sent twice: all writes of `client` do.
"""

from __future__ import annotations

import json
import logging
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from importlib.metadata import version
from itertools import count
from typing import Any, cast

import urllib3
from kubernetes.client import ApiClient, Configuration
from kubernetes.client.exceptions import ApiException

from cupola_operator.cluster import ClusterError, Unavailable

log = logging.getLogger(__name__)

CONNECT_SECONDS = 5.0
READ_SECONDS = 10.0
PATIENCE = 20.0
"""Seconds for a request and all its repetitions."""

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 4.0

NO_ANSWER = "none"
"""The code of a request that had no answer."""

USER_AGENT = f"cupola-operator/{version('cupola-operator')}"

_LEAST = 0.1
"""Seconds that the last repetition of a request has at least."""

_AGAIN = {429, 500, 502, 503, 504}

_FORBIDDEN_TRIES = 3
"""A permission is missing when it was so often: an API server that starts may not know its roles."""

_NO_PERMISSION = re.compile(r'User ".*" cannot \w+ resource')
"""How RBAC refuses; quotas and policies, which also answer 403, have other words."""

Observe = Callable[[str, str, str, float], None]
"""Told of every request sent: verb, resource, status code, seconds."""


class NotLeading(ClusterError):
    """A write was not sent because this replica does not hold the Lease."""


@dataclass(frozen=True)
class Request:
    """What is asked, in the words of Kubernetes."""

    verb: str
    """get, list, create, update, patch, delete."""
    resource: str
    """The plural, with the subresource: `pods`, `datasets/status`."""
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None

    @property
    def method(self) -> str:
        """The HTTP method."""
        return {"create": "POST", "update": "PUT", "patch": "PATCH", "delete": "DELETE"}.get(
            self.verb, "GET"
        )


@dataclass(frozen=True)
class Answer:
    """A status code, and the JSON object that came with it: what was asked for, or a Status."""

    code: int
    value: dict[str, Any]
    retry_after: float = 0

    @property
    def ok(self) -> bool:
        """Whether it was done."""
        return self.code < HTTPStatus.BAD_REQUEST

    @property
    def message(self) -> str:
        """What the API server says of an error."""
        return str(self.value.get("message") or f"status {self.code}")

    @property
    def lacks_permission(self) -> bool:
        """Whether RBAC refused the request."""
        return self.code == HTTPStatus.FORBIDDEN and bool(_NO_PERMISSION.search(self.message))


class _Broken(Exception):
    """A request that had no whole answer."""


class Api:
    """The API server. Methods may be called from any thread.

    `left`: seconds for which writes may still be sent, as the Lease says; absent = always.
    """

    def __init__(
        self,
        configuration: Configuration,
        *,
        left: Callable[[], float] | None = None,
        observe: Observe = lambda *_: None,
    ) -> None:
        self._client = cast("Any", ApiClient(configuration))  # its stubs lack what is used here
        self._client.user_agent = USER_AGENT
        self._left = left
        self._observe = observe
        self._hurry = threading.Event()

    def hurry(self) -> None:
        """Try nothing again from now on: the operator is stopping."""
        self._hurry.set()

    def close(self) -> None:
        """Close idle connections."""
        self._client.close()

    def ask(self, request: Request, patience: float = PATIENCE) -> Answer:
        """The final answer to a request, whatever its status.

        `patience`: seconds for it with all repetitions. Raises Unavailable if there is no answer
        in time, NotLeading.
        """
        deadline = time.monotonic() + patience
        pause = FIRST_PAUSE
        for tries in count(1):
            seconds = min(READ_SECONDS, max(_LEAST, deadline - time.monotonic()))
            if self._left and request.verb not in ("get", "list"):
                seconds = min(seconds, self._left())
                if seconds <= 0:
                    raise NotLeading("this replica does not hold the Lease, so it changes nothing")
            try:
                answer = self._send(request, seconds)
                if answer.lacks_permission and tries < _FORBIDDEN_TRIES:
                    problem = answer.message
                else:
                    problem = answer.message if answer.code in _AGAIN else ""
                wait = answer.retry_after
            except _Broken as broken:
                problem, wait = str(broken), 0.0
            if not problem:
                return answer
            wait = max(wait, pause * random.uniform(0.5, 1))  # noqa: S311 - jitter, no secret
            if self._hurry.is_set() or time.monotonic() + wait >= deadline:
                raise Unavailable(
                    f"the API server does not answer {request.verb} "
                    f"{request.resource or request.path}: {problem}"
                )
            log.debug("%s %s again in %.1f s: %s", request.verb, request.path, wait, problem)
            self._hurry.wait(wait)
            pause = min(LONGEST_PAUSE, pause * 2)
        raise AssertionError  # `count` has no end

    def _send(self, request: Request, seconds: float) -> Answer:
        """Send a request once. Raises _Broken."""
        begun, code = time.monotonic(), NO_ANSWER
        try:
            method, url, headers, body, _ = self._client.param_serialize(
                request.method,
                request.path,
                query_params=list(request.query.items()),
                header_params=_headers(request),
                body=request.body,
                auth_settings=["BearerToken"],
            )
            response = self._client.call_api(
                method,
                url,
                headers,
                body,
                _request_timeout=(min(CONNECT_SECONDS, seconds), seconds),
            )
            data = response.read()
            answer = Answer(response.status, _object(data), _seconds(response))
            code = str(response.status)
        except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
            raise _Broken(_reason(error)) from error
        finally:
            self._observe(request.verb, request.resource, code, time.monotonic() - begun)
        if answer.ok and not answer.value:
            raise _Broken("the answer is no JSON object")
        return answer


def _headers(request: Request) -> dict[str, str]:
    headers = {"Accept": "application/json"}
    if request.body is not None:
        kind = "merge-patch+json" if request.verb == "patch" else "json"
        headers["Content-Type"] = f"application/{kind}"
    return headers


def _object(data: bytes) -> dict[str, Any]:
    """The JSON object of a body; empty if it is none, as of `404 page not found`."""
    try:
        value = json.loads(data)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _seconds(response: Any) -> float:
    text = str(response.headers.get("Retry-After") or "")
    return float(text) if text.isascii() and text.isdigit() else 0.0


def _reason(error: Exception) -> str:
    """What broke, in few words."""
    if isinstance(error, urllib3.exceptions.NewConnectionError):  # is a TimeoutError, too
        return "no connection"
    if isinstance(error, urllib3.exceptions.TimeoutError):
        return "it takes too long"
    text = str(getattr(error, "reason", None) or error).replace("\n", " ")
    return text[:256] or type(error).__name__
