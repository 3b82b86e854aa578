"""Progress on /metrics: what rank 0 of a run serves while it works, in Prometheus' text format."""

from __future__ import annotations

import os
import time
from types import TracebackType
from typing import Self

from prometheus_client import CollectorRegistry, Gauge, start_http_server

from cupola_api import metrics
from cupola_api.run import POD_IP


class Meter:
    """Serves the metrics of `cupola_api.metrics` from the pod's address while it is open.

    Only rank 0 serves; without a pod address (a run by hand) nobody does, and values are only kept.
    """

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._gauges: dict[str, Gauge] = {}
        self._stop = None
        address = os.environ.get(POD_IP)
        if address and os.environ.get("RANK", "0") == "0":
            server, thread = start_http_server(metrics.PORT, addr=address, registry=self._registry)
            self._stop = (server, thread)

    def set(self, values: dict[str, float]) -> None:
        """Set metrics by name; a name is served from the first time it is set."""
        for name, value in {**values, metrics.HEARTBEAT: time.time()}.items():
            if name not in self._gauges:
                self._gauges[name] = Gauge(name, metrics.HELP[name], registry=self._registry)
            self._gauges[name].set(value)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._stop:
            server, thread = self._stop
            server.shutdown()
            server.server_close()
            thread.join(timeout=5)
