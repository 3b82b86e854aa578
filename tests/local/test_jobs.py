from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_operator.cluster import Object
from cupola_operator.local.clock import rfc3339
from cupola_operator.local.jobs import FAILURES, INDEX, intervals, numbers, sync


def _job(completions: int = 3, parallelism: int = 3, **spec: Any) -> Object:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j", "namespace": "n", "uid": "u"},
        "spec": {
            "completionMode": "Indexed",
            "completions": completions,
            "parallelism": parallelism,
            "template": {"spec": {"containers": [{"name": "main", "env": []}]}},
            **spec,
        },
    }


def _end(pod: Object, exit_code: int = 0, finished: float = 0.0) -> Object:
    state = {"terminated": {"exitCode": exit_code, "finishedAt": rfc3339(finished)}}
    phase = "Failed" if exit_code else "Succeeded"
    return {**pod, "status": {"phase": phase, "containerStatuses": [{"state": state}]}}


def _run(pod: Object) -> Object:
    return {**pod, "status": {"phase": "Running"}}


def _step(job: Object, pods: list[Object], now: float = 0.0) -> list[Object]:
    """Syncs once, as the controller does; returns the pods it made."""
    changes = sync(job, pods, now)
    job["status"] = changes.status
    return changes.create


def _indexes(pods: list[Object]) -> list[str]:
    return [pod["metadata"]["annotations"][INDEX] for pod in pods]


def _conditions(job: Object) -> dict[str, str]:
    return {c["type"]: c["reason"] for c in job["status"]["conditions"]}


def test_each_index_gets_a_pod_that_knows_it() -> None:
    pods = _step(_job(), [])
    assert _indexes(pods) == ["0", "1", "2"]
    pod = pods[1]
    name = pod["metadata"]["name"]
    assert name.startswith("j-1-")
    assert len(name) == len("j-1-") + 5
    assert pod["metadata"]["labels"][INDEX] == "1"
    assert pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] == "j"
    assert pod["spec"]["containers"][0]["env"] == [
        {
            "name": "JOB_COMPLETION_INDEX",
            "valueFrom": {"fieldRef": {"fieldPath": f"metadata.annotations['{INDEX}']"}},
        }
    ]


def test_names_are_the_same_whoever_asks() -> None:
    assert _step(_job(), []) == _step(_job(), [])


def test_no_more_pods_run_than_parallelism_says() -> None:
    job = _job(completions=4, parallelism=2)
    pods = _step(job, [])
    assert _indexes(pods) == ["0", "1"]
    pods = [_end(pods[0]), _run(pods[1])]
    more = _step(job, pods)
    assert _indexes(more) == ["2"]
    assert job["status"]["completedIndexes"] == "0"
    assert job["status"]["active"] == 1


def test_a_job_is_complete_when_every_index_is() -> None:
    job = _job()
    pods = _step(job, [])
    assert _step(job, [_end(pod) for pod in pods], 7.0) == []
    assert _conditions(job) == {"Complete": "CompletionsReached"}
    assert job["status"]["completedIndexes"] == "0-2"
    assert job["status"]["completionTime"] == "1970-01-01T00:00:07Z"
    assert job["status"]["succeeded"] == 3


def test_an_index_stays_complete_when_its_pod_is_gone() -> None:
    job = _job(completions=2)
    pods = _step(job, [])
    assert _step(job, [_end(pods[0]), _run(pods[1])]) == []
    assert _step(job, [_run(pods[1])]) == []
    assert job["status"]["completedIndexes"] == "0"


def test_a_failed_pod_is_replaced_under_another_name_after_a_pause() -> None:
    job = _job(completions=1, backoffLimitPerIndex=2)
    first = _step(job, [])[0]
    failed = _end(first, 1, finished=10.0)
    assert _step(job, [failed], 10.5) == []
    assert sync(job, [failed], 10.5).again == pytest.approx(0.5)
    second = _step(job, [failed], 11.0)[0]
    assert second["metadata"]["name"] != first["metadata"]["name"]
    assert second["metadata"]["annotations"][FAILURES] == "1"
    failed_again = _end(second, 1, finished=20.0)
    assert _step(job, [failed, failed_again], 21.9) == []
    assert len(_step(job, [failed, failed_again], 22.0)) == 1


def test_an_index_is_given_up_after_its_limit_and_the_others_go_on() -> None:
    job = _job(completions=2, parallelism=1, backoffLimitPerIndex=0)
    first = _end(_step(job, [])[0], 1)
    second = _step(job, [first], 100.0)
    assert _indexes(second) == ["1"]
    assert job["status"]["failedIndexes"] == "0"
    assert _step(job, [first, _end(second[0])], 101.0) == []
    assert _conditions(job) == {"FailureTarget": "FailedIndexes", "Failed": "FailedIndexes"}


def test_failures_are_remembered_when_a_failed_pod_is_gone() -> None:
    job = _job(completions=1, backoffLimitPerIndex=1)
    first = _end(_step(job, [])[0], 1)
    second = _step(job, [first], 100.0)[0]
    assert _step(job, [_end(second, 1)], 200.0) == []
    assert "Failed" in _conditions(job)


def test_without_a_limit_per_index_failures_of_all_count_together() -> None:
    job = _job(completions=2, backoffLimit=1)
    one, two = _step(job, [])
    pods = [_end(one, 1), _end(two, 1)]
    assert _step(job, pods, 100.0) == []
    assert _conditions(job)["Failed"] == "BackoffLimitExceeded"


def test_a_failed_job_stops_its_pods_and_is_failed_only_when_they_ended() -> None:
    job = _job(completions=2, backoffLimit=0)
    one, two = _step(job, [])
    pods = [_end(one, 1), _run(two)]
    changes = sync(job, pods, 100.0)
    assert changes.delete == [pods[1]]
    job["status"] = changes.status
    assert _conditions(job) == {"FailureTarget": "BackoffLimitExceeded"}
    _step(job, [pods[0], _end(two, 143)], 101.0)
    assert _conditions(job)["Failed"] == "BackoffLimitExceeded"


def test_a_pod_that_is_going_is_not_doubled() -> None:
    job = _job(completions=1)
    pod = _run(_step(job, [])[0])
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert _step(job, [pod]) == []


def test_an_ended_job_stays_as_it_is() -> None:
    job = _job(completions=1)
    _step(job, [_end(_step(job, [])[0])])
    changes = sync(job, [], 99.0)
    assert (changes.create, changes.delete, changes.status) == ([], [], job["status"])


@given(st.sets(st.integers(0, 60)))
def test_intervals_are_read_back(found: set[int]) -> None:
    assert numbers(intervals(found)) == found


def test_intervals_are_written_as_in_kubernetes() -> None:
    assert intervals([1, 3, 4, 5, 7]) == "1,3-5,7"


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([0, 0, 1])), max_size=60))
def test_any_order_of_ends_leads_to_an_end_within_the_limits(
    ends: list[tuple[int, int]],
) -> None:
    job = _job(completions=3, parallelism=2, backoffLimitPerIndex=1)
    pods: dict[str, Object] = {}
    now = 0.0
    for pick, code in [*ends, *([(0, 0)] * 20)]:
        now += 1000.0
        changes = sync(job, list(pods.values()), now)
        job["status"] = changes.status
        for pod in changes.create:
            assert pod["metadata"]["name"] not in pods
            pods[pod["metadata"]["name"]] = _run(pod)
        active = [name for name, pod in pods.items() if pod["status"]["phase"] == "Running"]
        assert len(active) <= 2
        assert len({_indexes([pods[name]])[0] for name in active}) == len(active)
        if active:
            name = active[pick % len(active)]
            pods[name] = _end(pods[name], code, now)
    assert {"Complete", "Failed"} & _conditions(job).keys()
    per_index = [_indexes([p])[0] for p in pods.values() if p["status"]["phase"] == "Failed"]
    assert all(per_index.count(index) <= 2 for index in per_index)


def test_a_suspended_job_has_no_pods_and_goes_on_when_it_is_let() -> None:
    waiting = sync(_job(suspend=True), [], 0.0)
    assert (waiting.create, waiting.delete) == ([], [])
    assert "startTime" not in waiting.status
    pods = sync(_job(), [], 1.0).create
    done, active = _end(pods[0]), [_run(pod) for pod in pods[1:]]
    seen = sync(_job(), [done, *active], 2.0)
    evicted = sync({**_job(suspend=True), "status": seen.status}, [done, *active], 3.0)
    assert evicted.delete == active
    assert "startTime" not in evicted.status
    back = sync({**_job(), "status": evicted.status}, [done], 4.0)
    indexes = {pod["metadata"]["annotations"][INDEX] for pod in back.create}
    assert indexes == {"1", "2"}
