"""What an attempt truly cost, and for what, by brute force: every second in which nothing changed.

It knows how pods ran, what prices were known when, and what a training said of its own time; it
shares no code with the ledger.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from cupola_operator import names
from cupola_operator.cluster import Key, Object
from cupola_operator.settings import Settings

from .cluster import EPOCH
from .nodes import is_spot
from .runs import Run

if TYPE_CHECKING:
    from .simulation import Simulation

HOUR = 3600
CAUSES = ("productive", "lostWork", "startUp", "checkpoint", "evaluation", "idle")
NEVER = 10**9


class Price(NamedTuple):
    """Of a device hour, from a second of the simulation on."""

    since: int
    on_demand: Decimal
    spot: Decimal


Prices = tuple[Price, ...]


class Pod(NamedTuple):
    """When a pod held its devices, in whole seconds by the clock of its node."""

    begin: int
    end: int
    gpus: int
    spot: bool
    outcome: str | None
    uid: str
    worked: int | None
    """When it began with its work, as it said at its end; None: it did not say."""


class Marks(NamedTuple):
    """What changed what a gang did, in seconds; None: it did not come to that."""

    whole: int | None
    first: int
    kept: int
    broke: int


def second(text: str) -> int:
    """The second of the simulation that a time of Kubernetes names."""
    return int(datetime.fromisoformat(text).timestamp()) - EPOCH


@lru_cache(maxsize=1024)
def _prices(pool: str, later: str, made: int) -> Prices | None:
    """Of a pool as it was resolved, with the later ones of the settings of now."""
    value, found = json.loads(pool), {}
    if value.get("pricePerGpuHour") is None:
        return None
    for one in value.get("prices", []):
        found[second(one["from"])] = one
    for one in json.loads(later):
        if second(one["from"]) > made:
            found[second(one["from"])] = one
    plain = Decimal(value["pricePerGpuHour"])
    spot = Decimal(value.get("spotPricePerGpuHour") or plain)
    prices = [Price(-NEVER, plain, spot)]
    for since in sorted(found):
        price = Decimal(found[since]["pricePerGpuHour"])
        cheap = found[since].get("spotPricePerGpuHour")
        known = value.get("spotPricePerGpuHour")
        prices.append(
            Price(since, price, Decimal(cheap) if cheap else prices[-1].spot if known else price)
        )
    return tuple(prices)


def price_lists(sim: Simulation, attempt: Object, uid: str, revision: int) -> list[Prices | None]:
    """The prices that operators charged an attempt by, those of the last that wrote it first.

    One list, or several where operators knew other prices.
    """
    stage = attempt.get("stage")
    name = names.config_map(sim.kind, sim.key.name, revision, stage if stage == "list" else None)
    key = Key("ConfigMap", sim.key.namespace, name)
    placement, made = next(
        (text, at)
        for known, owner, text, at in reversed(sim.books.resolved)
        if (known, owner) == (key, uid)
    )
    settings = {id(one): one for one in reversed(sim.books.charged[uid, attempt["name"]])}
    pool = attempt.get("pool")
    found = []
    for one in settings.values():
        key = (placement, pool, id(one), made)
        if key not in _lists:
            _lists[key] = _known(placement, pool, one, made)
        found.append(_lists[key])
    return list(dict.fromkeys(found))


_lists: dict[tuple[str, str | None, int, int], Prices | None] = {}
"""Prices by placement, pool, settings (of which there are few, for good) and time."""


def _known(placement: str, pool: str | None, settings: Settings, made: int) -> Prices | None:
    value = json.loads(placement)
    pools = [value["pool"], *value.get("others", [])]
    if any("pricePerGpuHour" not in one for one in pools):
        return None
    chosen = next((one for one in pools if one["name"] == pool), pools[0])
    now = settings.pool(chosen["name"])
    later = [price.to_json() for price in now.prices] if now else []
    return _prices(json.dumps(chosen), json.dumps(later), made)


def pods(sim: Simulation, attempt: Object, runs: Iterable[Run]) -> list[Pod]:
    """The pods of an attempt, those that status holds first and in its order."""
    order = [pod["uid"] for pod in attempt.get("pods", [])]
    outcomes = {pod["uid"]: pod.get("outcome") for pod in attempt.get("pods", [])}
    found = []
    for run in runs:
        if run.taken is None:
            continue
        skew = sim.nodes.skew[run.node]
        begin, end = int(run.taken + skew), int((run.over or 0) + skew)
        spot = is_spot(run.node)
        worked = None if run.worked is None else int(run.worked + skew)
        found.append(Pod(begin, end, run.gpus, spot, outcomes.get(run.uid), run.uid, worked))
    return sorted(found, key=lambda pod: order.index(pod.uid) if pod.uid in order else len(order))


def price_at(prices: Prices, time: int, spot: bool) -> Decimal:
    """What a device hour costs at a second."""
    price = [one for one in prices if one.since <= time][-1]
    return price.spot if spot else price.on_demand


def cost(pods: Sequence[Pod], prices: Prices, after: int = -NEVER) -> Decimal:
    """What pods cost, or what of it came after a time."""
    total = Decimal(0)
    for pod in pods:
        edges = {pod.begin, pod.end, after, *(price.since for price in prices)}
        for begin, end in pairwise(sorted(edges)):
            if pod.begin <= begin < pod.end and begin >= after:
                total += pod.gpus * (end - begin) * price_at(prices, begin, pod.spot)
    return total / HOUR


def marks(attempt: Object, pods: Sequence[Pod], size: int, kept: int | None) -> Marks:
    """What changed what a gang of `size` pods did, if its work was kept until then."""
    first = [one["uid"] for one in attempt["pods"]][:size]
    members = [pod for pod in pods if pod.uid in first]
    outcome = attempt.get("outcome")
    told = attempt.get("told", {}).get("firstStepAt")
    last = max((pod.begin for pod in members), default=None)
    worked = told or outcome == "Succeeded" or (kept and last is not None and kept > last)
    whole = last if len(members) == size or worked else None
    if outcome in (None, "Succeeded"):
        kept = NEVER
    step = second(told) if told else (whole or 0)
    return Marks(whole, step, kept or -NEVER, min((pod.end for pod in members), default=NEVER))


def gang_cause(time: int, marks: Marks) -> str:
    """What a gang did at a second."""
    if marks.whole is None or time < marks.whole or time >= marks.broke:
        return "idle"
    if time >= marks.kept:
        return "lostWork"
    return "startUp" if time < marks.first else "productive"


def job_cause(time: int, pod: Pod, outcome: str | None) -> str:
    """What a pod of a Job did at a second; only at its end it says when it began with its work."""
    lost = pod.outcome == "Failed" if outcome in (None, "Succeeded") else pod.outcome != "Succeeded"
    if lost:
        return "lostWork"
    starts = pod.outcome == "Succeeded" and pod.worked is not None and time < pod.worked
    return "startUp" if starts else "productive"


def split(
    attempt: Object, pods: Sequence[Pod], prices: Prices, marks: Marks | None
) -> tuple[dict[str, Decimal], dict[str, Decimal]]:
    """Device seconds and money of an attempt by cause; `marks` of a gang."""
    seconds, money = (dict.fromkeys(CAUSES, Decimal(0)) for _ in range(2))
    at = {price.since for price in prices} | {time for time in marks or () if time is not None}
    for pod in pods:
        edges = {pod.begin, pod.end, *at}
        if not marks and pod.worked is not None:
            edges.add(pod.worked)
        for begin, end in pairwise(sorted(edges)):
            if pod.begin <= begin < pod.end:
                cause = (
                    gang_cause(begin, marks)
                    if marks
                    else job_cause(begin, pod, attempt.get("outcome"))
                )
                seconds[cause] += pod.gpus * (end - begin)
                price = price_at(prices, begin, pod.spot)
                money[cause] += pod.gpus * (end - begin) * price / HOUR
    if marks and pods and "told" in attempt:
        _set_apart(attempt, sum(pod.gpus for pod in pods[:2]), seconds, money)
    return seconds, money


def _set_apart(
    attempt: Object, devices: int, seconds: dict[str, Decimal], money: dict[str, Decimal]
) -> None:
    """Of the work that is kept, what a training said that it waited."""
    for cause, name in (("checkpoint", "checkpointSeconds"), ("evaluation", "evaluationSeconds")):
        kept = seconds["productive"]
        part = min(kept, devices * Decimal(attempt["told"].get(name, "0")))
        if part:
            share = money["productive"] * part / kept
            seconds["productive"] -= part
            seconds[cause] += part
            money["productive"] -= share
            money[cause] += share
