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
from cupola_operator.build.job import evaluation_job, stage_job
from cupola_operator.build.pod import device_resources, thread_resources
from cupola_operator.build.pytorchjob import pytorch_job
from cupola_operator.build.run import (
    curate_run,
    evaluate_run,
    fine_tune_run,
    list_run,
    pretrain_run,
)
from cupola_operator.children import PLACEMENT, Resolved
from cupola_operator.cluster import Key, Object, key_of
from cupola_operator.world import World

GOLDEN = Path(__file__).parent.parent / "golden"
TASK = {"input": "question", "output": "answer"}


def seen(kit: Any, value: Object, *others: Object) -> World:
    cluster = kit.Cluster()
    key = key_of(cluster.create(value))
    for other in others:
        cluster.create(other)
    world = kit.world(cluster, key)
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
    return world, run, config_map(world, "exam-ev-r1", run, pool, "cupola-trainer")


def read_back(value: Object) -> Resolved:
    resolved = Resolved.of(value)
    assert resolved
    return resolved


MAKERS: dict[str, Callable[[Any], tuple[World, Any, Object]]] = {
    "listing": listing,
    "curation": dataset,
    "pretraining": pretraining,
    "tuning": tuning,
    "evaluation": evaluation,
}


def attempt(kind: str, world: World, run: Any, resolved: Resolved) -> Object:
    if kind in ("pretraining", "tuning"):
        return pytorch_job(world, resolved, run, 2)
    if kind == "evaluation":
        return evaluation_job(world, resolved, run, 1)
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


@pytest.mark.parametrize("kind", MAKERS)
def test_config_map(kit: Any, kind: str) -> None:
    check(f"{kind}-configmap", MAKERS[kind](kit)[2])


@pytest.mark.parametrize("kind", MAKERS)
def test_attempt(kit: Any, kind: str) -> None:
    world, run, value = MAKERS[kind](kit)
    check(f"{kind}-attempt", attempt(kind, world, run, read_back(value)))


@pytest.mark.parametrize(
    ("pool", "gpus", "wanted"),
    [
        (0, 2, {"requests": {"cpu": "6", "memory": "3072Mi"}, "limits": {"memory": "3072Mi"}}),
        (
            1,
            8,
            {
                "requests": {"memory": "12288Mi"},
                "limits": {"nvidia.com/gpu": 8, "memory": "12288Mi"},
            },
        ),
    ],
)
def test_a_pod_may_take_the_memory_of_its_devices(
    kit: Any, pool: int, gpus: int, wanted: Object
) -> None:
    ours = kit.SETTINGS.pools[pool].model_copy(update={"memory_per_gpu": "1536Mi"})
    assert device_resources(ours, gpus) == wanted


def test_a_curation_pod_may_take_the_memory_of_one_slot(kit: Any) -> None:
    ours = kit.SETTINGS.pools[1].model_copy(update={"memory_per_gpu": "1536Mi"})
    assert thread_resources(ours) == {
        "requests": {"cpu": "12", "memory": "1536Mi"},
        "limits": {"memory": "1536Mi"},
    }


@pytest.mark.parametrize("kind", MAKERS)
def test_a_run_resolved_before_pools_had_memory_is_read_back(kit: Any, kind: str) -> None:
    value = MAKERS[kind](kit)[2]
    notes = value["metadata"]["annotations"]
    placement = json.loads(notes[PLACEMENT])
    placement["pool"].pop("memoryPerGpu", None)
    notes[PLACEMENT] = json.dumps(placement)
    assert read_back(value).placement.pool.memory_per_gpu is None


@pytest.mark.parametrize("kind", MAKERS)
def test_a_run_is_read_back_as_it_was_resolved(kit: Any, kind: str) -> None:
    _, run, value = MAKERS[kind](kit)
    assert read_back(value).run == run
    assert read_back(value).digest == run.digest


@pytest.mark.parametrize("kind", MAKERS)
def test_the_same_world_gives_the_same_object(kit: Any, kind: str) -> None:
    assert MAKERS[kind](kit)[2] == MAKERS[kind](kit)[2]


@pytest.mark.parametrize("kind", MAKERS)
def test_pods_hold_no_token_and_no_privilege(kit: Any, kind: str) -> None:
    world, run, value = MAKERS[kind](kit)
    job = attempt(kind, world, run, read_back(value))
    spec = job["spec"].get("pytorchReplicaSpecs", {}).get("Master") or job["spec"]
    pod = spec["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    security = pod["containers"][0]["securityContext"]
    assert security == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


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
