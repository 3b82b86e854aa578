"""Policy: where it would compute."""

from __future__ import annotations

from dataclasses import replace

from cupola_api.evaluation import Evaluation
from cupola_api.finetune import FineTune
from cupola_api.pretrainjob import PretrainJob
from cupola_api.synthetic import Synthetic
from cupola_operator.build.synthetic import STAGE, synthetic
from cupola_operator.children import Resolved
from cupola_operator.decide.verdict import Verdict, stalled
from cupola_operator.plan import Refused, pool
from cupola_operator.podstate import UNSCHEDULABLE
from cupola_operator.settings import Pool
from cupola_operator.world import World


def unfit(world: World) -> Verdict | None:
    """A run that no pool can take is Stalled, before anything is waited for.

    PoolNotFound names the pools there are, PoolTooSmall says what is lacking, PoolsDiffer that the
    pools of spec.pools cannot stand in for each other. A run that is resolved keeps its pools.
    """
    if world.is_resolved():
        return None
    try:
        others(world, chosen(world))
        to_write(world)
    except Refused as refused:
        return stalled(refused.reason, refused.message)
    return None


def chosen(world: World) -> Pool:
    """The pool of a run. Raises Refused if none can take it."""
    settings = world.settings
    match world.resource:
        case PretrainJob(spec=spec) | FineTune(spec=spec):
            layout = spec.parallelism
            return pool.choose(settings, spec.pools, nodes=layout.nodes, gpus=layout.gpus_per_node)
        case Evaluation(spec=spec):
            return pool.choose(settings, spec.pools)
        case _:
            return pool.choose(settings, [settings.data_pool])


def writing(world: World, asked: Synthetic) -> Pool:
    """The pool on which a model writes for a Dataset. Raises Refused if none can take it.

    Who asks an endpoint computes nothing, and is where curation is.
    """
    if asked.model.endpoint:
        return chosen(world)
    return pool.choose(world.settings, asked.pools, gpus=1)


def to_write(world: World) -> list[Pool]:
    """The pool of a model that is still to write. Raises Refused if none can take it."""
    asked = None if world.is_resolved(STAGE) else synthetic(world)
    return [writing(world, asked)] if asked else []


def others(world: World, first: Pool) -> list[Pool]:
    """The pools that a run goes to when its first has no room. Raises Refused if one cannot take it."""
    match world.resource:
        case PretrainJob(spec=spec) | FineTune(spec=spec):
            layout = spec.parallelism
            return pool.others(
                world.settings, spec.pools, first, nodes=layout.nodes, gpus=layout.gpus_per_node
            )
        case Evaluation(spec=spec):
            # It takes one GPU, or what slots a CPU node has; its threads stay those of the first pool.
            return pool.others(world.settings, spec.pools, first, gpus=1)
        case _:
            return []


def placed(world: World, resolved: Resolved) -> Resolved:
    """The run where its attempt was placed, or where the next one is to be.

    That is where the last one was; where that found no room for as long as the pool's
    schedulingTimeout says, the next pool of spec.pools, and after the last one the first again.
    """
    attempts = world.status.attempts
    if not attempts:
        return resolved
    last = resolved.placement.on(attempts[-1].pool)
    if last.others and attempts[-1].outcome and attempts[-1].reason == UNSCHEDULABLE:
        last = last.on(last.others[0].name)
    return resolved if last is resolved.placement else replace(resolved, placement=last)
