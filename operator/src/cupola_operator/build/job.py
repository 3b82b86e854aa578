"""One attempt of a stage of a Dataset, or of an Evaluation: a Job of Kubernetes.

Indexed, also where there is one index, so that a pod always knows its part. A part is tried three
times within an attempt; a stage of one pod once, as attempts are counted by the operator.
"""

from __future__ import annotations

from collections.abc import Mapping

from cupola_api.run import EvaluateRun, GenerateRun
from cupola_api.synthetic import ENDPOINT_KEY, SecretKey
from cupola_operator import names
from cupola_operator.build import pod, queue, resources, synthetic
from cupola_operator.build.metadata import child, tags
from cupola_operator.children import Resolved
from cupola_operator.cluster import Object
from cupola_operator.settings import Device, Pool
from cupola_operator.world import World

RETRIES_PER_PART = 2


def stage_job(
    world: World,
    resolved: Resolved,
    *,
    stage: str,
    attempt: int,
    parts: int,
    at_once: int,
) -> Object:
    """The Job of a stage of a Dataset: one pod a part, `at_once` of them at a time.

    Each pod holds one slot of the pool and computes on its CPU threads.
    """
    threads = resolved.placement.pool.threads_per_gpu
    return _job(
        world,
        resolved,
        stage=stage,
        name=names.job(world.key.kind, world.key.name, world.revision, stage, attempt),
        component="curator",
        args=["curate", pod.RUN_PATH, "--stage", stage],
        attempt=attempt,
        parts=parts,
        at_once=at_once,
        gpus=1,
        threads=threads,
        needs=resources.of_threads(resolved.placement.pool),
    )


def generate_job(
    world: World, resolved: Resolved, run: GenerateRun, *, attempt: int, at_once: int
) -> Object:
    """The Job in which a model writes: one pod a share of the answers, `at_once` at a time.

    A model that pods compute has one device in each; who asks an endpoint has CPU threads, and its
    key.
    """
    pool = resolved.placement.pool
    return _job(
        world,
        resolved,
        stage=synthetic.STAGE,
        name=names.job(world.key.kind, world.key.name, world.revision, synthetic.STAGE, attempt),
        component="curator" if run.endpoint else "trainer",
        args=["curate", pod.RUN_PATH, "--stage", synthetic.STAGE],
        attempt=attempt,
        parts=run.shares,
        at_once=at_once,
        gpus=1,
        threads=run.threads,
        needs=resources.of_threads(pool)
        if run.endpoint
        else resources.of_devices(pool, 1, run.threads),
        keys={ENDPOINT_KEY: key} if (key := synthetic.endpoint_key(world)) else {},
    )


def evaluation_job(world: World, resolved: Resolved, run: EvaluateRun, attempt: int) -> Object:
    """The Job of an Evaluation: one pod with the devices that `evaluation_gpus` says."""
    pool = resolved.placement.pool
    gpus = evaluation_gpus(pool)
    return _job(
        world,
        resolved,
        stage="evaluate",
        name=names.job(world.key.kind, world.key.name, world.revision, None, attempt),
        component="trainer",
        args=["evaluate", pod.RUN_PATH],
        attempt=attempt,
        parts=1,
        at_once=1,
        gpus=gpus,
        threads=run.threads,
        needs=resources.of_devices(pool, gpus, run.threads),
    )


def evaluation_gpus(pool: Pool) -> int:
    """Devices of an Evaluation's pod: one GPU, or all slots of a CPU node for their threads."""
    return pool.gpus_per_node if pool.device is Device.CPU else 1


def _job(
    world: World,
    resolved: Resolved,
    *,
    stage: str,
    name: str,
    component: str,
    args: list[str],
    attempt: int,
    parts: int,
    at_once: int,
    gpus: int,
    threads: int,
    needs: Object,
    keys: Mapping[str, SecretKey] | None = None,
) -> Object:
    pool = resolved.placement.pool
    marks = tags(
        world, component=component, stage=stage, attempt=attempt, pool=pool.name, gpus=gpus
    )
    metadata = child(world, name, marks)
    retries = {"backoffLimitPerIndex": RETRIES_PER_PART} if parts > 1 else {"backoffLimit": 0}
    line = queue.of(world, resolved)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": queue.labelled(metadata, line),
        "spec": {
            **queue.suspended(line),
            "completionMode": "Indexed",
            "completions": parts,
            "parallelism": min(at_once, parts),
            **retries,
            # Two pods never work on the same part, not even while the first one is ending.
            "podReplacementPolicy": "Failed",
            "template": pod.template(
                world,
                resolved,
                container="main",
                args=["python", "-m", "cupola_trainer", *args],
                labels=metadata["labels"],
                attempt=names.attempt_id(attempt, world.uid),
                threads=threads,
                resources=needs,
                keys=keys,
            ),
        },
    }
