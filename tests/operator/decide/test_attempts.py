from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cupola_api import metrics
from cupola_api.common import Attempt, PodTime, Progress
from cupola_api.outcome import Outcome, OutcomeKind, Resumed, Timing
from cupola_operator.children import Job, Placement, Pod, Resolved, text_of
from cupola_operator.cluster import Key, key_of
from cupola_operator.decide.attempts import Step, drive
from cupola_operator.decide.record import MAX_ENTRIES, bounded
from cupola_operator.decide.stage import Stage
from cupola_operator.decide.verdict import SOON, Create, Delete


def job(number: int = 1, **more: Any) -> Job:
    key = Key("PyTorchJob", "default", f"base-ptj-r1-a{number}")
    return Job(key, f"j{number}", 1, "pretrain", number, **more)


def pod(role: str = "m", number: int = 1, **more: Any) -> Pod:
    return Pod(
        name=f"{role}{number}",
        uid=f"{role}{number}",
        owner=f"j{number}",
        resource=more.pop("resource", "00000001-uid"),
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
        devices=2,
        gang=2,
    )

    def step(
        *,
        attempts: Any = (),
        progress: Any = None,
        checkpoints: bool = True,
        spec: Any = None,
        **world: Any,
    ) -> Step:
        cluster = kit.Cluster()
        key = key_of(cluster.create(kit.resource("PretrainJob", **(spec or {}))))
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
    assert (step.verdict.phase, step.verdict.again) == ("Pending", SOON)
    assert step.status.attempts == []


def test_an_attempt_enters_status_when_its_job_is_seen(bench: Any) -> None:
    step = bench(jobs=(job(),))
    (attempt,) = step.status.attempts
    assert (attempt.number, attempt.name, attempt.outcome) == (1, "base-ptj-r1-a1", None)
    assert (step.verdict.phase, step.verdict.again) == ("Pending", 60)
    assert step.verdict.actions == ()
    assert step.verdict.message.endswith("waits for its pods to start")


def test_jobs_enter_status_in_the_order_of_their_attempts(bench: Any) -> None:
    step = bench(jobs=(job(2), job(1)))
    assert [attempt.number for attempt in step.status.attempts] == [1]


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
    assert [one.uid for one in whole.status.attempts[0].pods] == ["m1", "w1"]
    second = bench(jobs=(job(2),), pods=(pod(number=2),), attempts=_ended(whole))
    assert [len(one.pods) for one in second.status.attempts] == [2, 0]
    third = bench(jobs=(job(3),), pods=(pod(number=3),), attempts=_ended(second))
    assert [len(one.pods) for one in third.status.attempts] == [0, 0, 0]


def _ended(step: Step) -> list[Attempt]:
    """The attempts of a step, as if they had been lost."""
    return [a.model_copy(update={"outcome": "Lost"}) for a in step.status.attempts]


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
    assert step.verdict.message.endswith("is running")


def test_the_end_is_recorded_before_anything_is_done_about_it(bench: Any) -> None:
    broken = pod(terminal=True, exit_code=1)
    step = bench(jobs=(job(),), pods=(broken, pod("w")), attempts=[])
    assert (step.verdict.phase, step.verdict.reason) == ("Recovering", "AttemptFailed")
    assert step.verdict.actions == ()
    assert step.verdict.again == 0
    assert step.status.attempts[0].outcome == "Failed"
    assert step.status.attempts[0].failure == "Unknown"
    assert step.verdict.message.endswith(step.status.attempts[0].message)


def test_how_an_attempt_ended_is_told_with_what_its_pod_said(bench: Any) -> None:
    said = bench(jobs=(job(failed=True),), attempts=[ended(3)]).verdict.message
    assert all(words in said for words in ("attempt 3", "Unexpected", "it broke"))
    silent = ended(3).model_copy(update={"message": None})
    said = bench(jobs=(job(failed=True),), attempts=[silent]).verdict.message
    assert all(words in said for words in ("attempt 3", "Unexpected"))
    assert "None" not in said


def test_a_success_is_no_recovery_while_its_last_pods_end(bench: Any, kit: Any) -> None:
    pods = (pod(terminal=True, exit_code=0), pod("w", started=kit.START))
    step = bench(jobs=(job(),), pods=pods, attempts=[ended(1, "Succeeded")])
    assert (step.verdict.phase, step.verdict.reason) == ("Running", "AttemptSucceeded")
    assert (step.verdict.actions, step.verdict.again) == ((), SOON)
    broken = (pod(terminal=True, exit_code=1), pods[1])
    failed = bench(jobs=(job(),), pods=broken, attempts=[ended(1)])
    assert (failed.verdict.phase, failed.verdict.reason) == ("Recovering", "AttemptFailed")


@pytest.mark.parametrize(
    ("tries", "failures", "phase"), [(0, 1, "Failed"), (2, 3, "Failed"), (5, 3, "Recovering")]
)
def test_spec_recovery_says_how_often_a_run_is_tried(
    bench: Any, tries: int, failures: int, phase: str
) -> None:
    spec = {"recovery": {"unknown": tries}}
    step = bench(spec=spec, attempts=[ended(number + 1) for number in range(failures)])
    assert step.verdict.phase == phase
    assert bool(step.verdict.actions) is (phase == "Recovering")


def test_the_training_operator_ends_what_is_left_of_a_gang(bench: Any, kit: Any) -> None:
    known = [PodTime(uid="m1"), PodTime(uid="w1")]
    pods = (pod(terminal=True, exit_code=1), pod("w", gone_by=kit.START + kit.seconds(30)))
    step = bench(jobs=(job(),), pods=pods, attempts=[ended(1, pods=known)])
    assert step.verdict.actions == ()
    assert step.verdict.message.endswith("its pods are ending")


def test_the_pods_of_an_earlier_resource_of_the_name_are_not_taken_for_its_own(bench: Any) -> None:
    said = Outcome(outcome=OutcomeKind.STOPPED, step=70)
    stranger = pod(terminal=True, exit_code=143, outcome=said, resource="another")
    step = bench(pods=(stranger,), attempts=[Attempt(number=1, name="base-ptj-r1-a1")])
    assert step.status.attempts[0].reason == "PodsLost"


def test_a_gang_that_misses_a_pod_is_deleted(bench: Any) -> None:
    known = [PodTime(uid="m1"), PodTime(uid="w1")]
    step = bench(jobs=(job(),), pods=(pod("w"),), attempts=[ended(1, "Lost", pods=known)])
    assert step.verdict.actions == (Delete(job().key, "j1"),)
    assert step.verdict.message.endswith("its pods are ending")


def test_an_attempt_is_charged_and_blamed_until_its_last_pod_ended(bench: Any, kit: Any) -> None:
    first = pod("w", terminal=True, exit_code=1, started=kit.START, finished=kit.START)
    step = bench(jobs=(job(),), pods=(pod(started=kit.START), first))
    assert step.status.attempts[0].reason == "NoMessage"
    later = kit.START + kit.seconds(30)
    cause = Outcome.model_validate(
        {"outcome": "Failed", "failure": "OutOfMemory", "reason": "Full"}
    )
    last = pod(terminal=True, exit_code=1, started=kit.START, finished=later, outcome=cause)
    step = bench(jobs=(job(),), pods=(last, first), attempts=step.status.attempts, now=later)
    (attempt,) = step.status.attempts
    assert (attempt.reason, attempt.failure, attempt.gpu_seconds) == ("Full", "OutOfMemory", "30")
    assert attempt.estimated is False


@pytest.mark.parametrize(
    ("jobs", "pods", "waits"),
    [
        ((job(deleting=True),), (), "base-ptj-r1-a1 is deleted"),
        ((), (pod(),), "its pods are ending"),
        ((job(deleting=True),), (pod(), pod("w")), "its pods are ending"),
    ],
)
def test_the_next_attempt_waits_until_the_old_one_is_gone(
    bench: Any, jobs: Any, pods: Any, waits: str
) -> None:
    step = bench(jobs=jobs, pods=pods, attempts=[ended(1, "Lost")])
    assert step.verdict.actions == ()
    assert step.verdict.message.endswith(waits)


def test_the_job_of_an_attempt_goes_before_the_next_one_comes(bench: Any) -> None:
    step = bench(jobs=(job(failed=True),), attempts=[ended(1, "Lost")])
    assert step.verdict.actions == (Delete(job().key, "j1"),)
    assert step.verdict.again == SOON


def test_a_job_that_would_make_its_pods_again_goes_whatever_follows(bench: Any) -> None:
    lost = [ended(number, "Lost", failure="User") for number in (1, 2)]
    step = bench(jobs=(job(2),), attempts=lost)
    assert step.verdict.phase == "Recovering"
    assert step.verdict.actions == (Delete(job(2).key, "j2"),)


def test_nothing_starts_beside_a_pod_of_an_earlier_resource_of_that_name(bench: Any) -> None:
    step = bench(pods=(replace(pod(), owner="stranger", revision=7),))
    assert step.verdict.actions == ()
    assert "when pod m1, made before it, has ended" in step.verdict.message
    assert (step.verdict.phase, step.verdict.reason) == ("Pending", "Training")
    assert step.verdict.again == SOON


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


def test_a_user_mistake_is_final_and_its_pods_stay_to_be_looked_at(bench: Any, kit: Any) -> None:
    said = Outcome.model_validate(
        {"outcome": "Failed", "failure": "User", "reason": "Wrong", "message": "write another"}
    )
    wrong = pod(terminal=True, exit_code=1, outcome=said)
    step = bench(jobs=(job(),), pods=(wrong, pod("w")))
    assert step.verdict.phase == "Recovering"
    over = (wrong, pod("w", terminal=True, exit_code=143))
    soon = bench(jobs=(job(),), pods=over, attempts=step.status.attempts)
    assert (soon.verdict.phase, soon.verdict.actions) == ("Recovering", ())
    assert (soon.verdict.again, soon.verdict.message.endswith("a1 is ending")) == (SOON, True)
    stuck = (wrong, pod("w", gone_by=kit.START - kit.seconds(61)))
    assert bench(jobs=(job(),), pods=stuck, attempts=step.status.attempts).verdict == soon.verdict
    step = bench(jobs=(job(failed=True),), pods=over, attempts=step.status.attempts)
    assert (step.verdict.phase, step.verdict.reason) == ("Failed", "Wrong")
    assert step.verdict.message == "write another"
    assert step.verdict.actions == ()


def test_too_many_attempts_end_the_run(bench: Any) -> None:
    step = bench(attempts=[ended(1), ended(2), ended(3)])
    assert (step.verdict.phase, step.verdict.reason) == ("Failed", "AttemptsExhausted")
    assert "attempt 3" in step.verdict.message
    assert "it broke" in step.verdict.message


def test_a_run_fails_with_a_reason_even_if_its_last_attempt_has_none(bench: Any) -> None:
    silent = ended(1, failure="User").model_copy(update={"reason": None, "message": None})
    step = bench(attempts=[silent])
    assert (step.verdict.phase, step.verdict.reason, step.verdict.message) == (
        *("Failed", "Failed"),
        "",
    )


def test_an_attempt_that_went_on_from_a_checkpoint_says_so(bench: Any, kit: Any) -> None:
    step = bench(
        jobs=(job(2),),
        pods=(pod(number=2, started=kit.START), pod("w", 2)),
        metrics={metrics.RESUMED_STEP: 40},
        attempts=[ended(1)],
    )
    assert step.status.attempts[-1].resumed_step == 40
    assert step.verdict.message.endswith("is running, going on from step 40")


def test_damaged_checkpoints_that_were_passed_over_are_told_of(bench: Any, kit: Any) -> None:
    step = bench(
        jobs=(job(2),),
        pods=(pod(number=2, started=kit.START),),
        metrics={metrics.RESUMED_STEP: 40, metrics.PASSED_OVER: 2},
        attempts=[ended(1)],
    )
    assert step.status.attempts[-1].passed_over == 2
    assert "from step 40; damaged and passed over: 2 newer" in step.verdict.message
    later = bench(
        jobs=(job(2),),
        pods=(pod(number=2, started=kit.START),),
        attempts=step.status.attempts,
    )
    assert later.verdict.message == step.verdict.message


@pytest.mark.parametrize(
    ("known", "resumed", "wasted"),
    [
        # All of it was thought lost: it died before the checkpoint of 60 s was heard of.
        (None, (40, 60), (40, "0.004")),
        (10, (40, 60), (40, "0.004")),
        (None, (1, 60), (1, "0.004")),
        # The checkpoint of step 50 was heard of, and is damaged.
        (50, (40, 60), (40, "0.004")),
        (50, (0, 0), (None, "0.01")),
        (50, (0, 60), (None, "0.01")),
        # Nothing new: what was recorded stays.
        (40, (40, 60), (40, "0.007")),
    ],
)
def test_where_the_next_one_goes_on_from_is_what_was_lost(
    bench: Any, kit: Any, known: int | None, resumed: Any, wasted: Any
) -> None:
    step, second = resumed
    time = PodTime(
        uid="m1",
        gpus=1,
        started_at=text_of(kit.START),
        until=text_of(kit.START + kit.seconds(100)),
        outcome="Failed",
    )
    first = ended(1, "Lost", pods=[time], checkpoint_step=known, cost="0.01", wasted="0.007")
    said = {
        metrics.RESUMED_STEP: step,
        metrics.RESUMED_TIME: (kit.START.timestamp() + second) if second else 0,
    }
    running = {"jobs": (job(2),), "pods": (pod(number=2, started=kit.START),)}
    now = kit.START + kit.seconds(200)
    step_2 = bench(attempts=[first], metrics=said, now=now, **running)
    for attempts in (
        step_2.status.attempts,
        bench(attempts=step_2.status.attempts, metrics=said, now=now, **running).status.attempts,
    ):
        assert (attempts[0].checkpoint_step, attempts[0].wasted) == wasted
        assert attempts[0].cost == "0.01"
        assert attempts[1].resumed_step == step
    silent = bench(attempts=step_2.status.attempts, now=now, **running).status.attempts
    assert silent[0] == step_2.status.attempts[0]
    resumed = Resumed(step=step, saved_at=said[metrics.RESUMED_TIME])
    outcome = Outcome(outcome=OutcomeKind.STOPPED, timing=Timing(resumed=resumed))
    over = pod(number=2, started=kit.START, finished=now, terminal=True, outcome=outcome)
    never_asked = bench(attempts=[first], now=now, jobs=(job(2),), pods=(over,)).status.attempts
    assert (never_asked[0].checkpoint_step, never_asked[0].wasted) == wasted
    assert never_asked[1].resumed_step == step


def test_a_later_checkpoint_does_not_tell_of_what_was_lost_before_it(bench: Any, kit: Any) -> None:
    time = PodTime(uid="m1", gpus=1, started_at=text_of(kit.START), outcome="Failed")
    time = time.model_copy(update={"until": text_of(kit.START + kit.seconds(100))})
    first = ended(1, "Lost", pods=[time], checkpoint_step=40, cost="0.01", wasted="0.007")
    second = Attempt(number=2, name="base-ptj-r1-a2", resumed_step=40, checkpoint_step=60)
    said = {metrics.RESUMED_STEP: 40, metrics.RESUMED_TIME: kit.START.timestamp() + 60}
    running = {"jobs": (job(2),), "pods": (pod(number=2, started=kit.START),)}
    now = kit.START + kit.seconds(200)
    step = bench(attempts=[first, second], metrics=said, now=now, **running)
    assert step.status.attempts[0] == first


def test_an_attempt_whose_job_was_gone_before_it_was_seen_is_known_by_its_pods(
    bench: Any, kit: Any
) -> None:
    left = pod(started=kit.START, resource="00000001-uid")
    step = bench(pods=(left, replace(left, name="x", uid="x", resource="another")))
    (attempt,) = step.status.attempts
    assert (attempt.number, attempt.name, attempt.outcome) == (1, "base-ptj-r1-a1", None)
    over = bench(pods=(replace(left, terminal=True, exit_code=1),), attempts=step.status.attempts)
    assert over.status.attempts[0].outcome == "Failed"
    stranger = bench(pods=(replace(left, resource="another"),))
    assert stranger.status.attempts == []


@pytest.mark.parametrize(("outcome", "estimated"), [("Failed", False), (None, True)])
def test_a_pod_whose_end_was_never_seen_makes_the_figures_a_guess(
    bench: Any, outcome: str | None, estimated: bool
) -> None:
    over = ended(1, "Lost", pods=[PodTime(uid="m1", outcome=outcome)])
    assert bench(attempts=[over]).status.attempts[0].estimated is estimated
    before = ended(1, "Lost")
    last = over.model_copy(update={"number": 2})
    guess = last.model_copy(update={"estimated": estimated})
    assert bench(attempts=[before, last]).status.attempts == [before, guess]


def test_a_stage_that_is_done_says_nothing(bench: Any) -> None:
    step = bench(attempts=[ended(1, "Succeeded")], jobs=(job(complete=True),))
    assert step.verdict is None
    assert step.result is None


@pytest.mark.parametrize("guessed", [False, True])
def test_a_success_is_charged_anew_only_if_the_end_of_a_pod_was_a_guess(
    bench: Any, kit: Any, *, guessed: bool
) -> None:
    over = kit.START + kit.seconds(60)
    held = {"started_at": text_of(kit.START), "until": text_of(over), "outcome": "Succeeded"}
    times = [PodTime(uid=uid, gpus=1, **held, estimated=guessed) for uid in ("m1", "w1")]
    pods = [
        pod(role, started=kit.START, finished=over, terminal=True, exit_code=0)
        for role in ("m", "w")
    ]
    before = ended(1, "Succeeded", pods=times, gpu_seconds="100")
    step = bench(jobs=(job(complete=True),), pods=pods, attempts=[before])
    assert step.verdict is None
    assert [a.gpu_seconds for a in step.status.attempts] == ["120" if guessed else "100"]


def test_a_checkpoint_that_was_made_at_the_end_wastes_nothing(bench: Any, kit: Any) -> None:
    said = Outcome(outcome=OutcomeKind.STOPPED, step=70)
    gone = {"terminal": True, "exit_code": 143, "outcome": said, "started": kit.START}
    old = Progress(checkpoint_time="2025-01-01T00:00:00Z")
    later = kit.START + kit.seconds(30)
    pods = (pod(finished=later, **gone), pod("w", finished=later, **gone))
    step = bench(jobs=(job(),), pods=pods, progress=old)
    (attempt,) = step.status.attempts
    assert (attempt.gpu_seconds, attempt.wasted, attempt.checkpoint_step) == ("60", "0", 70)
    unseen = [replace(one, finished=None, last_seen=later) for one in pods]
    step = bench(jobs=(job(),), pods=(*unseen,), progress=old, now=later)
    (attempt,) = step.status.attempts
    assert (attempt.gpu_seconds, attempt.wasted) == ("60", "0")


def test_a_training_without_checkpoints_starts_over(bench: Any, kit: Any) -> None:
    said = Outcome(outcome=OutcomeKind.STOPPED, step=70)
    gone = {"terminal": True, "exit_code": 143, "outcome": said, "started": kit.START}
    later = kit.START + kit.seconds(30)
    pods = (pod(finished=later, **gone), pod("w", finished=later, **gone))
    step = bench(jobs=(job(),), pods=pods, checkpoints=False)
    (attempt,) = step.status.attempts
    assert (attempt.cost, attempt.checkpoint_step) == (attempt.wasted, None)
    running = {"jobs": (job(),), "pods": (pod(started=kit.START),)}
    for saves in (False, True):
        said = {metrics.RESUMED_STEP: 40}
        step = bench(checkpoints=saves, metrics=said, **running)
        assert step.status.attempts[0].resumed_step == (40 if saves else None)
    over = (pod(terminal=True, exit_code=1),)
    late = bench(jobs=(job(),), pods=over, metrics={metrics.RESUMED_STEP: 40})
    assert late.status.attempts[0].resumed_step is None


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
    again = [one.model_copy(update={"number": one.number + 2}) for one in lost[: MAX_ENTRIES - 1]]
    cleaned = lost[1].model_copy(update={"outcome": "Succeeded"})
    kept = bounded([lost[0], cleaned, *again])
    assert [one.outcome for one in kept] == ["Lost"] * MAX_ENTRIES
    assert kept[0] == lost[0]


def test_a_sentence_of_an_attempt_fits_in_status(bench: Any) -> None:
    said = Outcome(outcome=OutcomeKind.FAILED, reason="Because", message="x" * 512)
    gone = pod(terminal=True, exit_code=1, by_node=True, outcome=said)
    (attempt,) = bench(jobs=(job(),), pods=(gone, pod("w"))).status.attempts
    assert len(attempt.message) == 512
