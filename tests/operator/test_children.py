from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cupola_api.outcome import Outcome, OutcomeKind
from cupola_operator.children import Job, Pod, Resolved, owner_of, text_of, time_of

AT = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T00:01:00Z"


def pod(**status: Any) -> Pod:
    return Pod.of(
        {
            "metadata": {
                "name": "p",
                "uid": "u",
                "labels": {
                    "cupola.dev/revision": "2",
                    "cupola.dev/attempt": "3",
                    "cupola.dev/stage": "pretrain",
                    "cupola.dev/gpus": "4",
                    "training.kubeflow.org/replica-type": "master",
                    "training.kubeflow.org/replica-index": "1",
                },
            },
            "status": status,
        }
    )


def container(name: str = "pytorch", **state: Any) -> list[dict[str, Any]]:
    return [{"name": "sidecar", "state": {}}, {"name": name, "state": state}]


def test_labels_say_what_a_pod_is() -> None:
    seen = pod()
    assert (seen.revision, seen.attempt, seen.stage, seen.gpus) == (2, 3, "pretrain", 4)
    assert seen.master
    assert seen.index == 1
    assert not seen.terminal
    assert not seen.running


def test_a_running_pod() -> None:
    seen = pod(
        phase="Running",
        startTime=AT,
        podIP="10.0.0.1",
        containerStatuses=container(running={"startedAt": LATER}),
    )
    assert seen.running
    assert seen.started == datetime(2026, 1, 1, tzinfo=UTC)
    assert seen.ip == "10.0.0.1"
    assert not seen.succeeded
    assert not seen.failed


def test_the_end_is_read_from_the_container_that_works() -> None:
    message = Outcome(outcome=OutcomeKind.SUCCEEDED, step=5).write()
    for name in ("pytorch", "main"):
        state = {"exitCode": 0, "startedAt": AT, "finishedAt": LATER, "message": message}
        seen = pod(phase="Running", containerStatuses=container(name, terminated=state))
        assert seen.succeeded
        assert seen.outcome
        assert seen.outcome.step == 5
        assert (seen.started, seen.finished) == (time_of(AT), time_of(LATER))
        assert not seen.by_node


def test_what_a_pod_says_goes_before_its_exit_code() -> None:
    said = Outcome(outcome=OutcomeKind.FAILED).write()
    state = {"exitCode": 0, "message": said}
    assert pod(phase="Succeeded", containerStatuses=container(terminated=state)).failed


@pytest.mark.parametrize("message", [None, "", "{", "x" * 5000, '{"outcome": "Succeeded", "x": 1}'])
def test_a_message_that_cannot_be_read_is_none(message: str | None) -> None:
    state = {"exitCode": 1, "message": message}
    seen = pod(phase="Failed", containerStatuses=container(terminated=state))
    assert seen.outcome is None
    assert seen.failed


@pytest.mark.parametrize(
    "status",
    [
        {"reason": "Evicted"},
        {"reason": "NodeLost"},
        {"conditions": [{"type": "DisruptionTarget", "status": "True"}]},
        {},
    ],
)
def test_a_node_ended_a_pod_that_it_gave_no_container_status(status: dict[str, Any]) -> None:
    seen = pod(phase="Failed", **status)
    assert seen.by_node
    assert seen.failed
    assert seen.finished is None


def test_a_pod_that_its_node_lost_sight_of() -> None:
    state = {"exitCode": 137, "reason": "ContainerStatusUnknown", "finishedAt": LATER}
    seen = pod(phase="Failed", reason="NodeLost", containerStatuses=container(terminated=state))
    assert seen.estimated
    assert seen.by_node
    assert seen.reason == "NodeLost"


def test_a_program_that_failed_was_not_ended_by_its_node() -> None:
    state = {"exitCode": 137, "reason": "OOMKilled"}
    seen = pod(phase="Failed", containerStatuses=container(terminated=state))
    assert not seen.by_node
    assert seen.reason == "OOMKilled"
    assert seen.exit_code == 137


def test_a_pod_that_succeeded_without_container_status() -> None:
    assert pod(phase="Succeeded").succeeded


def test_what_keeps_a_pod_from_starting() -> None:
    unscheduled = [
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "no GPU"}
    ]
    assert pod(phase="Pending", conditions=unscheduled).waiting == "Unschedulable: no GPU"
    state = container(waiting={"reason": "ImagePullBackOff", "message": "no such image"})
    assert pod(containerStatuses=state).waiting == "ImagePullBackOff: no such image"


def test_the_last_evidence_is_the_last_change_of_a_condition() -> None:
    seen = pod(
        phase="Failed",
        conditions=[
            {"type": "Ready", "status": "False", "lastTransitionTime": LATER},
            {"type": "PodScheduled", "status": "True", "lastTransitionTime": AT},
        ],
    )
    assert seen.last_seen == time_of(LATER)


def test_a_pod_that_should_be_gone_is_overdue_a_minute_after_its_grace() -> None:
    seen = Pod(name="p", uid="u", gone_by=time_of(AT))
    assert seen.lingers(datetime(2026, 1, 1, 0, 1, 0, tzinfo=UTC))
    assert not seen.lingers(datetime(2026, 1, 1, 0, 1, 1, tzinfo=UTC))
    assert not Pod(name="p", uid="u", terminal=True).lingers(datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("conditions", "complete", "failed"),
    [
        ([], False, False),
        ([{"type": "Succeeded", "status": "True"}], True, False),
        ([{"type": "Complete", "status": "True"}], True, False),
        ([{"type": "Failed", "status": "True"}], False, True),
        ([{"type": "Failed", "status": "False"}], False, False),
    ],
)
def test_conditions_of_a_job(conditions: list[Any], complete: bool, failed: bool) -> None:
    seen = Job.of(
        {
            "kind": "PyTorchJob",
            "metadata": {"name": "j", "uid": "u", "labels": {"cupola.dev/attempt": "x²"}},
            "status": {"conditions": conditions},
        }
    )
    assert (seen.complete, seen.failed) == (complete, failed)
    assert seen.attempt == 0
    assert not seen.deleting


@pytest.mark.parametrize(
    "change",
    [
        {"data": {}},
        {"data": {"run.yaml": "kind: Nonsense"}},
        {"data": {"run.yaml": "{"}},
        {"metadata": {"name": "m"}},
        {"metadata": {"name": "m", "annotations": {"cupola.dev/digest": "sha256:0"}}},
        {"data": None},
    ],
)
def test_a_config_map_without_a_run_is_none(change: dict[str, Any]) -> None:
    value = {
        "metadata": {
            "name": "m",
            "annotations": {"cupola.dev/digest": "x", "cupola.dev/placement": "{}"},
        },
        "data": {"run.yaml": "kind: ListRun\nnamespace: n\nname: n\noutput: o\nsources: []\n"},
    }
    assert Resolved.of(value | change) is None


def test_the_owner_is_the_controller() -> None:
    owners = [{"uid": "a"}, {"uid": "b", "controller": True}]
    assert owner_of({"metadata": {"ownerReferences": owners}})["uid"] == "b"
    assert owner_of({"metadata": {}}) == {}


def test_times() -> None:
    assert time_of("2026-01-01T01:00:00+01:00") == time_of(AT)
    assert time_of("2026-01-01T00:00:00") == time_of(AT)
    assert time_of("2026-01-01T00:00:00.5Z") == datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    assert time_of("soon") is None
    assert time_of(5) is None
    assert text_of(datetime(2026, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)) == AT


@pytest.mark.parametrize(
    ("status", "obstacle"),
    [
        ({}, ""),
        ({"conditions": [{"type": "PodScheduled", "status": "True"}]}, ""),
        (
            {
                "conditions": [
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}
                ]
            },
            "Unschedulable",
        ),
        ({"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Gated"}]}, ""),
        ({"containerStatuses": container(waiting={"reason": "ContainerCreating"})}, ""),
        ({"containerStatuses": container(waiting={"reason": "ErrImagePull"})}, "ImageNotPulled"),
        (
            {"containerStatuses": container(waiting={"reason": "ImagePullBackOff"})},
            "ImageNotPulled",
        ),
        (
            {"containerStatuses": container(waiting={"reason": "InvalidImageName"})},
            "ImageNotPulled",
        ),
        (
            {"containerStatuses": container(waiting={"reason": "CreateContainerConfigError"})},
            "ContainerNotCreated",
        ),
        (
            {"initContainerStatuses": container(waiting={"reason": "ErrImagePull"})},
            "ImageNotPulled",
        ),
        (
            {"phase": "Failed", "containerStatuses": container(waiting={"reason": "ErrImagePull"})},
            "",
        ),
    ],
)
def test_what_a_person_must_put_right_before_a_pod_starts(
    status: dict[str, Any], obstacle: str
) -> None:
    assert pod(**status).obstacle == obstacle


def test_since_when_a_pod_waits() -> None:
    condition = {"type": "PodScheduled", "status": "False", "lastTransitionTime": AT}
    assert pod(conditions=[condition]).since == time_of(AT)
    assert pod().since is None


def test_what_keeps_an_earlier_container_from_starting_is_said() -> None:
    waits = {"reason": "ErrImagePull", "message": "404"}
    seen = pod(
        initContainerStatuses=container("init-pytorch", waiting=waits),
        containerStatuses=container(waiting={"reason": "PodInitializing"}),
    )
    assert seen.waiting == "ErrImagePull: 404"


def test_a_pod_that_ended_before_its_program_waited_in_vain() -> None:
    seen = pod(
        phase="Failed",
        initContainerStatuses=container("init-pytorch", terminated={"exitCode": 1}),
        containerStatuses=container(waiting={"reason": "PodInitializing"}),
    )
    assert seen.unmet
    assert not seen.by_node
    done = pod(
        phase="Failed",
        initContainerStatuses=container("init-pytorch", terminated={"exitCode": 0}),
        containerStatuses=container(terminated={"exitCode": 1}),
    )
    assert not done.unmet


@pytest.mark.parametrize(
    ("kind", "spec", "suspended"),
    [
        ("Job", {}, False),
        ("Job", {"suspend": True}, True),
        ("PyTorchJob", {"runPolicy": {}}, False),
        ("PyTorchJob", {"runPolicy": {"suspend": True}}, True),
        ("PyTorchJob", {"runPolicy": {"suspend": False}}, False),
    ],
)
def test_what_kueue_holds_is_suspended(kind: str, spec: dict[str, Any], suspended: bool) -> None:
    labels = {"kueue.x-k8s.io/queue-name": "team", "cupola.dev/pool": "h100"}
    metadata = {"name": "j", "uid": "u", "labels": labels, "creationTimestamp": AT}
    value = {"kind": kind, "metadata": metadata, "spec": spec}
    seen = Job.of(value)
    assert (seen.queue, seen.pool, seen.suspended, seen.held) == (
        "team",
        "h100",
        suspended,
        suspended,
    )
    assert seen.since == time_of(AT)
    ended = {"startTime": LATER, "conditions": [{"type": "Failed", "status": "True"}]}
    later = Job.of({**value, "status": ended})
    assert later.since == time_of(LATER)
    assert not later.held


@pytest.mark.parametrize(
    ("status", "since"),
    [
        ({}, AT),
        ({"startTime": LATER}, LATER),
        (
            {"conditions": [{"type": "Suspended", "status": "True", "lastTransitionTime": LATER}]},
            None,
        ),
        (
            {"conditions": [{"type": "Suspended", "status": "False", "lastTransitionTime": LATER}]},
            LATER,
        ),
        (
            {
                "startTime": AT,
                "conditions": [
                    {"type": "Suspended", "status": "False", "lastTransitionTime": LATER}
                ],
            },
            LATER,
        ),
    ],
)
def test_since_when_a_job_could_have_pods(status: dict[str, Any], since: str | None) -> None:
    metadata = {"name": "j", "uid": "u", "creationTimestamp": AT}
    seen = Job.of({"kind": "Job", "metadata": metadata, "spec": {}, "status": status})
    assert seen.since == (time_of(since) if since else None)
