"""The objects that Cupola makes, as reviewed files.

`CUPOLA_GOLDEN=write pytest tests/operator/objects` writes them anew; review the difference.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cupola_api.artifact import digest_of
from cupola_operator.build.configmap import config_map
from cupola_operator.build.job import evaluation_job, generate_job, stage_job
from cupola_operator.build.pytorchjob import pytorch_job
from cupola_operator.build.run import (
    curate_run,
    evaluate_run,
    fine_tune_run,
    list_run,
    output,
    pretrain_run,
)
from cupola_operator.build.synthetic import generate_run
from cupola_operator.children import PLACEMENT, Resolved
from cupola_operator.cluster import Key, Object, key_of
from cupola_operator.settings import Settings
from cupola_operator.world import World

GOLDEN = Path(__file__).parent.parent / "golden"
TASK = {"input": "question", "output": "answer"}


def seen(kit: Any, value: Object, *others: Object, **settings: Any) -> World:
    cluster = kit.Cluster()
    key = key_of(cluster.create(value))
    for other in others:
        cluster.create(other)
    of = Settings.model_validate({**kit.SETTINGS.to_json(), **settings})
    world = kit.world(cluster, key, settings=of)
    assert isinstance(world, World)
    return world


def dataset(kit: Any) -> tuple[World, Any, Object]:
    value = kit.resource(
        "Dataset",
        curation={"quality": {}, "dedup": {}},
        tokenizer={"dataset": "other"},
        task=TASK,
        maxPods=4,
    )
    value["status"] = {
        "run": {"revision": 1},
        "listing": "file:///data/list/listing.json",
        "inputsDigest": digest_of("files"),
        "parts": 12,
    }
    world = seen(kit, value, kit.done("Dataset", "other"))
    run = curate_run(world)
    name = "data-dset-r1"
    return world, run, config_map(world, name, run, kit.SETTINGS.pools[0], "cupola-curator")


def listing(kit: Any) -> tuple[World, Any, Object]:
    world = seen(kit, kit.resource("Dataset", output="store:///team"))
    run = list_run(world)
    name = "data-dset-r1-list"
    return world, run, config_map(world, name, run, kit.SETTINGS.pools[0], "cupola-curator")


def pretraining(kit: Any) -> tuple[World, Any, Object]:
    value = kit.resource(
        "PretrainJob",
        datasets=[{"name": "data", "weight": 3}, {"name": "more"}],
        model={"size": "1.3B", "context": 4096},
        tokens="26B",
        parallelism={"nodes": 2, "zeroStage": 2},
        pools=["h100"],
    )
    world = seen(kit, value, kit.done("Dataset"), kit.done("Dataset", "more"))
    pool = kit.SETTINGS.pools[1].model_copy(update={"memory_per_gpu": "120Gi"})
    run = pretrain_run(world, pool)
    return world, run, config_map(world, "base-ptj-r1", run, pool, "cupola-trainer")


def tuning(kit: Any) -> tuple[World, Any, Object]:
    value = kit.resource("FineTune", tuning={"lora": {"rank": 8}}, parallelism={"gpusPerNode": 2})
    world = seen(kit, value, kit.done("Dataset", task=TASK), kit.done("PretrainJob", "base"))
    pool = kit.SETTINGS.pools[0]
    run = fine_tune_run(world, pool)
    return world, run, config_map(world, "tuned-ft-r1", run, pool, "cupola-trainer")


def evaluation(kit: Any) -> tuple[World, Any, Object]:
    world = seen(
        kit,
        kit.resource("Evaluation"),
        kit.done("Dataset"),
        kit.done("PretrainJob"),
        kit.done("FineTune"),
    )
    pool = kit.SETTINGS.pools[0]
    run = evaluate_run(world, pool)
    return world, run, config_map(world, "exam-eval-r1", run, pool, "cupola-trainer")


CLUSTER = {
    "store": "s3://models/cupola",
    "storage": {
        "endpoint": "https://s3.example.com",
        "region": "eu-1",
        "secret": "cupola-storage",
        "serviceAccount": "cupola-runs",
    },
    "imagePullSecrets": ["registry"],
    "queue": "everyone",
    "dataPool": "h100",
    "pools": [
        {
            "name": "h100",
            "device": "Gpu",
            "gpusPerNode": 8,
            "nodes": 16,
            "threadsPerGpu": 12,
            "cpuPerGpu": "11",
            "memoryPerGpu": "120Gi",
            "pricePerGpuHour": "3.6",
            "gpuWatts": 700,
            "nodeSelector": {"example.com/gpu": "h100"},
            "tolerations": [
                {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}
            ],
            "resource": "nvidia.com/gpu",
            "resources": {"rdma/hca_shared_devices": 1},
            "sharedMemory": "64Gi",
            "priorityClass": "training",
            "runtimeClass": "nvidia",
            "annotations": {"k8s.v1.cni.cncf.io/networks": "ib0"},
            "env": {"NCCL_IB_HCA": "mlx5", "NCCL_DEBUG": "WARN"},
            "security": {"runAsRoot": True, "capabilities": ["IPC_LOCK"]},
            "topologyKey": "topology.kubernetes.io/rack",
        }
    ],
}
"""Settings of a cluster, with everything."""

TEMPLATE = {
    "labels": {"example.com/team": "nlp"},
    "annotations": {"note": "first"},
    "env": [{"name": "NCCL_DEBUG", "value": "INFO"}],
    "envFromSecrets": ["hub"],
    "volumes": [
        {"name": "cache", "persistentVolumeClaim": {"claimName": "cache"}},
        {"name": "files", "configMap": {"name": "files"}},
        {"name": "big", "emptyDir": {"sizeLimit": "10Gi"}},
    ],
    "serviceAccountName": "runs",
}
"""spec.podTemplate, with everything."""


def pretraining_on_a_cluster(kit: Any) -> tuple[World, Any, Object]:
    value = kit.resource(
        "PretrainJob", parallelism={"nodes": 2}, queue="team", podTemplate=TEMPLATE
    )
    world = seen(kit, value, kit.done("Dataset"), **CLUSTER)
    pool = world.settings.pools[0]
    run = pretrain_run(world, pool)
    return world, run, config_map(world, "base-ptj-r1", run, pool, "cupola-trainer:1")


def listing_on_a_cluster(kit: Any) -> tuple[World, Any, Object]:
    sources = [
        {"name": "a", "uri": "pvc://raw/web", "format": "Jsonl"},
        {"name": "b", "uri": "pvc://raw/books", "format": "Jsonl"},
        {"name": "c", "uri": "pvc://code/all", "format": "Python"},
    ]
    world = seen(kit, kit.resource("Dataset", sources=sources), **CLUSTER)
    run = list_run(world)
    pool = world.settings.pools[0]
    return world, run, config_map(world, "data-dset-r1-list", run, pool, "cupola-curator:1")


def read_back(value: Object) -> Resolved:
    resolved = Resolved.of(value)
    assert resolved
    return resolved


def writing(kit: Any) -> tuple[World, Any, Object]:
    key = {"name": "writer-key", "key": "token"}
    asked = {
        "model": {"endpoint": {"url": "https://h.example.com/v1", "model": "writer", "key": key}},
        "prompts": [{"name": "plain", "text": "Plainly: {text}"}],
        "seeds": {"source": "pages"},
        "documents": 9000,
        "budget": {"tokens": "5M"},
    }
    pages = {"name": "pages", "uri": "store:///pages", "format": "Jsonl"}
    sources = [pages, {"name": "written", "synthetic": asked}]
    world = seen(kit, kit.resource("Dataset", sources=sources))
    pool = kit.SETTINGS.pools[0]
    run = generate_run(world, pool, output(world, None))
    return world, run, config_map(world, "data-dset-r1-generate", run, pool, "cupola-curator")


MAKERS: dict[str, Callable[[Any], tuple[World, Any, Object]]] = {
    "writing": writing,
    "listing": listing,
    "curation": dataset,
    "pretraining": pretraining,
    "tuning": tuning,
    "evaluation": evaluation,
}
CLUSTERS: dict[str, Callable[[Any], tuple[World, Any, Object]]] = {
    "pretraining-cluster": pretraining_on_a_cluster,
    "listing-cluster": listing_on_a_cluster,
}


def attempt(kind: str, world: World, run: Any, resolved: Resolved) -> Object:
    kind = kind.removesuffix("-cluster")
    if kind in ("pretraining", "tuning"):
        return pytorch_job(world, resolved, run, 2)
    if kind == "evaluation":
        return evaluation_job(world, resolved, run, 1)
    if kind == "writing":
        return generate_job(world, resolved, run, attempt=1, at_once=2)
    stage, parts = ("list", 1) if kind == "listing" else ("clean", run.parts)
    return stage_job(world, resolved, stage=stage, attempt=1, parts=parts, at_once=4)


class Dumper(yaml.SafeDumper):
    """YAML for reviewers: no anchors, texts of several lines as they are."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


Dumper.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


def check(name: str, value: Object) -> None:
    path = GOLDEN / f"{name}.yaml"
    text = yaml.dump(value, Dumper=Dumper, sort_keys=False, width=100)
    if os.environ.get("CUPOLA_GOLDEN") == "write":
        path.write_text(text)
    assert text == path.read_text(), f"{path.name} differs; see the head of {Path(__file__).name}"


@pytest.mark.parametrize("kind", MAKERS | CLUSTERS)
def test_config_map(kit: Any, kind: str) -> None:
    check(f"{kind}-configmap", (MAKERS | CLUSTERS)[kind](kit)[2])


@pytest.mark.parametrize("kind", MAKERS | CLUSTERS)
def test_attempt(kit: Any, kind: str) -> None:
    world, run, value = (MAKERS | CLUSTERS)[kind](kit)
    check(f"{kind}-attempt", attempt(kind, world, run, read_back(value)))


@pytest.mark.parametrize("kind", MAKERS)
def test_a_run_resolved_by_an_older_version_is_read_back(kit: Any, kind: str) -> None:
    value = MAKERS[kind](kit)[2]
    notes = value["metadata"]["annotations"]
    placement = json.loads(notes[PLACEMENT])
    old = ("name", "device", "gpusPerNode", "nodes", "threadsPerGpu", "pricePerGpuHour", "gpuWatts")
    pool = {field: placement["pool"][field] for field in old}
    notes[PLACEMENT] = json.dumps({"pool": pool, "currency": "USD", "image": "cupola"})
    found = read_back(value).placement
    assert found.pool.memory_per_gpu is None
    assert found.pool.scheduling_timeout == "10m"
    assert (found.others, found.queue, found.image_pull_secrets) == ([], None, [])


@pytest.mark.parametrize("kind", MAKERS)
def test_a_run_is_read_back_as_it_was_resolved(kit: Any, kind: str) -> None:
    _, run, value = MAKERS[kind](kit)
    assert read_back(value).run == run
    assert read_back(value).digest == run.digest


@pytest.mark.parametrize("kind", MAKERS)
def test_the_same_world_gives_the_same_object(kit: Any, kind: str) -> None:
    assert MAKERS[kind](kit)[2] == MAKERS[kind](kit)[2]


@pytest.mark.parametrize("kind", MAKERS)
def test_pods_fit_the_restricted_profile(kit: Any, kind: str) -> None:
    world, run, value = MAKERS[kind](kit)
    job = attempt(kind, world, run, read_back(value))
    spec = job["spec"].get("pytorchReplicaSpecs", {}).get("Master") or job["spec"]
    pod = spec["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert pod["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    kinds = {key for volume in pod["volumes"] for key in volume if key != "name"}
    assert kinds <= {"configMap", "emptyDir"}


@pytest.mark.parametrize("kind", MAKERS)
def test_everything_is_owned_and_labelled(kit: Any, kind: str) -> None:
    world, run, value = MAKERS[kind](kit)
    job = attempt(kind, world, run, read_back(value))
    for child in (value, job):
        owner = child["metadata"]["ownerReferences"][0]
        assert (owner["uid"], owner["controller"], owner["blockOwnerDeletion"]) == (
            world.uid,
            True,
            True,
        )
        assert child["metadata"]["labels"]["cupola.dev/name"] == world.key.name
    specs = job["spec"].get("pytorchReplicaSpecs", {"Job": job["spec"]}).values()
    for spec in specs:
        assert spec["template"]["metadata"]["labels"] == job["metadata"]["labels"]


def test_a_dataset_without_a_summary_has_no_vocabulary(kit: Any) -> None:
    data = kit.done("Dataset")
    del data["status"]["summary"]
    world = seen(kit, kit.resource("PretrainJob"), data)
    with pytest.raises(ValueError, match="Dataset/data has no summary"):
        pretrain_run(world, kit.SETTINGS.pools[0])


def test_the_context_of_a_tuned_model_is_that_of_the_first_one(kit: Any) -> None:
    value = kit.resource("FineTune", "second", base={"fineTune": "tuned"})
    world = seen(
        kit,
        value,
        kit.done("FineTune"),
        kit.done("PretrainJob", model={"size": "2M", "context": 512}),
        kit.done("Dataset", task=TASK),
    )
    assert Key("PretrainJob", "default", "base") in world.references
    assert fine_tune_run(world, kit.SETTINGS.pools[0]).max_length == 512
