"""Policy: what an earlier revision left running ends first."""

from __future__ import annotations

from cupola_api.common import Phase
from cupola_operator.decide.verdict import SOON, Delete, Verdict
from cupola_operator.world import World


def earlier_run_ends(world: World) -> Verdict | None:
    """A new revision starts when nothing of an earlier one runs any more.

    Its PyTorchJobs and Jobs are deleted; its artifact and its ConfigMap stay. One whose labels
    somebody took away, so that its attempt is not known any more, goes in the same way.
    """
    pods = [pod for pod in world.pods if pod.revision != world.revision and pod.lingers(world.now)]
    owners = {pod.owner for pod in pods}
    jobs = [
        job
        for job in world.jobs
        if job.revision != world.revision or not job.stage or job.attempt < 1 or job.uid in owners
    ]
    if not jobs and not pods:
        return None
    return Verdict(
        Phase.PENDING,
        "EarlierRevisionEnds",
        f"revision {world.revision} starts when nothing of an earlier revision runs any more",
        actions=tuple(Delete(job.key, job.uid) for job in jobs if not job.deleting),
        again=SOON,
    )
