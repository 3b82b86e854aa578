"""The ledger against brute force: what the pods of each attempt truly held, to the cent."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from cupola_operator.cluster import Object

from . import evidence, oracle
from .cluster import text
from .nodes import is_spot
from .oracle import CAUSES, HOUR, Pod, Prices
from .properties import Broken, require
from .runs import Gang, Run

if TYPE_CHECKING:
    from .simulation import Simulation

NAME = "money equals the truth"
CENT = Decimal("0.01")
GRAIN = Decimal("0.00001")


def equals_the_truth(sim: Simulation) -> None:
    """Each attempt costs what its pods held; one whose end was not observed says so.

    The total is that of the attempts, and each is the sum of its causes to the last digit. Without
    anything gone wrong no end is estimated.
    """
    attempts = sim.status.get("attempts", [])
    if not attempts:
        return
    uid = sim.resource["metadata"]["uid"] if sim.resource else ""
    for attempt in attempts:
        of_attempt(sim, attempt, uid, sim.status["run"]["revision"])
    cost = sim.status["cost"]
    for figure, part in (("accrued", "cost"), ("wasted", "wasted")):
        known = [Decimal(attempt[part]) for attempt in attempts if part in attempt]
        if bool(known) != (figure in cost):
            raise Broken(NAME, f"{cost} but {known}")
        if known and Decimal(cost[figure]) != sum(known):
            raise Broken(NAME, f"{cost} but in all {sum(known)} {figure}")
    if "accrued" in cost:
        adds_up(cost, "accrued", "causes")
        for name in CAUSES:
            total = sum(Decimal(one["costs"][name]) for one in attempts if "costs" in one)
            if Decimal(cost["causes"][name]) != total:
                raise Broken(NAME, f"{name} of {cost}, not {total}")


def adds_up(value: Object, whole: str, parts: str) -> None:
    """An amount is the sum of its causes, to the last digit, and none of them is negative."""
    amounts = [Decimal(value[parts][name]) for name in CAUSES]
    if sum(amounts) != Decimal(value[whole]) or min(amounts) < 0:
        raise Broken(NAME, f"{whole} {value[whole]} is split into {value[parts]}")


def held(run: Run) -> Decimal:
    """Device seconds that a pod held, by its node's clock in whole seconds."""
    if run.taken is None:
        return Decimal(0)
    if run.over is None:
        raise Broken(NAME, f"{run.key.name} never ended")
    return Decimal(run.gpus * (int(run.over) - int(run.taken)))


def of_attempt(sim: Simulation, attempt: Object, uid: str, revision: int) -> None:
    """An attempt of a run of the resource of that uid costs what its pods held."""
    stage = attempt.get("stage")
    mine = (attempt["number"], revision, uid)
    runs = [
        run
        for run in sim.nodes.runs.values()
        if stage in (None, run.stage) and (run.attempt, run.revision, run.resource) == mine
    ]
    closed = sim.written[uid, attempt["name"]]
    if attempt.get("outcome") == "Succeeded":
        # What the training operator makes after that is deleted, and not waited for.
        known = {pod["uid"] for pod in attempt["pods"]}
        runs = [run for run in runs if run.uid in known or (run.taken or 0) < closed]
    found = evidence.of(sim, attempt, uid, revision)
    seen = [run for run in runs if run.uid in sim.seen]
    truth = sum((held(run) for run in seen), Decimal(0))
    recorded = Decimal(attempt["gpuSeconds"])
    adds_up(attempt, "gpuSeconds", "causes")
    lists = oracle.price_lists(sim, attempt, uid, revision)
    if not sim.torn:
        _priced(attempt, lists, recorded)
    if not sim.honest:
        return
    known_prices = [one for one in lists if one]
    pods = oracle.pods(sim, attempt, seen)
    _waste(sim, attempt, seen, pods, known_prices)
    name = f"{attempt['name']}: {recorded} s recorded, {truth} s held"
    require(recorded == found.seconds, NAME, f"{name}, {found.seconds} s were to be seen")
    if not attempt.get("estimated", False):
        size = max((run.size for run in runs), default=0)
        if len(seen) < size and any(run.taken is not None for run in runs if run not in seen):
            raise Broken(NAME, f"{name}, but not all were ever seen")
        require(recorded == truth, NAME, name)
        # What others charged before, knowing higher prices, stays.
        costs = [oracle.cost(pods, one) for one in known_prices]
        if costs and not costs[0] - GRAIN < Decimal(attempt["cost"]) < max(costs) + GRAIN:
            raise Broken(NAME, f"{attempt['name']} cost {attempt['cost']}, not {costs}")
        if not any(sim.nodes.skew) and not sim.skews:
            _split(sim, attempt, pods, size, known_prices)
            _queue(sim, attempt, pods, uid)
        return
    require(sim.troubled, NAME, f"{attempt['name']} is estimated, and nothing went wrong")
    if len(lists) == 1 and known_prices and not found.back:
        # Else others charged more before, and that stays.
        cost = oracle.cost(_seen(sim, found), known_prices[0])
        if abs(Decimal(attempt["cost"]) - cost) >= GRAIN:
            raise Broken(NAME, f"{attempt['name']} cost {attempt['cost']}, not {cost}")


def _seen(sim: Simulation, found: evidence.Evidence) -> list[Pod]:
    """The pods of an attempt as far as was seen."""
    return [
        Pod(one.begin, one.end, run.gpus, is_spot(run.node), None, uid, None)
        for uid, one in found.pods.items()
        if (run := sim.nodes.runs[uid])
    ]


def _priced(attempt: Object, lists: list[Prices | None], recorded: Decimal) -> None:
    """An attempt costs no less than at the lowest price and no more than at the highest one."""
    prices = [price for one in lists if one for price in one]
    if None in lists:
        require("cost" not in attempt, NAME, f"{attempt['name']} has no price and a cost")
        return
    cost, wasted = Decimal(attempt["cost"]), Decimal(attempt["wasted"])
    adds_up(attempt, "cost", "costs")
    low = min(min(price.on_demand, price.spot) for price in prices) * recorded / HOUR
    high = max(max(price.on_demand, price.spot) for price in prices) * recorded / HOUR
    if not low - GRAIN < cost < high + GRAIN:
        raise Broken(NAME, f"{recorded} s cost {cost}")
    bought_nothing = Decimal(attempt["costs"]["lostWork"]) + Decimal(attempt["costs"]["idle"])
    if wasted != bought_nothing or not 0 <= wasted <= cost:
        raise Broken(NAME, f"{wasted} of {cost} wasted, by cause {attempt['costs']}")


def _gang(sim: Simulation, runs: list[Run]) -> Gang | None:
    return sim.nodes.gangs.get(runs[0].job) if runs else None


def _waste(
    sim: Simulation, attempt: Object, runs: list[Run], pods: list[Pod], lists: list[Prices]
) -> None:
    """Of a training that came to nothing, what followed its last checkpoint was wasted, at least."""
    gang = _gang(sim, runs)
    if attempt.get("evictions"):  # what evicted pods used is not wasted
        return
    if gang is None or attempt.get("outcome") in (None, "Succeeded") or any(sim.nodes.skew):
        return
    if any(operator.skew for operator in sim.operators) or attempt.get("estimated") or not lists:
        return
    saved = int(gang.saved[1]) if gang.saved else 0
    least = min(oracle.cost(pods, one, after=saved) for one in lists)
    wasted = Decimal(attempt["wasted"])
    if wasted - least <= -CENT:
        raise Broken(
            NAME, f"{attempt['name']}: {wasted} wasted, but {least} came after the checkpoint"
        )


def _split(
    sim: Simulation, attempt: Object, pods: list[Pod], size: int, lists: list[Prices]
) -> None:
    """Device seconds and money are split as brute force splits them, for some checkpoint there was."""
    runs = [sim.nodes.runs[pod.uid] for pod in pods]
    if attempt.get("evictions") or not attempt.get("pods") or len(lists) != 1:
        return
    gang = _gang(sim, runs) if size else None
    if gang and gang.members and {run.uid for run in gang.members} <= {pod.uid for pod in pods}:
        _told(attempt, gang)  # else others came in their place, of which nothing was asked
    candidates: list[int | None] = [None, *(int(saved) for saved in sim.nodes.saves)]
    found = []
    for kept in candidates if gang else [None]:
        marks = oracle.marks(attempt, pods, size, kept) if gang else None
        seconds, money = oracle.split(attempt, pods, lists[0], marks)
        found.append((kept, seconds))
        same = all(Decimal(attempt["causes"][name]) == seconds[name] for name in CAUSES)
        if same and all(
            abs(Decimal(attempt["costs"][name]) - money[name]) < GRAIN for name in CAUSES
        ):
            return
    raise Broken(NAME, f"{attempt} is split in another way: {found}")


def _told(attempt: Object, gang: Gang) -> None:
    """What is recorded of what a training said is what it did; of one that succeeded, all of it."""
    told = attempt.get("told", {})
    waited = Decimal(told.get("checkpointSeconds", "0"))
    validated = Decimal(told.get("evaluationSeconds", "0"))
    begun = text(int(gang.first)) if gang.first is not None else None
    true = told.get("firstStepAt", begun) == begun and (
        waited <= Decimal(gang.waited) and validated <= Decimal(gang.validated)
    )
    if attempt.get("outcome") == "Succeeded" and begun is not None:
        told_all = "firstStepAt" in told and (waited, validated) == (gang.waited, gang.validated)
        true = true and told_all
    if not true:
        raise Broken(NAME, f"{attempt['name']} told {told}, and {gang}")


def _queue(sim: Simulation, attempt: Object, pods: list[Pod], uid: str) -> None:
    """An attempt waited from when its job was made until its first pod held devices."""
    if attempt.get("evictions") or not pods or "queuedAt" not in attempt:
        return
    waited = min(pod.begin for pod in pods) - int(sim.books.made[uid, attempt["name"]])
    if Decimal(attempt["queueSeconds"]) != max(0, waited):
        raise Broken(NAME, f"{attempt} waited {waited} s")
