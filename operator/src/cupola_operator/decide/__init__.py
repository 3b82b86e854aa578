"""What to do about a resource: `decide`, a pure function from a World to a Decision.

A policy is a function `World -> Verdict | None`; its docstring documents the behaviour. Each kind
has a chain of them, and the first that speaks wins. The chains read like a table of contents:

- `spec`: what is asked for is not valid.
- `revision`: what an earlier revision left running ends first.
- `finished`: nothing runs again; upstream changes and thresholds are judged.
- `hold`: it is suspended before it starts.
- `permitted`: what it may use, and what its pods can reach.
- `pools`: where it would compute.
- `references`: what it refers to is there, finished, and fits together.
- `resolve`: the run becomes one immutable ConfigMap.
- `dataset`, `training`, `evaluation`: attempts, to the end of the run.

The last policy of a chain always speaks. `decide` keeps no memory: what must be remembered is in
status, and what is in status was true when it was written.
"""

from __future__ import annotations

from collections.abc import Callable

from cupola_api.common import RunStatus
from cupola_operator.decide import (
    dataset,
    evaluation,
    finished,
    hold,
    permitted,
    pools,
    references,
    resolve,
    revision,
    spec,
    training,
)
from cupola_operator.decide.conditions import conditions
from cupola_operator.decide.forgive import forgiven
from cupola_operator.decide.verdict import Create, Decision, Delete, Verdict
from cupola_operator.world import World

Policy = Callable[[World], Verdict | None]

CHAINS: dict[str, tuple[Policy, ...]] = {
    "Dataset": (
        spec.invalid,
        revision.earlier_run_ends,
        finished.run,
        hold.before_start,
        permitted.unreachable,
        permitted.not_allowed,
        references.circular,
        references.waiting,
        resolve.listing,
        dataset.run,
    ),
    "PretrainJob": (
        spec.invalid,
        revision.earlier_run_ends,
        finished.run,
        hold.before_start,
        permitted.unreachable,
        permitted.not_allowed,
        pools.unfit,
        references.waiting,
        references.tokenizers_differ,
        resolve.pretraining,
        training.run,
    ),
    "FineTune": (
        spec.invalid,
        revision.earlier_run_ends,
        finished.run,
        hold.before_start,
        permitted.unreachable,
        permitted.not_allowed,
        pools.unfit,
        references.circular,
        references.waiting,
        references.dataset_without_task,
        references.tokenizers_differ,
        resolve.tuning,
        training.run,
    ),
    "Evaluation": (
        spec.invalid,
        revision.earlier_run_ends,
        finished.evaluation,
        hold.before_start,
        permitted.unreachable,
        permitted.not_allowed,
        pools.unfit,
        references.waiting,
        references.dataset_without_task,
        references.tokenizers_differ,
        resolve.evaluation,
        evaluation.run,
    ),
}
"""The policies of each kind, in order."""


def decide(world: World) -> Decision:
    """What to do about a resource now.

    Of a resource that is being deleted nothing is done: its children carry an owner reference, and
    the cluster's garbage collector removes them.
    """
    if world.deleting:
        return Decision()
    world = forgiven(_of_this_run(world))
    chain = CHAINS[world.key.kind]
    return _decision(world, next(verdict for policy in chain if (verdict := policy(world))))


def _of_this_run(world: World) -> World:
    """The world with a status that speaks of the run of spec.revision: empty if that is new."""
    status = world.status
    if world.resource is None or (status.run and status.run.revision == world.revision):
        return world
    fresh = type(status)(
        conditions=status.conditions, retry=status.retry, run=RunStatus(revision=world.revision)
    )
    return world.with_status(fresh)


def _decision(world: World, verdict: Verdict) -> Decision:
    status = verdict.status or world.status
    told = status.model_copy(
        update={
            "observed_generation": world.generation,
            "phase": verdict.phase,
            "conditions": conditions(world, verdict),
        }
    )
    return Decision(verdict.actions, told, verdict.again)


__all__ = ["CHAINS", "Create", "Decision", "Delete", "Policy", "Verdict", "decide"]
