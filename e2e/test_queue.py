"""Kueue: runs wait for their turn, and one that has to make room goes on later."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from .harness import Bucket, Object, Space, apply, kubectl, model, ready, until

API = "kueue.x-k8s.io/v1beta1"


def priority(name: str, value: int) -> Object:
    return {
        "apiVersion": API,
        "kind": "WorkloadPriorityClass",
        "metadata": {"name": name},
        "value": value,
    }


@pytest.fixture(scope="module")
def queue(space: Space) -> Iterator[str]:
    """A queue with room for one training."""
    cluster_wide: list[Object] = [
        {"apiVersion": API, "kind": "ResourceFlavor", "metadata": {"name": "any"}, "spec": {}},
        {
            "apiVersion": API,
            "kind": "ClusterQueue",
            "metadata": {"name": "one"},
            "spec": {
                "namespaceSelector": {},
                "preemption": {"withinClusterQueue": "LowerPriority"},
                "resourceGroups": [
                    {
                        "coveredResources": ["cpu", "memory"],
                        "flavors": [
                            {
                                "name": "any",
                                "resources": [
                                    {"name": "cpu", "nominalQuota": "300m"},
                                    {"name": "memory", "nominalQuota": "6Gi"},
                                ],
                            }
                        ],
                    }
                ],
            },
        },
        priority("urgent", 1000),
    ]
    apply(*cluster_wide)
    space.apply(
        {
            "apiVersion": API,
            "kind": "LocalQueue",
            "metadata": {"name": "team"},
            "spec": {"clusterQueue": "one"},
        }
    )
    yield "team"
    space.run("delete", "localqueue", "team")
    kubectl("delete", "clusterqueue/one", "resourceflavor/any", "workloadpriorityclass/urgent")


def test_two_trainings_run_one_after_the_other(
    space: Space, training: Callable[..., Object], queue: str, bucket: Bucket, reference: bytes
) -> None:
    space.apply(training("first", queue=queue))
    space.running("ptj", "first", 2)
    space.apply(training("second", queue=queue))
    status = until(
        "the second one is queued",
        lambda: (s := space.status("ptj", "second")) and "Queued" in ready(s) and s,
    )
    assert status["phase"] == "Pending"
    first = space.wait("ptj", "first", "Succeeded")
    second = space.wait("ptj", "second", "Succeeded")
    assert model(bucket, first) == model(bucket, second) == reference
    assert len(first["attempts"]) == len(second["attempts"]) == 1
    ended = first["attempts"][0]["endedAt"]
    assert second["attempts"][0]["startedAt"] >= ended


def test_one_that_makes_room_goes_on_later_and_has_spent_no_attempt(
    space: Space, training: Callable[..., Object], queue: str, bucket: Bucket, reference: bytes
) -> None:
    space.begin(training("patient", queue=queue))
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": "urgent",
            "namespace": space.name,
            "labels": {
                "kueue.x-k8s.io/queue-name": queue,
                "kueue.x-k8s.io/priority-class": "urgent",
            },
        },
        "spec": {
            "suspend": True,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 65532,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": "main",
                            "image": "localhost/busybox:1",
                            "command": ["sleep", "5"],
                            "resources": {"requests": {"cpu": "200m", "memory": "16Mi"}},
                            "securityContext": {
                                "allowPrivilegeEscalation": False,
                                "capabilities": {"drop": ["ALL"]},
                            },
                        }
                    ],
                }
            },
        },
    }
    space.apply(job)
    until(
        "the training makes room",
        lambda: "Queued" in ready(space.status("ptj", "patient")),
        timeout=120,
    )
    status = space.wait("ptj", "patient", "Succeeded", timeout=300)
    assert model(bucket, status) == reference
    assert len(status["attempts"]) == 1
    space.run("delete", "job", "urgent")
