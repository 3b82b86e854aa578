from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cupola_api import metrics
from cupola_api.common import Attempt, Progress
from cupola_api.outcome import Outcome, OutcomeKind
from cupola_operator.children import Job, Placement, Pod, Resolved, text_of
from cupola_operator.cluster import Key, key_of
from cupola_operator.cost.ledger import Gang
from cupola_operator.decide.attempts import MAX_ENTRIES, Step, bounded, drive
from cupola_operator.decide.stage import Stage
from cupola_operator.decide.verdict import Create, Delete


def job(number: int = 1, **more: Any) -> Job:
    key = Key("PyTorchJob", "default", f"base-ptj-r1-a{number}")
    return Job(key, f"j{number}", 1, "pretrain", number, **more)


def pod(role: str = "m", number: int = 1, **more: Any) -> Pod:
    return Pod(
        name=f"{role}{number}",
        uid=f"{role}{number}",
        owner=f"j{number}",
        revision=1,
        stage="pretrain",
        attempt=number,
        gpus=1,
        master=role == "m",
        **more,
    )


def ended(number: int, outcome: str = "Failed", **more: Any) -> Attempt:
    return Attempt(
        number=number,
        name=f"base-ptj-r1-a{number}",
        outcome=outcome,
        reason=more.pop("reason", "Unexpected"),
        message="it broke",
        **more,
    )


@pytest.fixture
def bench(kit: Any) -> Any:
    """`bench(jobs=..., pods=..., attempts=...)` is the next step of a stage of two pods."""
    cluster = kit.Cluster()
    key = key_of(cluster.create(kit.resource("PretrainJob")))
    placement = Placement(pool=kit.SETTINGS.pools[0], currency="USD", image="i")
    stage = Stage(
        label="pretrain",
        reason="Training",
        resolved=Resolved("m", "sha256:0", None, placement),  # type: ignore[arg-type]
        make=lambda number: {
            "kind": "PyTorchJob",
            "metadata": {"name": f"base-ptj-r1-a{number}", "namespace": "default"},
        },
        done=lambda outcome: outcome.artifact is not None,
        gang=Gang(2, 1),
    )

    def step(
        *, attempts: Any = (), progress: Any = None, checkpoints: bool = True, **world: Any
    ) -> Step:
        seen = kit.world(cluster, key)
        status = seen.status.model_copy(update={"attempts": list(attempts), "progress": progress})
        one = replace(stage, checkpoints=checkpoints)
        return drive(replace(seen, status=status, **world), one)

    return step


def test_the_first_attempt_is_created(bench: Any) -> None:
    step = bench()
    (create,) = step.verdict.actions
    assert isinstance(create, Create)
    assert create.value["metadata"]["name"] == "base-ptj-r1-a1"
    assert create.after == ()
    assert step.verdict.phase == "Pending"
    assert step.status.attempts == []


def test_an_attempt_enters_status_when_its_job_is_seen(bench: Any) -> None:
    step = bench(jobs=(job(),))
    (attempt,) = step.status.attempts
    assert (attempt.number, attempt.name, attempt.outcome) == (1, "base-ptj-r1-a1", None)
    assert step.verdict.phase == "Pending"
    assert step.verdict.actions == ()


def test_what_keeps_pods_from_starting_is_said(bench: Any) -> None:
    step = bench(jobs=(job(),), pods=(pod(waiting="Unschedulable: no GPU"), pod("w")))
    assert step.verdict.message.endswith("waits for its pods to start: Unschedulable: no GPU")
    assert step.verdict.phase == "Pending"
    later = bench(jobs=(job(2),), pods=(pod(number=2),), attempts=[ended(1)])
    assert later.verdict.phase == "Recovering"


def test_a_gang_is_remembered_when_all_of_it_was_seen(bench: Any) -> None:
    part = bench(jobs=(job(),), pods=(pod(),))
    assert part.status.attempts[0].pods == []
    whole = bench(jobs=(job(),), pods=(pod("w"), pod()))
    assert whole.status.attempts[0].pods == ["m1", "w1"]


def test_a_running_attempt_is_looked_at_again(bench: Any, kit: Any) -> None:
    step = bench(
        jobs=(job(),),
        pods=(pod(started=kit.START), pod("w")),
        metrics={metrics.CHECKPOINT_STEP: 40},
        every=5.0,
    )
    assert (step.verdict.phase, step.verdict.again) == ("Running", 5.0)
    assert step.status.attempts[0].checkpoint_step == 40
    assert step.status.attempts[0].started_at == text_of(kit.START)


def test_the_end_is_recorded_before_anything_is_done_about_it(bench: Any) -> None:
    broken = pod(terminal=True, exit_code=1)
    step = bench(jobs=(job(),), pods=(broken, pod("w")), attempts=[])
    assert (step.verdict.phase, step.verdict.reason) == ("Recovering", "AttemptFailed")
    assert step.verdict.actions == ()
    assert step.verdict.again == 0
    assert step.status.attempts[0].outcome == "Failed"
    after = bench(jobs=(job(),), pods=(broken, pod("w")), attempts=step.status.attempts)
    assert after.verdict.actions == (Delete(job().key, "j1"),)


@pytest.mark.parametrize(
    ("jobs", "pods"),
    [
        ((job(deleting=True),), ()),
        ((), (pod(),)),
        ((job(deleting=True),), (pod(), pod("w"))),
    ],
)
def test_the_next_attempt_waits_until_the_old_one_is_gone(bench: Any, jobs: Any, pods: Any) -> None:
    step = bench(jobs=jobs, pods=pods, attempts=[ended(1, "Lost")])
    assert step.verdict.actions == ()
    assert step.verdict.message.endswith("the next one starts when its pods are gone")


def test_a_pod_on_a_node_that_does_not_answer_is_given_up(bench: Any, kit: Any) -> None:
    stuck = pod(gone_by=kit.START - kit.seconds(61))
    step = bench(pods=(stuck,), attempts=[ended(1, "Lost")])
    (create,) = step.verdict.actions
    assert create.value["metadata"]["name"] == "base-ptj-r1-a2"
    assert create.after == (Key("PyTorchJob", "default", "base-ptj-r1-a1"),)
    assert step.verdict.phase == "Recovering"


def test_a_failed_attempt_is_followed_after_a_pause(bench: Any, kit: Any) -> None:
    recent = ended(1, ended_at=text_of(kit.START - kit.seconds(4)))
    step = bench(attempts=[recent])
    assert step.verdict.actions == ()
    assert step.verdict.again == 6
    assert step.verdict.message.endswith("the next one starts at 2026-01-01T00:00:06Z")


def test_a_user_mistake_is_final(bench: Any) -> None:
    said = Outcome.model_validate(
        {"outcome": "Failed", "failure": "User", "reason": "Wrong", "message": "write another"}
    )
    step = bench(jobs=(job(),), pods=(pod(terminal=True, exit_code=1, outcome=said), pod("w")))
    assert (step.verdict.phase, step.verdict.reason) == ("Failed", "Wrong")
    assert step.verdict.message == "write another"
    assert step.verdict.actions == ()


def test_too_many_attempts_end_the_run(bench: Any) -> None:
    step = bench(attempts=[ended(1), ended(2), ended(3)])
    assert (step.verdict.phase, step.verdict.reason) == ("Failed", "AttemptsExhausted")
    assert "3 attempts" in step.verdict.message
    assert "it broke" in step.verdict.message


def test_a_stage_that_is_done_says_nothing(bench: Any) -> None:
    step = bench(attempts=[ended(1, "Succeeded")], jobs=(job(complete=True),))
    assert step.verdict is None
    assert step.result is None


def test_a_checkpoint_that_was_made_at_the_end_wastes_nothing(bench: Any, kit: Any) -> None:
    said = Outcome(outcome=OutcomeKind.STOPPED, step=70)
    gone = {"terminal": True, "exit_code": 143, "outcome": said, "started": kit.START}
    old = Progress(checkpoint_time="2025-01-01T00:00:00Z")
    later = kit.START + kit.seconds(30)
    pods = (pod(finished=later, **gone), pod("w", finished=later, **gone))
    step = bench(jobs=(job(),), pods=pods, progress=old)
    (attempt,) = step.status.attempts
    assert (attempt.gpu_seconds, attempt.wasted, attempt.checkpoint_step) == ("60", "0", 70)


def test_a_training_without_checkpoints_starts_over(bench: Any, kit: Any) -> None:
    said = Outcome(outcome=OutcomeKind.STOPPED, step=70)
    gone = {"terminal": True, "exit_code": 143, "outcome": said, "started": kit.START}
    later = kit.START + kit.seconds(30)
    pods = (pod(finished=later, **gone), pod("w", finished=later, **gone))
    step = bench(jobs=(job(),), pods=pods, checkpoints=False)
    (attempt,) = step.status.attempts
    assert (attempt.cost, attempt.checkpoint_step) == (attempt.wasted, None)


def test_other_stages_and_revisions_are_not_looked_at(bench: Any) -> None:
    others = (replace(job(), stage="list"), replace(job(), revision=2))
    step = bench(jobs=others)
    assert step.status.attempts == []


def test_status_holds_so_many_attempts_and_every_cent() -> None:
    done = [Attempt(number=1, name="a", stage="list", outcome="Succeeded", cost="1")]
    lost = [
        Attempt(number=i, name=f"b{i}", stage="clean", outcome="Lost", cost="0.5")
        for i in range(1, 100)
    ]
    kept = bounded([*done, *lost])
    assert len(kept) == MAX_ENTRIES
    assert kept[0] == done[0]
    assert kept[1].cost == "18.5"
    assert kept[1].message
    assert kept[1].message.startswith("attempts up to 37")
    assert kept[-1] == lost[-1]
    assert bounded(kept) == kept
