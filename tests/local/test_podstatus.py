from __future__ import annotations

from typing import Any

import pytest

from cupola_api.outcome import MAX_BYTES
from cupola_operator.cluster import Object
from cupola_operator.local import podstatus

POD: Object = {
    "metadata": {"name": "p", "uid": "u"},
    "spec": {"containers": [{"name": "main", "image": "i"}]},
}


def _conditions(status: Object) -> dict[str, str]:
    return {c["type"]: c["status"] for c in status["conditions"]}


def _ended(**values: Any) -> Object:
    running = podstatus.running(POD, address="127.1.1.1", started=10.0)
    base: dict[str, Any] = {
        "exit_code": 0,
        "signal": None,
        "reason": "Completed",
        "message": "",
        "finished": 70.0,
    }
    return podstatus.ended({**POD, "status": running}, **{**base, **values})


def test_a_waiting_pod_says_why() -> None:
    status = podstatus.waiting(POD, "no room", 5.0)
    assert status["phase"] == "Pending"
    scheduled = status["conditions"][0]
    assert scheduled == {
        "type": "PodScheduled",
        "status": "False",
        "reason": "SchedulingGated",
        "message": "no room",
        "lastTransitionTime": "1970-01-01T00:00:05Z",
    }
    later = podstatus.waiting({**POD, "status": status}, "still no room", 9.0)
    assert later["conditions"][0]["lastTransitionTime"] == "1970-01-01T00:00:05Z"


def test_a_running_pod_has_an_address_and_a_start() -> None:
    status = podstatus.running(POD, address="127.1.1.1", started=10.0)
    assert status["phase"] == "Running"
    assert status["podIP"] == "127.1.1.1"
    assert status["startTime"] == "1970-01-01T00:00:10Z"
    assert status["containerStatuses"][0]["state"] == {
        "running": {"startedAt": "1970-01-01T00:00:10Z"}
    }
    assert _conditions(status) == {"PodScheduled": "True", "Ready": "True"}


def test_an_ended_pod_has_its_times_and_its_message() -> None:
    status = _ended(message="done")
    assert status["phase"] == "Succeeded"
    assert status["podIP"] == "127.1.1.1"
    assert status["startTime"] == "1970-01-01T00:00:10Z"
    assert status["containerStatuses"][0]["state"] == {
        "terminated": {
            "exitCode": 0,
            "reason": "Completed",
            "message": "done",
            "startedAt": "1970-01-01T00:00:10Z",
            "finishedAt": "1970-01-01T00:01:10Z",
        }
    }
    assert _conditions(status) == {"PodScheduled": "True", "Ready": "False"}


def test_a_signal_is_reported() -> None:
    status = _ended(exit_code=137, signal=9, reason="Error")
    assert status["phase"] == "Failed"
    assert status["containerStatuses"][0]["state"]["terminated"]["signal"] == 9


@pytest.mark.parametrize(
    ("disruption", "reason"),
    [(podstatus.NODE_LOST, "DeletionByPodGC"), (podstatus.SHUTDOWN, "TerminationByKubelet")],
)
def test_an_end_by_the_node_is_told_from_one_by_the_program(disruption: str, reason: str) -> None:
    status = _ended(exit_code=143, reason="Error", disruption=(disruption, "because"))
    assert status["reason"] == disruption
    condition = next(c for c in status["conditions"] if c["type"] == "DisruptionTarget")
    assert (condition["status"], condition["reason"]) == ("True", reason)


def test_a_pod_that_succeeded_while_its_node_stopped_has_succeeded() -> None:
    status = _ended(disruption=(podstatus.SHUTDOWN, "because"))
    assert status["phase"] == "Succeeded"
    assert "DisruptionTarget" not in _conditions(status)


def test_a_pod_that_never_ran_has_a_start_all_the_same() -> None:
    status = podstatus.ended(
        POD, exit_code=128, signal=None, reason="StartError", message="why", finished=3.0
    )
    assert status["startTime"] == "1970-01-01T00:00:03Z"


@pytest.mark.parametrize(
    ("code", "signal", "oom_kills", "said", "reason"),
    [
        (0, None, 0, True, "Completed"),
        (0, None, 1, False, "Completed"),
        (1, None, 0, False, "Error"),
        (1, None, 1, True, "Error"),
        (1, None, 1, False, "OOMKilled"),
        (137, 9, 1, True, "OOMKilled"),
        (137, 9, 0, False, "Error"),
    ],
)
def test_reasons_of_ends(
    code: int, signal: int | None, oom_kills: int, said: bool, reason: str
) -> None:
    found = podstatus.end_reason(code, signal, out_of_memory=False, oom_kills=oom_kills, said=said)
    assert found == reason


@pytest.mark.parametrize(
    ("code", "signal", "reason"),
    [(137, 9, "OOMKilled"), (1, None, "OOMKilled"), (0, None, "Completed")],
)
def test_a_pod_killed_for_its_own_limit_says_so_unless_it_was_done(
    code: int, signal: int | None, reason: str
) -> None:
    found = podstatus.end_reason(code, signal, out_of_memory=True, oom_kills=0, said=True)
    assert found == reason


def test_the_termination_message_is_the_end_of_its_file() -> None:
    data = b"x" * 10 + b"y" * MAX_BYTES
    message = podstatus.termination_message(data, b"log", failed=True, policy="File")
    assert message == "y" * MAX_BYTES
    assert podstatus.termination_message(b"", b"log", failed=True, policy="File") == ""


def test_the_log_stands_in_for_the_message_only_where_asked_for() -> None:
    policy = "FallbackToLogsOnError"
    log = b"".join(b"%d\n" % i for i in range(2000))
    text = podstatus.termination_message(b"", log, failed=True, policy=policy)
    assert text.splitlines()[-1] == "1999"
    assert len(text.splitlines()) == 80
    assert podstatus.termination_message(b"", log, failed=False, policy=policy) == ""
    assert podstatus.termination_message(b"m", log, failed=True, policy=policy) == "m"
