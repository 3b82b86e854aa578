"""All that was spent, line by line: of resources that live and of those that are in the ledger. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from cupola_operator.cluster import Object, key_of
from cupola_operator.cost import book, entries
from cupola_operator.cost.causes import NAMES
from cupola_operator.cost.entries import Entry
from cupola_operator.cost.months import Month
from cupola_operator.resources import parse_status

UNSPLIT = "notSplit"
"""The cause of what was never split."""


class Charge(NamedTuple):
    """What a run cost in a month."""

    namespace: str
    month: Month
    entry: Entry


class Line(NamedTuple):
    """What a run cost in a month by one cause."""

    charge: Charge
    cause: str
    cost: Decimal | None
    gpu_seconds: Decimal


def charges(values: Iterable[Object], ledgers: Iterable[Object], now: datetime) -> list[Charge]:
    """Every run, by namespace, month, kind and name. `values`: the resources that live.

    A run that is in the ledger already, of a resource that is about to go, counts once.
    """
    found = [
        Charge(key_of(value).namespace, month, entry)
        for value in ledgers
        for month, entry in book.read(value)
    ]
    known = {(one.namespace, one.entry.identity) for one in found}
    for value in values:
        key = key_of(value)
        status = parse_status(key.kind, value.get("status"))
        lives = entries.of_run(key.kind, key.name, str(value["metadata"]["uid"]), status, now)
        found += [
            Charge(key.namespace, month, entry)
            for month, entry in lives.items()
            if (key.namespace, entry.identity) not in known
        ]
    return sorted(found, key=_order)


def lines(charge: Charge) -> Iterator[Line]:
    """A charge by cause, without causes that cost nothing; they add up to it."""
    entry = charge.entry
    if entry.causes is None and entry.costs is None:
        cost = None if entry.cost is None else Decimal(entry.cost)
        yield Line(charge, UNSPLIT, cost, Decimal(entry.gpu_seconds))
        return
    money = _split(entry.cost, entry.costs)
    time = _split(entry.gpu_seconds, entry.causes)
    for cause in (*NAMES, UNSPLIT):
        if money.get(cause) or time.get(cause):
            cost = None if entry.cost is None else money.get(cause, Decimal(0))
            yield Line(charge, cause, cost, time.get(cause, Decimal(0)))


def _split(amount: str | None, causes: object) -> dict[str, Decimal]:
    """An amount by cause, with what was never split."""
    if amount is None:
        return {}
    found = {cause: Decimal(getattr(causes, cause, 0)) for cause in NAMES}
    return found | {UNSPLIT: Decimal(amount) - sum(found.values(), Decimal(0))}


def _order(one: Charge) -> tuple[str, str, str, str, str]:
    entry = one.entry
    return one.namespace, one.month, entry.kind, entry.name or "", entry.identity
