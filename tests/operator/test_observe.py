from __future__ import annotations

from typing import Any

import pytest

from cupola_api.dataset import Dataset, DatasetStatus
from cupola_api.pretrainjob import PretrainJob, PretrainJobStatus
from cupola_operator import labels
from cupola_operator.cluster import Key, key_of
from cupola_operator.decide import Create, decide
from cupola_operator.resources import StatusUnreadable

BASE = Key("PretrainJob", "default", "base")


def child(kind: str, name: str, owner: str, **more: Any) -> Any:
    return {
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": labels.selector("PretrainJob", "base") | more.pop("labels", {}),
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        **more,
    }


@pytest.fixture
def cluster(kit: Any) -> Any:
    cluster = kit.Cluster()
    cluster.create(kit.resource("PretrainJob"))
    return cluster


def uid(cluster: Any) -> str:
    return str(cluster.objects[BASE]["metadata"]["uid"])


def test_what_is_not_there_is_none(kit: Any) -> None:
    assert kit.world(kit.Cluster(), BASE) is None


def test_children_of_an_earlier_resource_of_the_same_name_are_not_ours(
    kit: Any, cluster: Any
) -> None:
    for kind in ("PyTorchJob", "ConfigMap"):
        cluster.create(child(kind, f"mine-{kind.lower()}", uid(cluster)))
        cluster.create(child(kind, f"theirs-{kind.lower()}", "an earlier uid"))
    seen = kit.world(cluster, BASE)
    assert {job.key.name for job in seen.jobs} == {"mine-pytorchjob"}
    assert set(seen.runs) == {"mine-configmap"}


def test_pods_of_an_earlier_resource_are_seen_as_they_hold_devices(kit: Any, cluster: Any) -> None:
    cluster.create(child("Pod", "ghost", "an earlier job"))
    assert [pod.name for pod in kit.world(cluster, BASE).pods] == ["ghost"]


def test_a_child_that_was_made_and_is_neither_listed_nor_recorded_is_read_live(
    kit: Any, cluster: Any
) -> None:
    unlisted = child("PyTorchJob", "base-ptj-r1-a1", uid(cluster))
    unlisted["metadata"]["labels"] = {}
    cluster.create(unlisted)
    assert kit.world(cluster, BASE).jobs == ()
    for phase, seen in (("Pending", 1), ("Failed", 1), ("Succeeded", 0)):
        cluster.objects[BASE]["status"] = {"run": {"revision": 1}, "phase": phase}
        assert len(kit.world(cluster, BASE).jobs) == seen


def test_a_child_that_a_list_does_not_show_yet_is_read_live(kit: Any, cluster: Any) -> None:
    attempt = {"number": 1, "name": "base-ptj-r1-a1"}
    cluster.objects[BASE]["status"] = {"attempts": [attempt]}
    unlisted = child("PyTorchJob", "base-ptj-r1-a1", uid(cluster))
    unlisted["metadata"]["labels"] = {}
    cluster.create(unlisted)
    assert [job.key.name for job in kit.world(cluster, BASE).jobs] == ["base-ptj-r1-a1"]
    newer = {"number": 2, "name": "base-ptj-r1-a2"}
    cluster.objects[BASE]["status"] = {"attempts": [attempt | {"outcome": "Failed"}, newer]}
    assert kit.world(cluster, BASE).jobs == ()


def test_only_rank_0_of_the_newest_attempt_is_asked_for_metrics(kit: Any, cluster: Any) -> None:
    def pod(name: str, ip: str, phase: str, role: str, run: tuple[str, str]) -> None:
        revision, attempt = run
        tags = {
            labels.REVISION: revision,
            labels.ATTEMPT: attempt,
            "training.kubeflow.org/replica-type": role,
        }
        status = {"phase": phase, "podIP": ip, "startTime": "2026-01-01T00:00:00Z"}
        cluster.create(child("Pod", name, "j", labels=tags, status=status))

    pod("a", "10.0.0.1", "Running", "master", ("1", "1"))
    pod("b", "10.0.0.2", "Running", "master", ("1", "2"))
    pod("c", "10.0.0.3", "Running", "worker", ("1", "2"))
    pod("d", "10.0.0.4", "Succeeded", "master", ("1", "3"))
    pod("e", "10.0.0.5", "Running", "master", ("9", "9"))
    asked: list[str] = []

    def scrape(ip: str) -> dict[str, float]:
        asked.append(ip)
        return {"cupola_train_step": 1}

    assert kit.world(cluster, BASE, scrape=scrape).metrics == {"cupola_train_step": 1}
    assert asked == ["10.0.0.2"]


def test_nobody_is_asked_when_nothing_runs(kit: Any, cluster: Any) -> None:
    def scrape(_: str) -> dict[str, float]:
        raise AssertionError

    assert kit.world(cluster, BASE, scrape=scrape).metrics == {}


def test_the_bases_of_a_base_are_seen_to_the_first_model(kit: Any) -> None:
    cluster = kit.Cluster()
    cluster.create(kit.done("PretrainJob"))
    cluster.create(kit.done("FineTune"))
    key = key_of(cluster.create(kit.resource("FineTune", "second", base={"fineTune": "tuned"})))
    assert set(kit.world(cluster, key).references) == {
        Key("FineTune", "default", "tuned"),
        Key("PretrainJob", "default", "base"),
        Key("Dataset", "default", "data"),
    }


def test_what_a_model_was_made_from_is_seen_until_the_run_is_resolved(kit: Any) -> None:
    cluster = kit.Cluster()
    cluster.create(kit.done("Dataset", tokenizer={"dataset": "words"}))
    cluster.create(kit.done("PretrainJob"))
    cluster.create(kit.done("FineTune"))
    tasks = [{"name": "a", "harness": {"task": "a", "data": "store:///a"}}]
    exam = kit.resource("Evaluation", compareTo=None, tasks=tasks, thresholds=[])
    del exam["spec"]["compareTo"]
    key = key_of(cluster.create(exam))
    seen = kit.world(cluster, key)
    assert set(seen.references) == {
        Key("FineTune", "default", "tuned"),
        Key("PretrainJob", "default", "base"),
        Key("Dataset", "default", "data"),
        Key("Dataset", "default", "words"),
    }
    (made,) = decide(seen).actions
    assert isinstance(made, Create)
    cluster.create(made.value)
    assert set(kit.world(cluster, key).references) == {Key("FineTune", "default", "tuned")}


def test_an_invalid_resource_refers_to_nothing(kit: Any) -> None:
    cluster = kit.Cluster()
    key = key_of(cluster.create(kit.resource("PretrainJob", oops=1)))
    seen = kit.world(cluster, key)
    assert (seen.resource, seen.references, seen.revision) == (None, {}, 0)
    assert "oops" in seen.invalid


def test_a_world_is_of_one_kind(kit: Any, cluster: Any) -> None:
    seen = kit.world(cluster, BASE)
    assert seen.resource_as(PretrainJob).metadata.name == "base"
    assert seen.status_as(PretrainJobStatus).model is None
    with pytest.raises(TypeError, match="no valid Dataset"):
        seen.resource_as(Dataset)
    with pytest.raises(TypeError, match="no DatasetStatus"):
        seen.status_as(DatasetStatus)


def test_a_status_that_cannot_be_read_is_no_empty_one(kit: Any, cluster: Any) -> None:
    cluster.objects[BASE]["status"] = {"attempts": [{"number": 0}]}
    with pytest.raises(
        StatusUnreadable, match=r"PretrainJob/base: status.attempts.0.+create it again"
    ):
        kit.world(cluster, BASE)


@pytest.mark.parametrize(
    ("status", "queue", "suspended"),
    [
        ({}, {labels.QUEUE: "team"}, True),
        ({}, {}, False),
        ({"conditions": [{"type": "Failed", "status": "True"}]}, {labels.QUEUE: "team"}, False),
    ],
)
def test_what_kueue_may_suspend_is_read_live_after_its_pods(
    kit: Any, cluster: Any, status: Any, queue: dict[str, str], suspended: bool
) -> None:
    job = child("PyTorchJob", "j", uid(cluster), labels=queue, status=status, spec={})
    key = key_of(cluster.create(job))
    listed = cluster.find

    def lagging(kind: str, *rest: Any) -> list[Any]:
        """Kueue suspends the job after it was listed, before its pods are."""
        if kind == "Pod":
            cluster.objects[key]["spec"] = {"runPolicy": {"suspend": True}}
        return list(listed(kind, *rest))

    cluster.find = lagging
    (seen,) = kit.world(cluster, BASE).jobs
    assert seen.suspended is suspended


def test_a_queued_job_that_is_gone_meanwhile_is_not_seen(kit: Any, cluster: Any) -> None:
    job = child("PyTorchJob", "j", uid(cluster), labels={labels.QUEUE: "team"}, spec={})
    key = key_of(cluster.create(job))
    listed = cluster.find

    def lagging(kind: str, *rest: Any) -> list[Any]:
        if kind == "Pod":
            cluster.remove(key)
        return list(listed(kind, *rest))

    cluster.find = lagging
    assert kit.world(cluster, BASE).jobs == ()
