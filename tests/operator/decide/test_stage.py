from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from cupola_api.common import Attempt, PodTime
from cupola_operator.children import Job, Pod
from cupola_operator.cluster import Key
from cupola_operator.cost.ledger import MAX_PODS
from cupola_operator.decide.stage import Stage

NOW = datetime(2026, 1, 1, tzinfo=UTC)
JOB: Any = Stage(
    label="s",
    reason="R",
    resolved=None,  # type: ignore[arg-type]
    make=lambda _: {},
    done=lambda _: True,
    devices=1,
)
GANG = replace(JOB, gang=2)
PARTS = replace(JOB, parts=2)


def pod(uid: str, *, terminal: bool = False, **more: Any) -> Pod:
    return Pod(name=uid, uid=uid, terminal=terminal, **more)


def attempt(*uids: str) -> Attempt:
    return Attempt(number=1, name="a", pods=[PodTime(uid=uid) for uid in uids])


ENDED = pod("m", terminal=True)
FIRST = attempt("m", "w")
LARGE = attempt("m", "w", *(f"w{i}" for i in range(2, MAX_PODS)))


@pytest.mark.parametrize(
    ("stage", "known", "pods", "expected"),
    [
        (JOB, FIRST, [ENDED], True),
        (JOB, FIRST, [pod("m")], False),
        (JOB, FIRST, [], False),
        (PARTS, FIRST, [ENDED, pod("w")], False),
        (GANG, FIRST, [ENDED, pod("w")], True),
        (GANG, FIRST, [pod("m"), pod("w")], False),
        # The training operator made a new pod in the place of one that was deleted.
        (GANG, FIRST, [ENDED, pod("new")], False),
        (GANG, attempt("m", "w", "new"), [ENDED, pod("new")], False),
        (GANG, FIRST, [ENDED, pod("new", terminal=True)], True),
        (GANG, FIRST, [ENDED, pod("new", gone_by=NOW)], False),
        (GANG, FIRST, [ENDED, pod("new", gone_by=NOW - timedelta(seconds=61))], True),
        # Of a gang of which status cannot hold all pods it is not known which are new.
        (replace(JOB, gang=MAX_PODS + 2), LARGE, [ENDED, pod("beyond")], True),
    ],
)
def test_what_is_left_of_an_attempt_is_ended_by_the_controller_of_its_job(
    stage: Stage, known: Attempt, pods: list[Pod], expected: bool
) -> None:
    assert stage.ends_by_itself(known, pods, NOW) is expected


MINE = Job(Key("Job", "default", "a"), "j", 1, "s", 1)
LABELS: Any = {"resource": "u", "revision": 1, "stage": "s", "attempt": 1}


def world(jobs: tuple[Job, ...], *pods: Pod) -> Any:
    return SimpleNamespace(revision=1, uid="u", jobs=jobs, pods=pods)


def test_jobs_are_those_of_the_stage_and_revision_oldest_first() -> None:
    others = (replace(MINE, stage="t"), replace(MINE, revision=2))
    second = replace(MINE, uid="j2", attempt=2)
    seen = world((second, *others, MINE))
    assert JOB.jobs(seen) == [MINE, second]
    assert JOB.job(seen, 2) == second
    assert JOB.job(seen, 3) is None


def test_pods_are_those_of_the_job_and_without_it_those_of_its_labels() -> None:
    bare, named = pod("bare", owner="j"), pod("named", owner="gone", **LABELS)
    assert JOB.pods(world((MINE,), bare, named), attempt()) == [bare]
    assert JOB.pods(world((), bare, named), attempt()) == [named]
    assert JOB.pods(world((replace(MINE, attempt=2),), bare, named), attempt()) == [named]


@pytest.mark.parametrize(
    "other", [{"resource": "v"}, {"revision": 2}, {"stage": "t"}, {"attempt": 2}]
)
def test_pods_of_other_attempts_are_not_taken_for_those_of_a_job_that_is_gone(
    other: dict[str, Any],
) -> None:
    assert JOB.pods(world((), pod("p", **(LABELS | other))), attempt()) == []


def test_rank_0_comes_first_and_then_the_others_in_their_order() -> None:
    pods = [pod("c", owner="j", index=2), pod("b", owner="j", index=1)]
    master = pod("z", owner="j", master=True)
    assert JOB.pods(world((MINE,), *pods, master), attempt()) == [master, pods[1], pods[0]]
