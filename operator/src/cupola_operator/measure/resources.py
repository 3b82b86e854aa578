"""Metrics of resources, read from their status at each scrape: what is gone is not said any more."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from cupola_api.common import Phase, Status
from cupola_operator.children import time_of
from cupola_operator.cluster import Object, key_of
from cupola_operator.measure import forecasts
from cupola_operator.measure.table import (
    BY_NAME,
    CAUSES,
    CONDITIONS,
    FAILURES,
    PHASES,
    RESOURCES,
)
from cupola_operator.resources import parse_status

JOULES_PER_KWH = 3_600_000

Sample = tuple[str, Mapping[str, str], float]
"""Name of a metric, the labels that it has besides kind, namespace and name, and the value."""

_AT_WORK = {Phase.RUNNING, Phase.RECOVERING}


class Resources(Collector):
    """The metrics of RESOURCES for the objects that `objects` gives."""

    def __init__(
        self, objects: Callable[[], Iterable[Object]], clock: Callable[[], float] = time.time
    ) -> None:
        self._objects = objects
        self._clock = clock

    def describe(self) -> Iterable[Family]:
        """The families, without samples: to register it looks at no object."""
        return [_family(metric.name) for metric in RESOURCES]

    def collect(self) -> Iterator[Family]:
        """All families with all samples."""
        families = {metric.name: _family(metric.name) for metric in RESOURCES}
        now = self._clock()
        for value in self._objects():
            key = key_of(value)
            identity = [key.kind, key.namespace, key.name]
            for name, labels, number in samples(parse_status(key.kind, value.get("status")), now):
                own = [labels[label] for label in BY_NAME[name].labels[len(identity) :]]
                families[name].add_metric([*identity, *own], number)
        yield from families.values()


def samples(status: Status, now: float) -> Iterator[Sample]:
    """What a status says in numbers, at the Unix time `now`."""
    ready = status.condition("Ready")
    revision = str(status.run.revision) if status.run else ""
    yield "cupola_resource_info", {"revision": revision, "reason": ready.reason if ready else ""}, 1
    for phase in PHASES:
        yield "cupola_resource_phase", {"phase": phase}, phase == status.phase
    for kind in CONDITIONS:
        if condition := status.condition(kind):
            yield "cupola_resource_condition", {"type": kind}, condition.status == "True"
    if status.run:
        yield from _time("cupola_run_start_timestamp_seconds", status.run.started_at)
        yield from _attempts(status)
    yield from _progress(status, now)
    yield from _cost(status)
    if status.plan:
        yield from forecasts.samples(status.plan, status.cost.currency if status.cost else None)


def _progress(status: Status, now: float) -> Iterator[Sample]:
    progress = status.progress
    if progress is None:
        return
    numbers = {
        "cupola_run_progress_ratio": progress.fraction,
        "cupola_run_step": progress.step,
        "cupola_run_steps": progress.steps,
        "cupola_run_loss_nats": progress.loss,
        "cupola_run_tokens": progress.tokens,
        "cupola_run_tokens_per_second": progress.tokens_per_second,
    }
    for name, number in numbers.items():
        if number is not None:
            yield name, {}, number
    yield from _time("cupola_run_eta_timestamp_seconds", progress.eta)
    for _, labels, saved in _time("", progress.checkpoint_time):
        yield "cupola_run_checkpoint_timestamp_seconds", labels, saved
        if status.phase in _AT_WORK:
            yield "cupola_run_checkpoint_age_seconds", labels, max(0.0, now - saved)


def _attempts(status: Status) -> Iterator[Sample]:
    newest: dict[str | None, int] = {}
    for attempt in status.attempts:  # the oldest may be folded into one, which has the last number
        newest[attempt.stage] = max(attempt.number, newest.get(attempt.stage, 0))
    yield "cupola_run_attempts_total", {}, sum(newest.values())
    for failure in FAILURES:
        number = sum(1 for attempt in status.attempts if attempt.failure == failure)
        yield "cupola_run_failures_total", {"failure": failure}, number
    seconds = sum(Decimal(attempt.gpu_seconds) for attempt in status.attempts)
    yield "cupola_run_gpu_seconds_total", {}, float(seconds)
    split = [attempt.causes for attempt in status.attempts if attempt.causes]
    for cause, field in CAUSES.items():
        part = sum((Decimal(getattr(causes, field)) for causes in split), Decimal(0))
        yield "cupola_run_gpu_seconds_by_cause", {"cause": cause}, float(part)


def _cost(status: Status) -> Iterator[Sample]:
    cost = status.cost
    if cost is None:
        return
    if cost.currency:
        currency = {"currency": cost.currency}
        yield "cupola_run_cost_accrued", currency, float(cost.accrued or 0)
        yield "cupola_run_cost_wasted", currency, float(cost.wasted or 0)
        yield "cupola_run_cost_projected", currency, float(cost.projected or 0)
        for cause, field in CAUSES.items():
            part = float(getattr(cost.causes, field)) if cost.causes else 0.0
            yield "cupola_run_cost_by_cause", {**currency, "cause": cause}, part
    yield "cupola_run_queue_seconds_total", {}, float(cost.queue_seconds)
    energy = Decimal(cost.energy_kwh) * JOULES_PER_KWH
    yield "cupola_run_energy_joules_total", {}, float(energy)


def _time(name: str, text: str | None) -> Iterator[Sample]:
    time_ = time_of(text)
    if time_:
        yield name, {}, time_.timestamp()


def _family(name: str) -> CounterMetricFamily | GaugeMetricFamily:
    metric = BY_NAME[name]
    if metric.type == "counter":
        return CounterMetricFamily(name, metric.help, labels=metric.labels)
    return GaugeMetricFamily(name, metric.help, labels=metric.labels)
