"""The ledger against brute force: what the pods of each attempt truly held, to the cent."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from cupola_operator import names
from cupola_operator.cluster import Key, Object

from .properties import Broken, require
from .runs import Run

if TYPE_CHECKING:
    from .simulation import Simulation

NAME = "money equals the truth"
CENT = Decimal("0.01")
HOUR = 3600


def equals_the_truth(sim: Simulation) -> None:
    """Each attempt costs what its pods held; one whose end was not observed says so.

    The total is that of the attempts. Without anything gone wrong no end is estimated.
    """
    attempts = sim.status.get("attempts", [])
    if not attempts:
        return
    for attempt in attempts:
        _attempt(sim, attempt)
    cost = sim.status["cost"]
    for figure, part in (("accrued", "cost"), ("wasted", "wasted")):
        total = sum(Decimal(attempt[part]) for attempt in attempts)
        if abs(Decimal(cost[figure]) - total) >= CENT:
            raise Broken(NAME, f"{cost} but in all {total} {figure}")


def held(run: Run) -> Decimal:
    """Device seconds that a pod held, by its node's clock in whole seconds."""
    if run.taken is None:
        return Decimal(0)
    if run.over is None:
        raise Broken(NAME, f"{run.key.name} never ended")
    return Decimal(run.gpus * (int(run.over) - int(run.taken)))


def _price(sim: Simulation, revision: int, stage: str | None) -> Decimal:
    """The price of a device hour when the run, of a Dataset this part of it, was resolved."""
    name = names.config_map(sim.kind, sim.key.name, revision, stage if stage == "list" else None)
    key = Key("ConfigMap", sim.key.namespace, name)
    return next(price for made, price in reversed(sim.prices) if made == key)


def _attempt(sim: Simulation, attempt: Object) -> None:
    uid = sim.resource["metadata"]["uid"] if sim.resource else ""
    revision = sim.status["run"]["revision"]
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
    seen = [run for run in runs if run.uid in sim.seen]
    truth = sum((held(run) for run in seen), Decimal(0))
    recorded = Decimal(attempt.get("gpuSeconds", "0"))
    cost = Decimal(attempt.get("cost", "0"))
    price = _price(sim, revision, stage)
    if not sim.torn and abs(cost - recorded * price / HOUR) >= CENT:
        raise Broken(NAME, f"{recorded} s cost {cost}")
    if not 0 <= Decimal(attempt.get("wasted", "0")) <= cost:
        raise Broken(NAME, f"{attempt['wasted']} of {cost}")
    if not sim.honest:
        return
    _waste(sim, attempt, seen, price)
    name = f"{attempt['name']}: {recorded} s recorded, {truth} s held"
    if not attempt.get("estimated", False):
        size = max((run.size for run in runs), default=0)
        unseen = [run for run in runs if run not in seen and run.taken is not None]
        require(len(seen) >= size or not unseen, NAME, f"{name}, but not all were ever seen")
        require(abs(recorded - truth) * price / HOUR < CENT, NAME, name)
        return
    require(sim.troubled, NAME, f"{attempt['name']} is estimated, and nothing went wrong")
    require(
        recorded <= sum(_most(sim, run, closed) for run in runs), NAME, f"{name}, and is estimated"
    )


def _waste(sim: Simulation, attempt: Object, runs: list[Run], price: Decimal) -> None:
    """Of a training that came to nothing, what followed its last checkpoint was wasted, at least."""
    gang = sim.nodes.gangs.get(runs[0].job) if runs else None
    if attempt.get("evictions"):  # what evicted pods used is not wasted
        return
    if gang is None or attempt.get("outcome") in (None, "Succeeded") or any(sim.nodes.skew):
        return
    if any(operator.skew for operator in sim.operators) or attempt.get("estimated"):
        return
    saved = gang.saved[1] if gang.saved else 0.0
    least = sum(
        run.gpus * max(0, int(run.over or 0) - max(int(run.taken or 0), int(saved)))
        for run in runs
        if run.taken is not None
    )
    wasted = Decimal(attempt["wasted"])
    name = f"{attempt['name']}: {wasted} wasted, but {least} s came after the checkpoint"
    require(wasted - least * price / HOUR > -CENT, NAME, name)


def _most(sim: Simulation, run: Run, closed: float) -> Decimal:
    """What a pod may be charged at most, where its end was not seen: until the cluster gave it up."""
    if run.taken is None:
        return Decimal(0)
    skews = [operator.skew for operator in sim.operators] + sim.skews + sim.nodes.skew
    over = max(run.over or 0, run.noticed, closed if sim.lagged else 0) + max(skews) - min(skews)
    return run.gpus * Decimal(over - run.taken + 1)
