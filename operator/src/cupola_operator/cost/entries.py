"""What one run cost, as entries of a ledger: one a month, so that it can be closed, added up and shown."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from cupola_api.amounts import Time
from cupola_api.base import Model
from cupola_api.common import Attempt, Name, Status
from cupola_api.spent import Causes
from cupola_operator.children import text_of, time_of
from cupola_operator.cost import causes as by_cause
from cupola_operator.cost import months
from cupola_operator.cost.causes import NAMES
from cupola_operator.cost.ledger import amount
from cupola_operator.cost.months import Month

Sum = Annotated[str, Field(pattern=r"^[0-9]{1,30}(\.[0-9]{1,6})?$")]
"""An amount of a ledger, which people could write too: it is never below zero."""


class Entry(Model):
    """What a run cost in a month. Amounts are decimal strings, money in `currency`."""

    kind: str = Field(pattern="^[A-Z][A-Za-z]{0,62}$")
    name: Name | None = Field(None, description="Absent: runs of several resources, added up.")
    uid: str = Field("", pattern="^([0-9a-z][-0-9a-z]{0,63})?$", description="Of the resource.")
    revision: int = Field(0, ge=0, description="spec.revision of the run.")
    currency: str | None = Field(None, pattern="^[A-Z]{3}$", description="Absent: it had no price.")
    cost: Sum | None = Field(None, description="Money; absent without a price.")
    costs: Causes | None = Field(None, description="That money by cause.")
    gpu_seconds: Sum = Field("0", description="Device seconds.")
    causes: Causes | None = Field(None, description="They by cause.")
    queue_seconds: Sum = Field("0", description="Seconds that it waited for devices.")
    energy_kwh: Sum = Field("0", description="Energy by the pool's watts and PUE, kWh.")
    begin: Time | None = Field(None, description="When it first held devices in this month.")
    end: Time | None = Field(None, description="When it last did.")
    estimated: bool = Field(False, description="Whether the end of a pod was not observed.")
    closed: Time | None = Field(None, description="When the run was closed; absent while it lives.")
    runs: int = Field(1, ge=1, description="Runs that were added up.")

    @property
    def identity(self) -> str:
        """What tells its run from all others: the key of the entry in a ledger."""
        return f"{self.uid}.r{self.revision}" if self.uid else f"{self.kind}.{self.currency or ''}"


def of_run(
    kind: str, name: str, uid: str, status: Status, now: datetime, *, closed: bool = False
) -> dict[Month, Entry]:
    """What the run that a status speaks of cost, by month; `now`: up to when what runs did so.

    An attempt's figures are shared over the months in proportion to time. Of a status with figures
    that could not be Cupola's nothing is said: it must not keep a resource from going.
    """
    try:
        return _of_run(kind, name, uid, status, text_of(now) if closed else None, now)
    except (ValueError, ArithmeticError):
        return {}


def _of_run(  # noqa: PLR0917 - those of `of_run`
    kind: str, name: str, uid: str, status: Status, closed: str | None, now: datetime
) -> dict[Month, Entry]:
    by_month: dict[Month, list[_Part]] = {}
    for attempt in status.attempts:
        for month, part in _parts(attempt, now).items():
            by_month.setdefault(month, []).append(part)
    if not by_month:
        return {}
    weights = {
        month: int(sum(part.gpu_seconds for part in parts) * 1_000_000)
        for month, parts in by_month.items()
    }
    spent = status.cost
    energy = months.by_weight(Decimal(spent.energy_kwh) if spent else Decimal(0), weights)
    return {
        month: Entry(
            kind=kind,
            name=name,
            uid=uid,
            revision=status.run.revision if status.run else 0,
            currency=spent.currency if spent else None,
            energy_kwh=amount(energy.get(month, Decimal(0))),
            closed=closed,
            **_added(parts),
        )
        for month, parts in sorted(by_month.items())
    }


def of_month(attempts: Iterable[Attempt], month: Month, now: datetime) -> Decimal:
    """The money of attempts in a month; `now`: up to when what runs did so."""
    parts = (part for one in attempts for at, part in _parts(one, now).items() if at == month)
    return sum((part.cost or Decimal(0) for part in parts), Decimal(0))


class _Part:
    """The part of an attempt that lies in a month."""

    def __init__(self, begin: datetime, end: datetime, *, estimated: bool) -> None:
        self.begin, self.end, self.estimated = begin, end, estimated
        self.gpu_seconds, self.causes = Decimal(0), Split()
        self.queue_seconds = Decimal(0)
        self.cost: Decimal | None = None
        self.costs = Split()


Split = dict[str, Decimal]
"""An amount by cause; empty where it was not split."""


def _parts(attempt: Attempt, now: datetime) -> dict[Month, _Part]:
    """An attempt by month; nothing of one that never waited for devices nor held any."""
    begin = time_of(attempt.started_at) or time_of(attempt.queued_at)
    if begin is None:
        return {}
    seen = [time for pod in attempt.pods if (time := time_of(pod.until))]
    end = max(begin, time_of(attempt.ended_at) or max(seen, default=now))
    found = {}
    for month, (seconds, causes) in _shared(
        attempt.gpu_seconds, attempt.causes, begin, end
    ).items():
        first, following = months.bounds(month)
        part = _Part(max(begin, first), min(end, following), estimated=attempt.estimated)
        part.gpu_seconds, part.causes = seconds, causes
        found[month] = part
    waited = Decimal(attempt.queue_seconds or 0)
    for month, queued in months.shares(waited, begin, end).items():
        found[month].queue_seconds = queued
    if attempt.cost is not None:
        for month, (money, costs) in _shared(attempt.cost, attempt.costs, begin, end).items():
            found[month].cost, found[month].costs = money, costs
    return found


def _shared(
    amount: str, causes: Causes | None, begin: datetime, end: datetime
) -> dict[Month, tuple[Decimal, Split]]:
    """An amount and its split by month. The causes are shared, and a month has what its causes add up to."""
    if causes is None:
        return {
            month: (part, {}) for month, part in months.shares(Decimal(amount), begin, end).items()
        }
    found: dict[Month, Split] = {}
    for cause in NAMES:
        for month, part in months.shares(Decimal(getattr(causes, cause)), begin, end).items():
            found.setdefault(month, {})[cause] = part
    return {month: (sum(split.values(), Decimal(0)), split) for month, split in found.items()}


def _added(parts: list[_Part]) -> dict[str, object]:
    """The fields of an entry that parts add up to."""
    costs = [part.cost for part in parts if part.cost is not None]
    return {
        "cost": amount(sum(costs, Decimal(0))) if costs else None,
        "costs": _causes([part.costs for part in parts]),
        "gpu_seconds": amount(sum((part.gpu_seconds for part in parts), Decimal(0))),
        "causes": _causes([part.causes for part in parts]),
        "queue_seconds": amount(sum((part.queue_seconds for part in parts), Decimal(0))),
        "begin": text_of(min(part.begin for part in parts)),
        "end": text_of(max(part.end for part in parts)),
        "estimated": any(part.estimated for part in parts),
    }


def _causes(splits: Iterable[Split]) -> Causes | None:
    there = [split for split in splits if split]
    if not there:
        return None
    return Causes(**{name: amount(sum((one[name] for one in there), Decimal(0))) for name in NAMES})


def added(first: Entry, second: Entry) -> Entry:
    """Two entries of a kind and a currency as one that stands for both, without a name."""
    figures = {
        name: amount(Decimal(getattr(first, name)) + Decimal(getattr(second, name)))
        for name in ("gpu_seconds", "queue_seconds", "energy_kwh")
    }
    return Entry(
        kind=first.kind,
        currency=first.currency,
        cost=_sum([first.cost, second.cost]),
        costs=by_cause.added([first.costs, second.costs]),
        causes=by_cause.added([first.causes, second.causes]),
        begin=min(filter(None, (first.begin, second.begin)), default=None),
        end=max(filter(None, (first.end, second.end)), default=None),
        estimated=first.estimated or second.estimated,
        closed=max(filter(None, (first.closed, second.closed)), default=None),
        runs=first.runs + second.runs,
        **figures,
    )


def _sum(amounts: Iterable[str | None]) -> str | None:
    known = [Decimal(one) for one in amounts if one is not None]
    return amount(sum(known, Decimal(0))) if known else None


def spent(entries: Iterable[Entry], currency: str) -> Decimal:
    """The money of entries in a currency; that in another one cannot be added to it."""
    return sum(
        (Decimal(entry.cost) for entry in entries if entry.cost and entry.currency == currency),
        Decimal(0),
    )


def before(
    entries: Iterable[Entry], *, kind: str, name: str, revision: int, uid: str
) -> list[Entry]:
    """What earlier resources of a kind and name spent on a revision."""
    return [
        entry
        for entry in entries
        if (entry.kind, entry.name, entry.revision) == (kind, name, revision) and entry.uid != uid
    ]
