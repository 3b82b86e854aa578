"""What pods are given: storage, secrets, what a person adds, and who wins where two speak."""

from __future__ import annotations

from typing import Any

import pytest

from cupola_operator.build.configmap import config_map
from cupola_operator.build.job import stage_job
from cupola_operator.build.pytorchjob import pytorch_job
from cupola_operator.build.run import list_run, pretrain_run
from cupola_operator.children import Resolved
from cupola_operator.cluster import Object, key_of
from cupola_operator.settings import Settings

STORAGE = {"endpoint": "https://s3", "secret": "keys", "serviceAccount": "account"}


def settings_of(kit: Any, pool: dict[str, Any], **changes: Any) -> Settings:
    value = kit.SETTINGS.to_json() | changes
    value["pools"] = [one | pool for one in value["pools"]]
    return Settings.model_validate(value)


def training(
    kit: Any, *, pool: str = "h100", settings: Any = None, shape: Any = None, **spec: Any
) -> Object:
    """The PyTorchJob of a training on a pool; `shape` replaces fields of the pools."""
    cluster = kit.Cluster()
    cluster.create(kit.done("Dataset"))
    key = key_of(cluster.create(kit.resource("PretrainJob", **spec)))
    given = settings_of(kit, shape or {}, **(settings or {}))
    world = kit.world(cluster, key, settings=given)
    chosen = given.pool(pool)
    run = pretrain_run(world, chosen)
    resolved = Resolved.of(config_map(world, "c", run, chosen, "image"))
    assert resolved
    return pytorch_job(world, resolved, run, 1)


def listing(kit: Any, settings: Any, **spec: Any) -> Object:
    """The Job of a Dataset's listing."""
    cluster = kit.Cluster()
    key = key_of(cluster.create(kit.resource("Dataset", **spec)))
    given = settings_of(kit, {}, **settings)
    world = kit.world(cluster, key, settings=given)
    resolved = Resolved.of(config_map(world, "c", list_run(world), given.pools[0], "image"))
    assert resolved
    return stage_job(world, resolved, stage="list", attempt=1, parts=1, at_once=1)


def pod_of(job: Object) -> Object:
    spec = job["spec"]
    template = spec.get("pytorchReplicaSpecs", {}).get("Master", spec)["template"]
    return dict(template)


def variables(job: Object) -> dict[str, str]:
    (container,) = pod_of(job)["spec"]["containers"]
    names = [variable["name"] for variable in container["env"]]
    assert len(names) == len(set(names))
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}


def test_what_lies_in_s3_comes_with_an_address_and_an_identity(kit: Any) -> None:
    job = training(kit, settings={"store": "s3://models", "storage": STORAGE})
    spec = pod_of(job)["spec"]
    assert variables(job)["AWS_ENDPOINT_URL_S3"] == "https://s3"
    assert "AWS_REGION" not in variables(job)
    assert spec["containers"][0]["envFrom"] == [{"secretRef": {"name": "keys"}}]
    assert spec["serviceAccountName"] == "account"
    assert spec["automountServiceAccountToken"] is False


def test_what_lies_elsewhere_needs_no_keys(kit: Any) -> None:
    job = listing(kit, {"store": "pvc://data/x", "storage": STORAGE})
    spec = pod_of(job)["spec"]
    assert "AWS_ENDPOINT_URL_S3" not in variables(job)
    assert "envFrom" not in spec["containers"][0]
    assert "serviceAccountName" not in spec


@pytest.mark.parametrize("store", ["s3://models", "pvc://data/x$(y)"])
def test_what_a_pod_prints_is_kept_beside_what_its_run_makes(kit: Any, store: str) -> None:
    job = listing(kit, {"store": store})
    (container,) = pod_of(job)["spec"]["containers"]
    assert container["args"][:6] == [
        *("python", "-m", "cupola_trainer.logs"),
        *("python", "-m", "cupola_trainer"),
    ]
    place = variables(job)["CUPOLA_LOG"]
    assert place.startswith(f"{store.replace('$', '$$')}/default/dataset/data/")
    assert place.endswith("/logs/a1-00000001/$(CUPOLA_POD).log")
    names = [variable["name"] for variable in container["env"]]
    assert names.index("CUPOLA_POD") < names.index("CUPOLA_LOG")


def test_one_machine_keeps_the_logs_of_its_pods_itself(kit: Any) -> None:
    job = listing(kit, {"store": "file:///models"})
    (container,) = pod_of(job)["spec"]["containers"]
    assert container["args"][:4] == ["python", "-m", "cupola_trainer", "curate"]
    assert "CUPOLA_LOG" not in variables(job)


def test_how_long_a_training_may_hang_is_what_the_resource_says_now(kit: Any) -> None:
    settings = {"store": "s3://models"}
    one = variables(training(kit, settings=settings))
    other = variables(training(kit, settings=settings, stability={"hangTimeout": "1h"}))
    assert one.pop("CUPOLA_HANG_TIMEOUT") == "10m"
    assert other.pop("CUPOLA_HANG_TIMEOUT") == "1h"
    assert one == other  # CUPOLA_LOG, which holds the digest of the run, too


def test_a_source_in_s3_is_enough_to_need_keys(kit: Any) -> None:
    sources = [{"name": "a", "uri": "s3://raw/a", "format": "Jsonl"}]
    job = listing(kit, {"store": "pvc://data/x", "storage": STORAGE}, sources=sources)
    assert pod_of(job)["spec"]["containers"][0]["envFrom"] == [{"secretRef": {"name": "keys"}}]


@pytest.mark.parametrize(
    ("uris", "claims"),
    [
        (["pvc://a/x", "pvc://a/y", "store:///z"], ["a", "data"]),
        (["pvc://b/x", "s3://bucket/x"], ["b", "data"]),
        (["store:///x"], ["data"]),
    ],
)
def test_every_claim_that_a_run_reads_or_writes_is_mounted_once(
    kit: Any, uris: list[str], claims: list[str]
) -> None:
    sources = [{"name": f"s{i}", "uri": uri, "format": "Jsonl"} for i, uri in enumerate(uris)]
    spec = pod_of(listing(kit, {"store": "pvc://data/x"}, sources=sources))["spec"]
    mounted = {
        mount["mountPath"]: volume["persistentVolumeClaim"]["claimName"]
        for mount in spec["containers"][0]["volumeMounts"]
        for volume in spec["volumes"]
        if volume["name"] == mount["name"] and "persistentVolumeClaim" in volume
    }
    assert mounted == {f"/mnt/cupola/{claim}": claim for claim in claims}


def test_what_a_person_adds_is_in_the_pod(kit: Any) -> None:
    template = {
        "labels": {"team": "nlp"},
        "annotations": {"note": "mine"},
        "env": [{"name": "NCCL_DEBUG", "value": "INFO"}],
        "envFromSecrets": ["hub"],
        "serviceAccountName": "runs",
        "volumes": [{"name": "cache", "persistentVolumeClaim": {"claimName": "c"}}],
    }
    job = training(kit, podTemplate=template)
    pod = pod_of(job)
    assert pod["metadata"]["labels"]["team"] == "nlp"
    assert "team" not in job["metadata"]["labels"]
    assert pod["metadata"]["annotations"] == {"note": "mine"}
    assert variables(job)["NCCL_DEBUG"] == "INFO"
    (container,) = pod["spec"]["containers"]
    assert container["envFrom"] == [{"secretRef": {"name": "hub"}}]
    assert pod["spec"]["serviceAccountName"] == "runs"
    assert {"name": "extra-cache", "mountPath": "/mnt/cache"} in container["volumeMounts"]
    volume = {"claimName": "c", "readOnly": False}
    assert {"name": "extra-cache", "persistentVolumeClaim": volume} in pod["spec"]["volumes"]


def test_a_persons_account_takes_the_place_of_that_for_storage(kit: Any) -> None:
    settings = {"store": "s3://models", "storage": STORAGE}
    job = training(kit, settings=settings, podTemplate={"serviceAccountName": "runs"})
    assert pod_of(job)["spec"]["serviceAccountName"] == "runs"


def test_a_persons_value_wins_over_that_of_the_pool(kit: Any) -> None:
    shape = {"env": {"NCCL_DEBUG": "WARN", "NCCL_IB_HCA": "mlx5"}, "annotations": {"a": "pool"}}
    template = {"env": [{"name": "NCCL_DEBUG", "value": "INFO"}], "annotations": {"a": "mine"}}
    job = training(kit, shape=shape, podTemplate=template)
    assert (variables(job)["NCCL_DEBUG"], variables(job)["NCCL_IB_HCA"]) == ("INFO", "mlx5")
    assert pod_of(job)["metadata"]["annotations"] == {"a": "mine"}


def test_nobody_takes_the_place_of_cupolas_own_labels(kit: Any) -> None:
    pod = pod_of(training(kit, podTemplate={"labels": {"team": "a"}}))
    assert pod["metadata"]["labels"]["cupola.dev/kind"] == "PretrainJob"


def test_pods_go_where_their_pool_says(kit: Any) -> None:
    shape = {
        "nodeSelector": {"gpu": "h100"},
        "tolerations": [{"key": "gpu", "value": "yes"}, {"operator": "Exists"}],
        "priorityClass": "high",
        "runtimeClass": "nvidia",
    }
    spec = pod_of(training(kit, shape=shape))["spec"]
    assert spec["nodeSelector"] == {"gpu": "h100"}
    assert spec["tolerations"] == [
        {"key": "gpu", "operator": "Equal", "value": "yes"},
        {"operator": "Exists"},
    ]
    assert (spec["priorityClassName"], spec["runtimeClassName"]) == ("high", "nvidia")


@pytest.mark.parametrize(
    ("shape", "user", "capabilities"),
    [
        ({}, 65532, {"drop": ["ALL"]}),
        ({"security": {"runAsRoot": True}}, 0, {"drop": ["ALL"]}),
        (
            {"security": {"runAsRoot": True, "capabilities": ["IPC_LOCK", "SYS_RESOURCE"]}},
            0,
            {"drop": ["ALL"], "add": ["IPC_LOCK", "SYS_RESOURCE"]},
        ),
    ],
)
def test_a_training_may_do_more_only_where_its_pool_says_so(
    kit: Any, shape: dict[str, Any], user: int, capabilities: Object
) -> None:
    spec = pod_of(training(kit, shape=shape))["spec"]
    assert spec["securityContext"]["runAsUser"] == user
    assert spec["securityContext"]["runAsNonRoot"] is (user != 0)
    assert spec["containers"][0]["securityContext"]["capabilities"] == capabilities


@pytest.mark.parametrize(("nodes", "near"), [(1, False), (2, True)])
def test_a_gang_stays_together_where_there_is_room(kit: Any, nodes: int, near: bool) -> None:
    job = training(kit, shape={"topologyKey": "example.com/rack"}, parallelism={"nodes": nodes})
    pod = pod_of(job)
    assert ("affinity" in pod["spec"]) is near
    if near:
        wanted = "preferredDuringSchedulingIgnoredDuringExecution"
        (term,) = pod["spec"]["affinity"]["podAffinity"][wanted]
        same = term["podAffinityTerm"]["labelSelector"]["matchLabels"]
        assert same.items() <= pod["metadata"]["labels"].items()
        assert same["cupola.dev/attempt"] == "1"
        assert term["podAffinityTerm"]["topologyKey"] == "example.com/rack"


def test_without_a_topology_a_gang_goes_anywhere(kit: Any) -> None:
    assert "affinity" not in pod_of(training(kit, parallelism={"nodes": 2}))["spec"]


@pytest.mark.parametrize(
    ("spec", "default", "store", "queue"),
    [
        ({}, None, "s3://models", None),
        ({"queue": "team"}, None, "s3://models", "team"),
        ({}, "all", "s3://models", "all"),
        ({"queue": "team"}, "all", "s3://models", "team"),
        ({"queue": "team"}, "all", "file:///data", None),
    ],
)
def test_what_is_queued_is_suspended_and_labelled_for_kueue(
    kit: Any, spec: dict[str, str], default: str | None, store: str, queue: str | None
) -> None:
    settings = {"store": store, **({"queue": default} if default else {})}
    gang, job = training(kit, settings=settings, **spec), listing(kit, settings, **spec)
    for value, holder in ((gang, gang["spec"]["runPolicy"]), (job, job["spec"])):
        assert value["metadata"]["labels"].get("kueue.x-k8s.io/queue-name") == queue
        assert "kueue.x-k8s.io/queue-name" not in pod_of(value)["metadata"]["labels"]
        assert holder.get("suspend", False) is (queue is not None)
