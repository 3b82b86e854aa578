"""Policy: what cannot be done for that money or in that time does not begin."""

from __future__ import annotations

from decimal import Decimal

from cupola_api.common import Resource
from cupola_api.control import Admission, Control
from cupola_operator.decide import allowance, pools
from cupola_operator.decide.resolve import FIRST
from cupola_operator.decide.verdict import Verdict, stalled
from cupola_operator.plan.answers import fitting, limits
from cupola_operator.plan.answers.known import Known
from cupola_operator.settings import Pool
from cupola_operator.world import World

_OVERRIDE = "set spec.admission: Ignore to start all the same"


def refused(world: World) -> Verdict | None:
    """A run whose plan exceeds its limits is Stalled before its pods start, and says what would fit.

    - PriceUnknown: it has a budget, and a pool of it has no price, so that nobody could hold it to one.
    - BudgetTooSmall: even the lowest estimate of its cost is more than spec.budget.maxCost.
    - DeadlineTooShort: even the lowest estimate of its time is more than spec.deadline.
    - NamespaceBudgetTooSmall: the same of what its namespace has left to spend; of a budget by month,
      for the part of its cost that falls in this month. It starts by itself in a month that has enough.
      DeadlineTooShort is also said of the deadline of its namespace.
    - MemoryTooSmall: weights and optimizer state alone, which are no estimate, are more than a device has.

    A limit within the range of the plan is no obstacle. spec.admission: Ignore starts the run all the
    same, unless the price is unknown. It waits for what tells how large the run is, a tokenizer say.
    A Dataset is judged when its sources are listed, before they are curated.
    """
    if world.resource is None or world.is_resolved() or _begun(world):
        return None
    spec: Control = world.resource.spec
    first = pools.chosen(world)
    places = (first, *pools.others(world, first), *pools.to_write(world))
    if spec.budget and (unpriced := [one for one in places if one.price is None]):
        return _unpriced(unpriced[0])
    plan = world.status.plan
    if plan is None or spec.admission is Admission.IGNORE or not _certain(world):
        return None
    limit = limits.exceeded(spec, plan)
    if limit and limit.reason == limits.MEMORY:
        return stalled(
            limit.reason, f"{limit.message}; {'; '.join(plan.notes[:1])}; or {_OVERRIDE}"
        )
    if limit:
        fits = _fits(world, world.resource, first, limit.reason)
        return stalled(limit.reason, f"{limit.message}; {fits}raise it, or {_OVERRIDE}")
    short = allowance.exceeded(world, plan)
    if short is None:
        return None
    fits = _fits(world, world.resource, first, short.limit, short.most) if short.most else ""
    said = f"{short.message}; {fits}{short.remedy}, or {_OVERRIDE}"
    return stalled(short.reason, said)._replace(again=short.again)


def _fits(
    world: World, resource: Resource, place: Pool, reason: str, most: Decimal | None = None
) -> str:
    """What of the run would fit, as the beginning of a remedy."""
    known = Known(world.references)
    fits = fitting.remedies(fitting.Question(resource, world.settings, place, known, reason, most))
    return f"what fits, with spec.revision raised: {fits}; or " if fits else ""


def _unpriced(pool: Pool) -> Verdict:
    return stalled(
        "PriceUnknown",
        f"pool {pool.name} has no price, so a run on it cannot be held to spec.budget; write its "
        "pricePerGpuHour in the settings, name a pool that has one, or leave spec.budget out",
    )


def _begun(world: World) -> bool:
    """Whether anything of the run ran or runs, of a Dataset what is over before its curation left out."""
    status = world.status
    return (
        any(a.stage not in FIRST or a.outcome is None for a in status.attempts)
        or any(not (job.complete or job.failed) for job in world.jobs)
        or any(pod.lingers(world.now) for pod in world.pods)
    )


def _certain(world: World) -> bool:
    """Whether all is there that the plan rests on."""
    return all(reference.resource is not None for reference in world.references.values())
