from __future__ import annotations

from typing import Any

import pytest

from cupola_operator.cluster import Object
from cupola_operator.local.network import address
from cupola_operator.local.pytorchjobs import sync


def _job(workers: int = 1, **spec: Any) -> Object:
    template = {
        "metadata": {"labels": {"cupola.dev/name": "x"}, "annotations": {"a": "b"}},
        "spec": {
            "containers": [
                {"name": "pytorch", "command": ["torchrun"], "env": [{"name": "A", "value": "1"}]}
            ]
        },
    }
    replicas: dict[str, Any] = {
        "Master": {"replicas": 1, "restartPolicy": "Never", "template": template}
    }
    if workers:
        replicas["Worker"] = {"replicas": workers, "restartPolicy": "Never", "template": template}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "j", "namespace": "n", "uid": "u"},
        "spec": {
            "nprocPerNode": "2",
            "runPolicy": {"cleanPodPolicy": "Running"},
            "pytorchReplicaSpecs": replicas,
            **spec,
        },
    }


def _pods(job: Object, *phases: str) -> list[Object]:
    pods = sync(job, [], 0.0).create
    return [{**pod, "status": {"phase": phase}} for pod, phase in zip(pods, phases, strict=True)]


def _env(pod: Object) -> dict[str, str]:
    return {v["name"]: v["value"] for v in pod["spec"]["containers"][0]["env"]}


def _conditions(status: Object) -> dict[str, tuple[str, str]]:
    return {c["type"]: (c["status"], c["reason"]) for c in status["conditions"]}


def test_a_new_job_gets_its_pods() -> None:
    changes = sync(_job(workers=2), [], 0.0)
    assert [pod["metadata"]["name"] for pod in changes.create] == [
        "j-master-0",
        "j-worker-0",
        "j-worker-1",
    ]
    metadata = changes.create[2]["metadata"]
    assert metadata["namespace"] == "n"
    assert metadata["labels"] == {
        "cupola.dev/name": "x",
        "training.kubeflow.org/job-name": "j",
        "training.kubeflow.org/operator-name": "pytorchjob-controller",
        "training.kubeflow.org/replica-type": "worker",
        "training.kubeflow.org/replica-index": "1",
    }
    assert metadata["annotations"] == {"a": "b"}
    assert metadata["ownerReferences"][0] | {} == {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "name": "j",
        "uid": "u",
        "controller": True,
        "blockOwnerDeletion": True,
    }
    assert changes.create[0]["metadata"]["labels"]["training.kubeflow.org/job-role"] == "master"
    assert changes.create[0]["spec"]["restartPolicy"] == "Never"
    assert _conditions(changes.status) == {"Created": ("True", "PyTorchJobCreated")}


def test_every_pod_is_told_its_place_in_the_gang() -> None:
    master, worker = (_env(pod) for pod in sync(_job(), [], 0.0).create)
    assert master["MASTER_ADDR"] == worker["PET_MASTER_ADDR"] == address("u", "j-master-0")
    assert master["MASTER_PORT"] == worker["PET_MASTER_PORT"]
    assert 20_000 <= int(master["MASTER_PORT"]) < 30_000
    expected = {
        "A": "1",
        "PYTHONUNBUFFERED": "1",
        "WORLD_SIZE": "4",
        "PET_NPROC_PER_NODE": "2",
        "PET_NNODES": "2",
    }
    assert expected.items() <= master.items()
    assert expected.items() <= worker.items()
    assert (master["RANK"], master["PET_NODE_RANK"]) == ("0", "0")
    assert (worker["RANK"], worker["PET_NODE_RANK"]) == ("1", "1")


def test_without_processes_per_node_the_world_counts_nodes() -> None:
    env = _env(sync(_job(nprocPerNode="auto"), [], 0.0).create[0])
    assert (env["WORLD_SIZE"], env["PET_NPROC_PER_NODE"]) == ("2", "auto")


def test_the_job_itself_is_not_changed() -> None:
    job, same = _job(), _job()
    sync(job, [], 0.0)
    assert job == same


def test_a_missing_pod_is_made_again_with_the_port_of_the_others() -> None:
    job = _job()
    master, worker = _pods(job, "Running", "Running")
    changes = sync(job, [master], 0.0)
    assert [pod["metadata"]["name"] for pod in changes.create] == ["j-worker-0"]
    assert _env(changes.create[0]) == _env(worker)


def test_a_job_runs_as_soon_as_its_master_does() -> None:
    job = _job()
    status = sync(job, _pods(job, "Pending", "Running"), 0.0).status
    assert "Running" not in _conditions(status)
    status = sync(job, _pods(job, "Running", "Pending"), 5.0).status
    assert _conditions(status)["Running"] == ("True", "PyTorchJobRunning")
    assert status["replicaStatuses"] == {"Master": {"active": 1}, "Worker": {}}
    assert status["startTime"] == "1970-01-01T00:00:05Z"


def test_a_job_has_succeeded_when_its_master_has() -> None:
    job = _job()
    pods = _pods(job, "Running", "Running")
    job["status"] = sync(job, pods, 1.0).status
    pods = _pods(job, "Succeeded", "Running")
    changes = sync(job, pods, 9.0)
    assert _conditions(changes.status) == {
        "Created": ("True", "PyTorchJobCreated"),
        "Running": ("False", "PyTorchJobRunning"),
        "Succeeded": ("True", "PyTorchJobSucceeded"),
    }
    assert changes.status["completionTime"] == "1970-01-01T00:00:09Z"


@pytest.mark.parametrize("phases", [("Failed", "Running"), ("Running", "Failed")])
def test_a_job_has_failed_when_one_pod_has(phases: tuple[str, str]) -> None:
    job = _job()
    status = sync(job, _pods(job, *phases), 0.0).status
    assert _conditions(status)["Failed"] == ("True", "PyTorchJobFailed")
    assert _conditions(status).get("Running", ("False",))[0] == "False"


def test_a_running_pod_that_is_deleted_counts_as_failed() -> None:
    job = _job()
    pods = _pods(job, "Running", "Running")
    pods[1]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    status = sync(job, pods, 0.0).status
    assert "Failed" in _conditions(status)


@pytest.mark.parametrize(
    ("policy", "deleted"),
    [("Running", ["j-worker-0"]), ("None", []), ("All", ["j-master-0", "j-worker-0"])],
)
def test_pods_of_an_ended_job_go_as_its_policy_says(policy: str, deleted: list[str]) -> None:
    job = _job(runPolicy={"cleanPodPolicy": policy})
    pods = _pods(job, "Succeeded", "Running")
    job["status"] = sync(job, pods, 0.0).status
    changes = sync(job, pods, 1.0)
    assert [pod["metadata"]["name"] for pod in changes.delete] == deleted
    assert changes.create == []


def test_an_ended_job_makes_no_pods_and_keeps_its_status() -> None:
    job = _job()
    job["status"] = sync(job, _pods(job, "Failed", "Running"), 0.0).status
    changes = sync(job, [], 50.0)
    assert changes.create == []
    assert changes.status == job["status"]


def test_deciding_again_changes_nothing() -> None:
    job = _job()
    pods = _pods(job, "Running", "Running")
    job["status"] = sync(job, pods, 0.0).status
    changes = sync(job, pods, 100.0)
    assert (changes.create, changes.delete, changes.status) == ([], [], job["status"])


def test_a_suspended_job_has_no_pods_and_goes_on_when_it_is_let() -> None:
    policy = {"cleanPodPolicy": "Running", "suspend": True}
    waiting = _job(runPolicy=policy)
    first = sync(waiting, [], 0.0)
    assert (first.create, first.delete) == ([], [])
    assert _conditions(first.status)["Suspended"] == ("True", "PyTorchJobSuspended")
    admitted = {**_job(), "status": first.status}
    pods = sync(admitted, [], 5.0).create
    assert len(pods) == 2
    running = [{**pod, "status": {"phase": "Running"}} for pod in pods]
    second = sync(admitted, running, 6.0)
    assert second.status["startTime"] == "1970-01-01T00:00:06Z"
    assert set(_conditions(second.status)) == {"Created", "Running"}
    evicted = sync({**waiting, "status": second.status}, running, 9.0)
    assert evicted.delete == running
    assert evicted.create == []
    conditions = _conditions(evicted.status)
    assert (conditions["Running"][0], conditions["Suspended"][0]) == ("False", "True")
    assert not evicted.status["startTime"]


def test_a_job_that_ended_stays_as_it_ended_when_it_is_suspended() -> None:
    job = _job()
    pods = _pods(job, "Failed", "Running")
    ended = sync(job, pods, 1.0)
    later = sync({**_job(runPolicy={"suspend": True}), "status": ended.status}, pods[:1], 2.0)
    assert _conditions(later.status)["Failed"][0] == "True"
    assert later.delete == []
