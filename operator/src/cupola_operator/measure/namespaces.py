"""Metrics of namespaces that have a budget: what was spent of it, and how much it is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.registry import Collector

from cupola_operator.cluster import ClusterError, Object, key_of
from cupola_operator.cost.months import month_of
from cupola_operator.cost.namespace import of_others
from cupola_operator.measure.table import BY_NAME, NAMESPACES
from cupola_operator.settings import Period, Settings

log = logging.getLogger(__name__)

KEPT = timedelta(seconds=60)
"""How long the ledgers that were read last are good enough."""


def _now() -> datetime:
    return datetime.now(UTC)


class _Read(NamedTuple):
    at: datetime
    values: list[Object]


class Namespaces(Collector):
    """The metrics of NAMESPACES, of each namespace with resources for which the settings name a budget.

    `objects`: the resources; `ledgers`: those of a namespace, read at most once a minute. A
    namespace whose ledgers cannot be read has no series.
    """

    def __init__(
        self,
        settings: Settings,
        objects: Callable[[], Iterable[Object]],
        ledgers: Callable[[str], list[Object]],
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._settings = settings
        self._objects = objects
        self._ledgers = ledgers
        self._clock = clock
        self._read: dict[str, _Read] = {}

    def describe(self) -> Iterable[Family]:
        """The families, without samples: to register it reads nothing."""
        return [_family(metric.name) for metric in NAMESPACES]

    def collect(self) -> Iterator[Family]:
        """Both families, with a sample a namespace."""
        spent, limit = (_family(metric.name) for metric in NAMESPACES)
        if self._settings.namespaces:
            self._fill(spent, limit)
        yield spent
        yield limit

    def _fill(self, spent: GaugeMetricFamily, limit: GaugeMetricFamily) -> None:
        now, currency = self._clock(), self._settings.currency
        found: dict[str, list[Object]] = {}
        for value in self._objects():
            found.setdefault(key_of(value).namespace, []).append(value)
        self._read = {name: read for name, read in self._read.items() if name in found}
        for namespace, values in sorted(found.items()):
            rule = self._settings.namespace(namespace)
            ledgers = self._known(namespace, now) if rule and rule.budget else None
            if rule is None or rule.budget is None or ledgers is None:
                continue
            month = month_of(now) if rule.budget.per is Period.MONTH else None
            sum_ = of_others(values, ledgers, self._settings, uid="", month=month, now=now)
            spent.add_metric([namespace, currency], float(sum_.spent + sum_.unseen))
            limit.add_metric([namespace, currency], float(rule.budget.max_cost))

    def _known(self, namespace: str, now: datetime) -> list[Object] | None:
        """The ledgers of a namespace; None if they cannot be read."""
        known = self._read.get(namespace)
        if known is None or now - known.at >= KEPT:
            try:
                known = _Read(now, self._ledgers(namespace))
            except ClusterError as error:
                log.warning("what namespace %s spent is not told: %s", namespace, error)
                return None
            self._read[namespace] = known
        return known.values


def _family(name: str) -> GaugeMetricFamily:
    metric = BY_NAME[name]
    return GaugeMetricFamily(name, metric.help, labels=metric.labels)
