from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cupola_api.artifact import digest_of
from cupola_api.common import Artifact, Attempt
from cupola_api.outcome import FailureClass, Outcome, OutcomeKind
from cupola_operator.children import Job, Pod
from cupola_operator.cluster import Key
from cupola_operator.cost.ledger import Gang
from cupola_operator.decide.ending import Ending, ending
from cupola_operator.decide.stage import Stage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ARTIFACT = Artifact(uri="file:///a", digest=digest_of("a"), bytes=1)


def done(outcome: Outcome) -> bool:
    return outcome.artifact is not None


STAGE: Any = {"label": "s", "reason": "R", "resolved": None, "make": None, "done": done}
TRAINING = Stage(gang=Gang(2, 1), **STAGE)
MEASURING = Stage(**STAGE)
CLEANING = Stage(silent=True, **STAGE)
ATTEMPT = Attempt(number=1, name="a", pods=["m", "w"])
JOB = Job(key=Key("Job", "default", "a"), uid="j", revision=1, stage="s", attempt=1)
COMPLETE = Job(key=JOB.key, uid="j", revision=1, stage="s", attempt=1, complete=True)
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
        ([pod("m"), pod("w")], None, ("Lost", "PodsLost")),
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
    ("failed", "expected", "final", "saved"),
    [
        (pod("m", 1, says("Failed", "User")), ("Failed", "Because"), True, False),
        (pod("m", 1, says("Failed", "Data")), ("Failed", "Because"), True, False),
        (pod("m", 1, says("Failed", "Unknown")), ("Failed", "Because"), False, False),
        (pod("m", 1, says("Failed")), ("Failed", "Because"), False, False),
        (pod("m", 1, says("Failed", "OutOfMemory")), ("Failed", "Because"), False, False),
        (pod("m", 1, says("Failed", "Infrastructure")), ("Lost", "Because"), False, False),
        (pod("m", 1, says("Failed", "User"), by_node=True), ("Failed", "Because"), True, False),
        (pod("m", 1, says("Failed"), by_node=True), ("Lost", "Disrupted"), False, False),
        (pod("m", 143, says("Stopped", step=5)), ("Lost", "Stopped"), False, True),
        (pod("m", 143, says("Stopped")), ("Lost", "Stopped"), False, False),
        (pod("m", 143), ("Lost", "Stopped"), False, False),
        (pod("m", 143, says("Stopped", step=5), by_node=True), ("Lost", "Disrupted"), False, True),
        (pod("m", terminal=True, by_node=True), ("Lost", "Disrupted"), False, False),
        (pod("m", 137, reason="OOMKilled"), ("Failed", "OOMKilled"), False, False),
        (pod("m", 137, reason="Error"), ("Failed", "NoMessage"), False, False),
    ],
)
def test_whose_doing_it_was(
    failed: Pod, expected: tuple[str, str], final: bool, saved: bool
) -> None:
    end = ending(TRAINING, ATTEMPT, JOB, [failed, pod("w")], NOW)
    assert end
    assert short(end) == expected
    assert (end.final, end.saved) == (final, saved)
    assert end.message


@pytest.mark.parametrize(
    ("blamed", "others"),
    [
        (
            pod("a", 1, says("Failed", "User", reason="Mine")),
            [pod("b", terminal=True, by_node=True)],
        ),
        (
            pod("a", 1, says("Failed", "OutOfMemory", reason="OutOfMemory")),
            [pod("b", 1, says("Failed", "Unknown")), pod("c", 143)],
        ),
        (pod("a", 137, reason="OOMKilled"), [pod("b", 1, says("Failed", "Infrastructure"))]),
        (pod("a", terminal=True, by_node=True), [pod("b", 1, says("Failed", "Unknown"))]),
        (pod("a", 1, says("Failed", "Unknown", reason="Mine")), [pod("b", 1), pod("c", 143)]),
        (pod("a", 1), [pod("b", 143, says("Stopped"))]),
    ],
)
def test_the_one_to_blame_is_found_among_those_that_failed_with_it(
    blamed: Pod, others: list[Pod]
) -> None:
    alone = ending(TRAINING, ATTEMPT, JOB, [blamed], NOW)
    for pods in ([blamed, *others], [*others, blamed]):
        assert ending(TRAINING, ATTEMPT, JOB, pods, NOW) == alone
