"""Metrics of the operator itself, and the page on which all of them are."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from cupola_api.kinds import KINDS
from cupola_operator.cluster import Key, Object
from cupola_operator.measure.resources import Resources
from cupola_operator.measure.table import BY_NAME

disable_created_metrics()  # type: ignore[no-untyped-call]  # they would double the series

_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Now(Collector):
    """Gauges that are asked for when they are scraped."""

    def __init__(self, gauges: Mapping[str, Callable[[], float | Mapping[str, float]]]) -> None:
        self._gauges = gauges

    def describe(self) -> Iterable[Family]:
        """The families, without samples."""
        return [self._family(name) for name in self._gauges]

    def collect(self) -> Iterator[Family]:
        """Each gauge with what it says now; a mapping is by the value of its one label."""
        for name, ask in self._gauges.items():
            family, value = self._family(name), ask()
            if isinstance(value, Mapping):
                for label, number in value.items():
                    family.add_metric([label], number)
            else:
                family.add_metric([], value)
            yield family

    @staticmethod
    def _family(name: str) -> GaugeMetricFamily:
        metric = BY_NAME[name]
        return GaugeMetricFamily(name, metric.help, labels=metric.labels)


class Measures:
    """All metrics of one replica.

    `objects`: the resources to speak of; `gauges`: name -> what asks for its value; `namespaces`:
    speaks of their budgets, if anything does.
    """

    def __init__(
        self,
        objects: Callable[[], Iterable[Object]],
        gauges: Mapping[str, Callable[[], float | Mapping[str, float]]],
        namespaces: Collector | None = None,
    ) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        release = version("cupola-operator")
        self._registry.register(Now({"cupola_build_info": lambda: {release: 1.0}, **gauges}))
        self._registry.register(Resources(objects))
        if namespaces is not None:
            self._registry.register(namespaces)
        self._duration = self._histogram("cupola_reconcile_duration_seconds")
        self._errors = self._counter("cupola_reconcile_errors_total")
        for kind in KINDS:  # no error so far is a number, too: a rate of it is 0, not absent
            self._errors.labels(kind)
        self._requests = self._counter("cupola_api_requests_total")
        self._answers = self._histogram("cupola_api_request_duration_seconds")

    def page(self) -> str:
        """The page, in Prometheus' text format."""
        return generate_latest(self._registry).decode()

    def request(self, verb: str, resource: str, code: str, seconds: float) -> None:
        """A request was sent to the API server."""
        self._requests.labels(verb, resource, code).inc()
        self._answers.labels(verb, resource).observe(seconds)

    def timed(self, reconcile: Callable[[Key], float | None]) -> Callable[[Key], float | None]:
        """The same function, with its time and its errors counted."""

        def measured(key: Key) -> float | None:
            begun = time.monotonic()
            try:
                return reconcile(key)
            except Exception:
                self._errors.labels(key.kind).inc()
                raise
            finally:
                self._duration.labels(key.kind).observe(time.monotonic() - begun)

        return measured

    def _counter(self, name: str) -> Counter:
        metric = BY_NAME[name]
        return Counter(name, metric.help, metric.labels, registry=self._registry)

    def _histogram(self, name: str) -> Histogram:
        metric = BY_NAME[name]
        return Histogram(
            name, metric.help, metric.labels, registry=self._registry, buckets=_BUCKETS
        )
