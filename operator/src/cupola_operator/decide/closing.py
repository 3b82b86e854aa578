"""Policies: the run of a resource that is deleted, or of an earlier revision, is closed into the ledger.

What runs is stopped as by any hold: its pods save within their grace and are charged to their end.
When nothing of the run holds devices any more, what it cost is written into the ledger of the
namespace, by month; only then the resource may go, or status speak of the next run.
"""

from __future__ import annotations

from cupola_api.common import Phase, RunStatus, Status
from cupola_api.run import FineTuneRun, PretrainRun
from cupola_operator import labels, names
from cupola_operator.build.pytorchjob import VERBS
from cupola_operator.cost import entries
from cupola_operator.decide import hold, pools, progress, resolve
from cupola_operator.decide.attempts import drive
from cupola_operator.decide.ending import LOST
from cupola_operator.decide.stage import Stage
from cupola_operator.decide.verdict import SOON, Action, Decision, Delete, Enter, Finalize, Verdict
from cupola_operator.world import World

_AT_REST = {Phase.SUSPENDED, Phase.FAILED}

_CLOSES = "nothing of it runs any more, and what it cost is written into the ledger"


def deleted(world: World) -> Verdict | Decision:
    """A resource that had pods goes when these have ended and what they cost is in the ledger.

    Until then the finalizer cupola.dev/ledger keeps it. Its PyTorchJobs and Jobs are deleted at
    once, whatever becomes of other children (`kubectl delete --cascade=orphan`), for nobody would
    charge or stop them afterwards.
    """
    if labels.FINALIZER not in world.finalizers:
        return Decision()
    run = world.status.run
    revision = run.revision if run else world.revision
    verdict = _ends(world.but(revision=revision, ends=hold.DELETED))
    if verdict:
        return verdict._replace(phase=Phase.PENDING, reason="Deleting")
    others = tuple(one for one in world.finalizers if one != labels.FINALIZER)
    return Decision((*_closes(world), Finalize(others)), None, None)


def superseded(world: World) -> Verdict | None:
    """A new revision starts when nothing of the earlier one runs and what that cost is in the ledger.

    Its PyTorchJobs and Jobs are deleted; its artifact and its ConfigMap stay.
    """
    run = world.status.run
    if world.resource is None or run is None or run.revision == world.revision:
        return None
    verdict = _ends(world.but(revision=run.revision, ends=hold.SUPERSEDED)) or Verdict(
        Phase.PENDING,
        "",
        _CLOSES,
        actions=_closes(world),
        again=0,
        status=of_revision(world).status,
    )
    return verdict._replace(
        phase=Phase.PENDING,
        reason="EarlierRevisionEnds",
        message=f"revision {world.revision} starts after revision {run.revision}: {verdict.message}",
    )


def of_revision(world: World) -> World:
    """The world with a status that speaks of the run of spec.revision: empty if that is new."""
    status = world.status
    if world.resource is None or (status.run and status.run.revision == world.revision):
        return world
    fresh = type(status)(
        conditions=status.conditions, retry=status.retry, run=RunStatus(revision=world.revision)
    )
    return world.with_status(fresh)


def _ends(world: World) -> Verdict | None:
    """What is done until nothing of a run holds devices and its last figures are in status; then None."""
    before = world.status
    ready = before.condition("Ready")
    for stage in _stages(world):
        world = progress.heard(world)
        step = drive(world, stage)
        told = Verdict(Phase.PENDING, "", "") if step.verdict is None else step.verdict
        told = progress.told(world, told, step.status, stage.resolved.placement)
        if step.verdict and step.verdict.phase not in _AT_REST:
            return told
        world = world.with_status(told.status or step.status)
    if verdict := _rest_ends(world):
        return verdict
    status = _lost(world.status)
    if status.attempts == before.attempts or (ready and ready.message.endswith(_CLOSES)):
        return None
    return Verdict(Phase.PENDING, "", _CLOSES, status=status, again=0)


def _rest_ends(world: World) -> Verdict | None:
    """Children that no stage knows, as somebody changed their labels or took their run away."""
    jobs = [job for job in world.jobs if not (job.complete or job.failed)]
    owners = {job.uid for job in world.jobs}
    waits = [
        pod
        for pod in world.pods
        if (pod.resource == world.uid or pod.owner in owners) and pod.lingers(world.now)
    ]
    if not waits and all(job.deleting for job in jobs):
        return None
    return Verdict(
        Phase.PENDING,
        "",
        f"{len(waits)} of its pods are ending" if waits else "its Jobs are deleted",
        actions=tuple(Delete(job.key, job.uid) for job in jobs if not job.deleting),
        status=world.status,
        again=SOON,
    )


def _stages(world: World) -> list[Stage]:
    """The stages that may hold devices: that of the last attempt, and those that have Jobs or pods."""
    found = [attempt.stage or "" for attempt in world.status.attempts[-1:]]
    found += [job.stage for job in world.jobs if job.revision == world.revision]
    mine = (world.uid, world.revision)
    found += [pod.stage for pod in world.pods if (pod.resource, pod.revision) == mine]
    labelled = [""] if found else []
    if world.key.kind == "Dataset":
        labelled = [name for name in dict.fromkeys(found) if name in names.STAGES]
    stages = (_stage(world, label) for label in labelled)
    return [stage for stage in stages if stage]


def _stage(world: World, label: str) -> Stage | None:
    """A stage of the run, to be ended; None if the run cannot be read any more.

    `label`: empty where a run has one stage only.
    """
    resolved = world.resolved(label if label in resolve.FIRST else None)
    if resolved is None:
        return None
    training = resolved.run if isinstance(resolved.run, PretrainRun | FineTuneRun) else None
    return Stage(
        label=label or (VERBS[training.kind] if training else "evaluate"),
        reason="",
        resolved=pools.placed(world, resolved),
        make=lambda number: {"metadata": {"name": _name(world, label, number)}},
        done=lambda said: bool(said.artifact or said.listing or said.synthetic),
        devices=0,
        parts=2,  # more than one: its Job is not left to end by itself
        gang=training.world.nodes if training else None,
        checkpoints=training is not None,
        silent=label not in ("", *resolve.FIRST, "publish"),
        recorded=label or None,
    )


def _name(world: World, label: str, number: int) -> str:
    kind, _, name = world.key
    if kind in ("PretrainJob", "FineTune"):
        return names.training_job(kind, name, world.revision, number)
    return names.job(kind, name, world.revision, label or None, number)


def _lost(status: Status) -> Status:
    """Status without an attempt that is open: nothing of the run is there that could say more."""
    attempts = [
        one
        if one.outcome
        else one.model_copy(
            update={
                "outcome": LOST,
                "reason": "PodsLost",
                "message": "its run is not there any more; charged as it was last seen",
                "estimated": True,
                "ended_at": max((pod.until for pod in one.pods if pod.until), default=None),
            }
        )
        for one in status.attempts
    ]
    return status.model_copy(update={"attempts": attempts})


def _closes(world: World) -> tuple[Action, ...]:
    """What writes the cost of the run that status speaks of into the ledger, and deletes its Jobs.

    Those that ended would be collected with the resource, but not if it was to leave them; and after
    another revision nobody might know them any more.
    """
    ended = (Delete(job.key, job.uid) for job in world.jobs if not job.deleting)
    found = entries.of_run(
        world.key.kind, world.key.name, world.uid, world.status, world.now, closed=True
    )
    return (*ended, *(Enter(month, entry) for month, entry in found.items()))
