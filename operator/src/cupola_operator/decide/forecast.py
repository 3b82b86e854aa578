"""What a run should take, into its status: before its pods start, and kept from then on."""

from __future__ import annotations

from cupola_api.common import Phase
from cupola_api.dataset import DatasetStatus
from cupola_api.finetune import FineTune
from cupola_api.forecast import Forecast
from cupola_api.pretrainjob import PretrainJob
from cupola_operator.decide import pools
from cupola_operator.decide.resolve import FIRST
from cupola_operator.plan import Refused, pool
from cupola_operator.plan.answers import forecast, resources
from cupola_operator.plan.answers.known import Known
from cupola_operator.settings import Pool
from cupola_operator.world import World


def planned(world: World) -> World:
    """The world with status.plan.

    Until the run is resolved, of a Dataset its curation, the plan is made anew at each look: what is
    not known while something is waited for, is known later. From then on it stays as it is. What
    cannot be planned is a note in it; a run without a pool has none, and is Stalled for that.
    """
    status = world.status
    if world.resource is None or status.phase in (Phase.SUCCEEDED, Phase.FAILED):
        return world
    if status.plan and (world.is_resolved() or any(a.stage not in FIRST for a in status.attempts)):
        return world
    plan = _plan(world)
    if plan == status.plan:
        return world
    return world.with_status(status.model_copy(update={"plan": plan}))


def _plan(world: World) -> Forecast | None:
    resolved = world.resolved()
    try:
        place = resolved.placement.pool if resolved else pools.chosen(world)
    except Refused:
        return None
    currency = resolved.placement.currency if resolved else world.settings.currency
    return of_world(world, pool.today(place, world.now), currency)


def of_world(world: World, place: Pool, currency: str) -> Forecast:
    """The plan of a valid resource on that pool."""
    if world.resource is None:
        raise TypeError(f"{world.key} is not valid")
    status, known = world.status, Known(world.references)
    listed = status.input_bytes if isinstance(status, DatasetStatus) else None
    try:
        return forecast.of(resources.plan(world.resource, currency, place, known, listed=listed))
    except Refused as refused:
        why = refused.message
    nodes = devices = 1
    match world.resource:
        case PretrainJob(spec=spec) | FineTune(spec=spec):
            nodes = spec.parallelism.nodes
            devices = nodes * (spec.parallelism.gpus_per_node or place.gpus_per_node)
    return Forecast(pool=place.name, nodes=nodes, devices=devices, notes=forecast.notes([why]))
