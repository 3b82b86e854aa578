"""Kopf in a thread of its own: started, stopped, and started again when it gave up.

Kopf ends when a watch fails for good (a CRD is deleted, a permission taken away, the API server is
away for long). It is then started again for the kinds that are there.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import aiohttp
import kopf

from cupola_operator import handlers
from cupola_operator.kube.api import NO_ANSWER, USER_AGENT, Observe
from cupola_operator.kube.connection import authorization
from cupola_operator.kube.places import PLACES

log = logging.getLogger(__name__)

DEAD_SECONDS = handlers.SERVER_SECONDS + 120.0
"""A watch is opened anew at least every SERVER_SECONDS. Without a sign of that it is dead."""

_STOP_SECONDS = 3.0


class Stream(NamedTuple):
    """What one watch streams: a resource, of one namespace or ("") of all."""

    resource: str
    namespace: str = ""


class Signs:
    """When each watch last showed that it lives: by a request or by an event."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last: dict[Stream, float] = {}

    def expect(self, streams: Iterable[Stream]) -> None:
        """From now on these are watched, and no others."""
        now = self._clock()
        with self._lock:
            self._last = dict.fromkeys(streams, now)

    def of(self, stream: Stream) -> None:
        """A watch gave a sign."""
        with self._lock:
            if stream in self._last:
                self._last[stream] = self._clock()

    def ages(self) -> dict[str, float]:
        """Seconds since the last sign, by resource: that of its quietest watch."""
        now = self._clock()
        with self._lock:
            quiet: dict[str, float] = {}
            for stream, last in sorted(self._last.items()):
                quiet[stream.resource] = max(now - last, quiet.get(stream.resource, 0.0))
            return quiet


class Watching:
    """The watches of the cluster. `changed` is called in Kopf's thread."""

    def __init__(
        self,
        configuration: Any,
        *,
        namespaces: Sequence[str],
        changed: handlers.Changed,
        observe: Observe,
        signs: Signs,
    ) -> None:
        self._configuration = configuration
        self._namespaces = list(namespaces)
        self._changed = changed
        self._observe = observe
        self._signs = signs
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self.kinds: frozenset[str] = frozenset()
        """What is watched."""

    @property
    def alive(self) -> bool:
        """Whether Kopf runs."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, kinds: frozenset[str]) -> None:
        """Watch these kinds, and no others any more."""
        self.stop()
        self.kinds = kinds
        self._signs.expect(
            Stream(PLACES[kind].plural, namespace)
            for kind in kinds
            for namespace in self._namespaces or [""]
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(kinds, self._stop), name="kopf", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Watch nothing."""
        self._stop.set()
        if self._thread:
            self._thread.join(_STOP_SECONDS)
        self._thread = None

    def _run(self, kinds: frozenset[str], stop: threading.Event) -> None:
        try:
            kopf.run(
                registry=handlers.registry(kinds, self._on_event, self._login),
                settings=handlers.settings(),
                clusterwide=not self._namespaces,
                namespaces=self._namespaces,
                stop_flag=stop,
            )
        except Exception as error:  # noqa: BLE001 - whatever ended Kopf, it is started again
            log.warning("the watches ended and are opened anew: %s", _sentence(error))

    def _on_event(self, value: dict[str, Any], gone: bool) -> None:
        namespace = value["metadata"].get("namespace", "") if self._namespaces else ""
        self._signs.of(Stream(PLACES[value["kind"]].plural, namespace))
        self._changed(value, gone)

    def _login(self) -> kopf.AiohttpSession:
        """Kopf's connection: the same as the client's, its requests measured, its token fresh."""

        async def measured(request: Any, handler: Any) -> Any:
            stream = stream_of(request.url.path)
            verb = "list" if stream.resource else "get"
            if "watch" in request.url.query:
                verb = "watch"
            self._signs.of(stream)
            request.headers.update(authorization(self._configuration))
            begun, code = time.monotonic(), NO_ANSWER
            try:
                response = await handler(request)
                code = str(response.status)
            finally:
                self._observe(verb, stream.resource, code, time.monotonic() - begun)
            self._signs.of(stream)
            return response

        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=_tls(self._configuration)),
            headers={"User-Agent": USER_AGENT},
            middlewares=[measured],
            proxy=self._configuration.proxy,
        )
        return kopf.AiohttpSession(
            server=self._configuration.host, aiohttp_session=session, default_namespace=None
        )


def stream_of(path: str) -> Stream:
    """What a path of the REST API is about; of no resource if it is not about objects."""
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:] if parts[0] == "apis" else []
    namespace = ""
    if len(rest) > 2 and rest[0] == "namespaces":
        namespace, rest = rest[1], rest[2:]
    return Stream(rest[0] if rest else "", namespace)


def _tls(configuration: Any) -> ssl.SSLContext:
    inline = configuration.ca_cert_data
    context = ssl.create_default_context(
        cafile=configuration.ssl_ca_cert or None,
        cadata=inline.decode() if isinstance(inline, bytes) else inline,
    )
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _sentence(error: BaseException) -> str:
    """What ended Kopf, in one line."""
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    message = getattr(error, "message", None)  # of Kopf's API errors
    text = str(message or error) or type(error).__name__
    return text.replace("\n", " ")[:256]
