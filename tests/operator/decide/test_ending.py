from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cupola_api.artifact import digest_of
from cupola_api.common import Artifact, Attempt, PodTime
from cupola_api.outcome import FailureClass, Outcome, OutcomeKind
from cupola_operator.children import Job, Pod
from cupola_operator.cluster import Key
from cupola_operator.decide.ending import Ending, ending, recorded, truer
from cupola_operator.decide.stage import Stage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ARTIFACT = Artifact(uri="file:///a", digest=digest_of("a"), bytes=1)


def done(outcome: Outcome) -> bool:
    return outcome.artifact is not None


STAGE: Any = {
    "label": "s",
    "reason": "R",
    "resolved": None,
    "make": None,
    "done": done,
    "devices": 2,
}
TRAINING = Stage(gang=2, **STAGE)
MEASURING = Stage(**STAGE)
CLEANING = Stage(silent=True, **STAGE)
ATTEMPT = Attempt(number=1, name="a", pods=[PodTime(uid="m"), PodTime(uid="w")])
JOB = Job(key=Key("Job", "default", "a"), uid="j", revision=1, stage="s", attempt=1)
COMPLETE = Job(key=JOB.key, uid="j", revision=1, stage="s", attempt=1, complete=True)
LEAVING = Job(key=JOB.key, uid="j", revision=1, stage="s", attempt=1, deleting=True)
BROKEN = Job(key=JOB.key, uid="j", revision=1, stage="s", attempt=1, failed=True)


def pod(uid: str = "m", code: int | None = None, said: Outcome | None = None, **more: Any) -> Pod:
    return Pod(
        name=f"pod-{uid}",
        uid=uid,
        master=uid == "m",
        terminal=code is not None or more.pop("terminal", False),
        exit_code=code,
        outcome=said,
        started=NOW,
        **more,
    )


def says(kind: str, failure: str | None = None, **more: Any) -> Outcome:
    return Outcome(
        outcome=OutcomeKind(kind),
        failure=FailureClass(failure) if failure else None,
        message=more.pop("message", "so it is"),
        reason=more.pop("reason", "Because"),
        **more,
    )


SUCCESS = says("Succeeded", artifact=ARTIFACT)
NOTHING = says("Succeeded")


def short(end: Ending | None) -> tuple[str, str] | None:
    return (end.outcome, end.reason) if end else None


@pytest.mark.parametrize(
    ("pods", "job", "expected"),
    [
        ([pod("m"), pod("w")], JOB, None),
        ([pod("m", 0, SUCCESS), pod("w")], JOB, ("Succeeded", "Completed")),
        ([pod("m", 0, SUCCESS)], COMPLETE, ("Succeeded", "Completed")),
        ([pod("m", 0, SUCCESS), pod("w", 1)], None, ("Succeeded", "Completed")),
        ([pod("m"), pod("w", 0, SUCCESS)], JOB, None),
        ([pod("m", 0, NOTHING), pod("w")], JOB, ("Failed", "NoResult")),
        ([pod("m", 0), pod("w")], JOB, ("Failed", "NoResult")),
        ([pod("m"), pod("w", 1)], JOB, ("Failed", "NoMessage")),
        ([pod("m", 1, says("Failed", "User")), pod("w")], JOB, ("Failed", "Because")),
        ([pod("m")], JOB, ("Lost", "PodsLost")),
        ([pod("m"), pod("new")], JOB, ("Lost", "PodsLost")),
        ([], JOB, ("Lost", "PodsLost")),
        ([], None, ("Lost", "PodsLost")),
        ([pod("m"), pod("w")], None, None),
        ([pod("m", gone_by=NOW + timedelta(seconds=30))], None, None),
        ([pod("m"), pod("w")], LEAVING, None),
        ([pod("m"), pod("w", 137)], JOB, ("Lost", "Killed")),
        ([pod("m", 143, says("Stopped", step=5)), pod("w")], None, ("Stopped", "Stopped")),
        ([pod("m", gone_by=NOW - timedelta(seconds=61))], None, ("Lost", "PodsLost")),
        ([], COMPLETE, ("Lost", "PodsLost")),
        ([pod("w", 0)], BROKEN, ("Lost", "PodsLost")),
        ([pod("m"), pod("w", gone_by=NOW - timedelta(seconds=61))], JOB, ("Lost", "PodsLost")),
        ([pod("m"), pod("w", gone_by=NOW - timedelta(seconds=59))], JOB, None),
    ],
)
def test_a_gang(pods: list[Pod], job: Job | None, expected: tuple[str, str] | None) -> None:
    assert short(ending(TRAINING, ATTEMPT, job, pods, NOW)) == expected


def test_a_gang_that_was_never_whole_is_not_broken() -> None:
    young = Attempt(number=1, name="a")
    assert ending(TRAINING, young, JOB, [pod("m")], NOW) is None
    for over in (COMPLETE, BROKEN):
        assert short(ending(TRAINING, young, over, [], NOW)) == ("Lost", "PodsLost")


@pytest.mark.parametrize(
    ("stage", "pods", "job", "expected"),
    [
        (MEASURING, [pod("a")], JOB, None),
        (MEASURING, [pod("a", 0, SUCCESS)], JOB, ("Succeeded", "Completed")),
        (MEASURING, [pod("a", 0, NOTHING)], JOB, None),
        (MEASURING, [pod("a", 0, NOTHING)], COMPLETE, ("Failed", "NoResult")),
        (MEASURING, [], COMPLETE, ("Lost", "PodsLost")),
        (MEASURING, [pod("a", 1)], JOB, None),
        (MEASURING, [pod("a", 1)], BROKEN, ("Failed", "NoMessage")),
        (MEASURING, [], BROKEN, ("Lost", "PodsLost")),
        (MEASURING, [], None, ("Lost", "PodsLost")),
        (MEASURING, [pod("a", 1)], None, ("Failed", "NoMessage")),
        (MEASURING, [], JOB, None),
        (CLEANING, [pod("a", 0), pod("b", 0)], COMPLETE, ("Succeeded", "Completed")),
        (CLEANING, [], COMPLETE, ("Succeeded", "Completed")),
        (CLEANING, [pod("a", 0), pod("b", 1)], JOB, None),
        (CLEANING, [pod("a"), pod("b", 1, says("Failed", "Data"))], JOB, ("Failed", "Because")),
        (CLEANING, [pod("a"), pod("b", 0, SUCCESS)], JOB, ("Succeeded", "Completed")),
    ],
)
def test_a_job(
    stage: Stage, pods: list[Pod], job: Job | None, expected: tuple[str, str] | None
) -> None:
    assert short(ending(stage, ATTEMPT, job, pods, NOW)) == expected


@pytest.mark.parametrize(
    ("stage", "job", "pods", "words"),
    [
        (TRAINING, JOB, [pod("m", 0, SUCCESS), pod("w")], ["so it is"]),
        (TRAINING, None, [pod("m", 143, says("Stopped", step=5))], ["so it is"]),
        (TRAINING, JOB, [pod("m", 0), pod("w")], ["pod-m", "exit code 0", "log may tell"]),
        (TRAINING, JOB, [pod("m")], ["1 of the pods of a "]),
        (TRAINING, JOB, [], ["2 of the pods of a "]),
        (TRAINING, BROKEN, [], ["PyTorchJob a "]),
        (TRAINING, None, [], ["a is gone"]),
        (MEASURING, BROKEN, [], ["Job a "]),
        (
            MEASURING,
            JOB,
            [pod("m", gone_by=NOW - timedelta(seconds=61))],
            ["pod-m", "node does not answer"],
        ),
    ],
)
def test_the_sentence_names_what_ended(
    stage: Stage, job: Job | None, pods: list[Pod], words: list[str]
) -> None:
    end = ending(stage, ATTEMPT, job, pods, NOW)
    assert end
    assert all(word in end.message for word in words), end.message


def test_a_pod_that_does_not_say_what_came_of_it_failed_for_unknown_cause() -> None:
    end = ending(TRAINING, ATTEMPT, JOB, [pod("m", 0), pod("w")], NOW)
    assert end
    assert end.cause is FailureClass.UNKNOWN


def test_a_silent_stage_ends_well_without_a_word() -> None:
    end = ending(CLEANING, ATTEMPT, COMPLETE, [pod("a", 0)], NOW)
    assert end == Ending("Succeeded", "Completed", "")


RANK_0_SAVED = pod("m", 143, says("Stopped", step=5))


@pytest.mark.parametrize(
    ("old", "new", "taken"),
    [
        (pod("w", 1), pod("m", 1, says("Failed", "OutOfMemory")), True),
        (pod("m", 1, says("Failed", "OutOfMemory")), pod("w", 1), False),
        (pod("w", 143), RANK_0_SAVED, True),
        # Of two that are equally to blame: the later view, in which rank 0 comes first.
        (pod("w", 1, says("Failed")), pod("m", 1, says("Failed", reason="Other")), True),
        (
            pod("w", 1, says("Failed")),
            pod("m", 1, says("Failed", "Infrastructure", reason="RankLost")),
            False,
        ),
        (RANK_0_SAVED, pod("w", 143), False),
    ],
)
def test_a_recorded_end_is_replaced_by_what_explains_it(old: Pod, new: Pod, taken: bool) -> None:
    first, second = (ending(TRAINING, ATTEMPT, JOB, [one], NOW) for one in (old, new))
    assert first
    assert second
    assert truer(first, second) == (second if taken else first)
    assert truer(first, None) == first


def test_a_late_success_is_taken_and_never_given_back() -> None:
    success = ending(TRAINING, ATTEMPT, JOB, [pod("m", 0, SUCCESS)], NOW)
    lost = ending(TRAINING, ATTEMPT, None, [], NOW)
    assert success
    assert lost
    assert truer(lost, success) == success
    assert truer(success, lost) == success


def test_what_status_holds_of_an_end() -> None:
    assert recorded(ATTEMPT) is None
    end = recorded(
        Attempt(
            number=1,
            name="a",
            outcome="Failed",
            reason="OOMKilled",
            message="too large",
            failure=FailureClass.OUT_OF_MEMORY,
        )
    )
    assert end == Ending("Failed", "OOMKilled", "too large", FailureClass.OUT_OF_MEMORY)
    silent = Attempt(number=1, name="a", outcome="Lost")
    assert recorded(silent) == Ending("Lost", "", "")
