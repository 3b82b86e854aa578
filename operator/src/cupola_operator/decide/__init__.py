"""What to do about a resource: `decide`, a pure function from a World to a Decision.

A policy is a function `World -> Verdict | None`; its docstring documents the behaviour. Each kind
has a chain of them, and the first that speaks wins. The chains read like a table of contents:

- `closing`: what an earlier revision, or a resource that is deleted, cost goes into the ledger.
- `spec`: what is asked for is not valid.
- `revision`: what an earlier revision left running ends first.
- `finished`: nothing runs again; upstream changes and thresholds are judged.
- `hold`: it is suspended before it starts.
- `permitted`: what it may use, and what its pods can reach.
- `pools`: where it would compute.
- `admission`: it keeps its limits, by its plan.
- `references`: what it refers to is there, finished, and fits together.
- `resolve`: the run becomes one immutable ConfigMap.
- `dataset`, `training`, `evaluation`: attempts, to the end of the run.

The last policy of a chain always speaks. `decide` keeps no memory: what must be remembered is in
status, and what is in status was true when it was written.
"""

from __future__ import annotations

from collections.abc import Callable

from cupola_operator import labels
from cupola_operator.decide import (
    admission,
    closing,
    dataset,
    evaluation,
    finished,
    hold,
    permitted,
    pools,
    projection,
    references,
    resolve,
    revision,
    spec,
    training,
)
from cupola_operator.decide.conditions import conditions
from cupola_operator.decide.forecast import planned
from cupola_operator.decide.forgive import forgiven
from cupola_operator.decide.verdict import Create, Decision, Delete, Enter, Finalize, Verdict
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
        pools.unfit,
        references.circular,
        references.waiting,
        admission.refused,
        resolve.generation,
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
        admission.refused,
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
        admission.refused,
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
        admission.refused,
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

    Before and after all chains stands the ledger: a run is closed into it before its resource goes
    or another revision follows, and nothing that holds devices is made before the finalizer is set
    that sees to that. The other children of a resource that goes carry an owner reference, and the
    cluster's garbage collector removes them.
    """
    if world.deleting:
        last = closing.deleted(world)
        return last if isinstance(last, Decision) else _decision(world, last)
    if ends := closing.superseded(world):
        return _decision(world, ends)
    world = planned(forgiven(closing.of_revision(world)))
    chain = CHAINS[world.key.kind]
    decision = _decision(world, next(verdict for policy in chain if (verdict := policy(world))))
    if labels.FINALIZER not in world.finalizers and _spends(decision):
        held = Finalize((*world.finalizers, labels.FINALIZER))
        return decision._replace(actions=(held, *decision.actions))
    return decision


def _spends(decision: Decision) -> bool:
    """Whether devices are held for the resource, were, or will be next."""
    return bool(decision.status and decision.status.attempts) or any(
        isinstance(action, Create) and action.value["kind"] != "ConfigMap"
        for action in decision.actions
    )


def _decision(world: World, verdict: Verdict) -> Decision:
    status = projection.kept(verdict.status or world.status, verdict.phase)
    told = status.model_copy(
        update={
            "observed_generation": world.generation,
            "phase": verdict.phase,
            "conditions": conditions(world, verdict),
        }
    )
    return Decision(verdict.actions, told, verdict.again)


__all__ = [
    "CHAINS",
    "Create",
    "Decision",
    "Delete",
    "Enter",
    "Finalize",
    "Policy",
    "Verdict",
    "decide",
]
