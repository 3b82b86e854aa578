"""Policy: where it would compute."""

from __future__ import annotations

from cupola_api.evaluation import Evaluation
from cupola_api.finetune import FineTune
from cupola_api.pretrainjob import PretrainJob
from cupola_operator.decide.verdict import Verdict, stalled
from cupola_operator.plan import Refused, pool
from cupola_operator.settings import Pool
from cupola_operator.world import World


def unfit(world: World) -> Verdict | None:
    """A run that no pool can take is Stalled, before anything is waited for.

    PoolNotFound names the pools there are, PoolTooSmall says what is lacking. A run that is
    resolved keeps its pool.
    """
    if world.is_resolved():
        return None
    try:
        chosen(world)
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
