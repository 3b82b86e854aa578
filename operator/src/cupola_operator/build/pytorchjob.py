"""One attempt of a training: a PyTorchJob whose pods start and end together, and are never restarted.

The dialect of the Kubeflow training operator v1 is in this file alone.
"""

from __future__ import annotations

from cupola_api.run import HANG_TIMEOUT, FineTuneRun, PretrainRun
from cupola_api.training import Stability
from cupola_operator import labels, names
from cupola_operator.build import pod, queue, resources
from cupola_operator.build.metadata import child, tags
from cupola_operator.children import Resolved
from cupola_operator.cluster import Object
from cupola_operator.pools import Pool
from cupola_operator.world import World

_SECONDS_TO_EXIT = 5
"""That torchrun needs for itself within the grace of a pod."""

VERBS = {"PretrainRun": "pretrain", "FineTuneRun": "finetune"}
"""What the trainer is told to do, and the label `cupola.dev/stage`, by kind of run."""


def pytorch_job(
    world: World, resolved: Resolved, run: PretrainRun | FineTuneRun, attempt: int
) -> Object:
    """The PyTorchJob of an attempt: a master and, for more than one node, workers."""
    verb, pool, ranks = VERBS[run.kind], resolved.placement.pool, run.world
    marks = tags(
        world,
        component="trainer",
        stage=verb,
        attempt=attempt,
        pool=pool.name,
        gpus=ranks.gpus_per_node,
    )
    metadata = child(
        world, names.training_job(world.key.kind, world.key.name, world.revision, attempt), marks
    )
    template = pod.template(
        world,
        resolved,
        container="pytorch",
        # torchrun takes nodes, ranks and rendezvous from PET_* of the training operator.
        args=[
            *("python", "-m", "torch.distributed.run"),
            *("-m", "cupola_trainer", verb, pod.RUN_PATH),
        ],
        labels=metadata["labels"],
        attempt=names.attempt_id(attempt, world.uid),
        threads=ranks.threads,
        resources=resources.of_training(
            pool, ranks.gpus_per_node, ranks.gpus_per_node * ranks.threads
        ),
        shared_memory=resources.shared_memory(pool, ranks.gpus_per_node),
        security=pool.security,
        affinity=_near(pool, marks) if ranks.nodes > 1 else None,
        environment={
            # Each line of the log begins with the local rank that printed it.
            "PET_TEE": "3",
            HANG_TIMEOUT: _stability(world).hang_timeout,
            # torchrun would kill its ranks after 30 s, in the middle of a large save.
            "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": str(pod.GRACE_SECONDS - _SECONDS_TO_EXIT),
        },
    )
    replicas = {"Master": 1} | ({"Worker": ranks.nodes - 1} if ranks.nodes > 1 else {})
    line = queue.of(world, resolved)
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": queue.labelled(metadata, line),
        "spec": {
            "nprocPerNode": str(ranks.gpus_per_node),
            "runPolicy": {
                "cleanPodPolicy": "Running",
                "backoffLimit": 0,
                **queue.suspended(line),
            },
            "pytorchReplicaSpecs": {
                role: {"replicas": number, "restartPolicy": "Never", "template": template}
                for role, number in replicas.items()
            },
        },
    }


def _stability(world: World) -> Stability:
    """As the resource says it now: it changes no result, so it may differ between attempts."""
    found: Stability = world.resource.spec.stability if world.resource else Stability()
    return found


def _near(pool: Pool, marks: dict[str, str]) -> Object | None:
    """The pods of an attempt go near each other where there is room, if the pool says what near is."""
    if pool.topology_key is None:
        return None
    same = {key: marks[key] for key in (labels.UID, labels.REVISION, labels.STAGE, labels.ATTEMPT)}
    term = {"labelSelector": {"matchLabels": same}, "topologyKey": pool.topology_key}
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {"podAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}}
