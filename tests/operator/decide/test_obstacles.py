"""What keeps pods from starting: until when it is waited for, and what a person is told then."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from cupola_api.common import Attempt, PodTime
from cupola_operator.children import Job, Placement, Pod, Resolved
from cupola_operator.cluster import Key, key_of
from cupola_operator.decide import obstacles
from cupola_operator.decide.attempts import Step, drive
from cupola_operator.decide.stage import Stage
from cupola_operator.decide.verdict import Create, Delete
from cupola_operator.pools import Pool


def job(number: int = 1, **more: Any) -> Job:
    key = Key("PyTorchJob", "default", f"base-ptj-r1-a{number}")
    return Job(key, f"j{number}", 1, "pretrain", number, **more)


def pod(role: str = "m", number: int = 1, **more: Any) -> Pod:
    return Pod(
        name=f"{role}{number}",
        uid=more.pop("uid", f"{role}{number}"),
        owner=f"j{number}",
        resource="00000001-uid",
        revision=1,
        stage="pretrain",
        attempt=number,
        gpus=1,
        master=role == "m",
        **more,
    )


def attempt(number: int = 1, outcome: str | None = None, **more: Any) -> Attempt:
    return Attempt(number=number, name=f"base-ptj-r1-a{number}", outcome=outcome, **more)


@pytest.fixture
def bench(kit: Any) -> Any:
    """`bench(after, jobs=..., pods=..., attempts=...)` is a step, so many seconds after the start."""

    def step(
        after: float = 0, *, others: int = 0, gang: int | None = 2, attempts: Any = (), **world: Any
    ) -> Step:
        pools = [
            Pool.model_validate({**kit.SETTINGS.pools[0].to_json(), "name": name})
            for name in ("cpu", "more", "most")
        ]
        placement = Placement(
            pool=pools[0], others=pools[1 : others + 1], currency="USD", image="i"
        )
        if attempts:
            placement = placement.on(attempts[-1].pool)
        cluster = kit.Cluster()
        key = key_of(cluster.create(kit.resource("PretrainJob", **world.pop("spec", {}))))
        now = kit.START + timedelta(seconds=after)
        settings = kit.SETTINGS.model_copy(update={"store": world.pop("store", "s3://models")})
        seen = kit.world(cluster, key, now, settings=settings)
        status = seen.status.model_copy(update={"attempts": list(attempts)})
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
            gang=gang,
        )
        return drive(replace(seen, status=status, **world), stage)

    return step


@pytest.fixture
def held(kit: Any) -> Any:
    """A pod that something keeps from starting, since the start."""

    def make(obstacle: str, role: str = "m", **more: Any) -> Pod:
        word = {"Unschedulable": "0/3 nodes are available", "ImageNotPulled": "ErrImagePull: 404"}
        waiting = word.get(obstacle, 'CreateContainerConfigError: secret "keys" not found')
        return pod(role, obstacle=obstacle, waiting=waiting, since=kit.START, **more)

    return make


@pytest.mark.parametrize(
    ("obstacle", "patience", "words"),
    [
        (
            "Unschedulable",
            600,
            "pod m1 finds no node in pool cpu: 0/3 nodes are available; make room",
        ),
        ("ImageNotPulled", 60, "the image of pod m1 cannot be pulled: ErrImagePull: 404; push it"),
        (
            "ContainerNotCreated",
            60,
            'secret "keys" not found; make what it names in namespace default',
        ),
    ],
)
def test_what_does_not_pass_by_itself_is_stalled_after_a_while(
    bench: Any, held: Any, obstacle: str, patience: int, words: str
) -> None:
    pods = (held(obstacle), pod("w"))
    before = bench(patience - 1, jobs=(job(),), pods=pods).verdict
    assert (before.phase, before.reason) == ("Pending", "Training")
    assert before.again == 1
    after = bench(patience, jobs=(job(),), pods=pods).verdict
    assert (after.phase, after.reason) == ("Stalled", obstacle)
    assert words in after.message
    assert after.actions == ()
    assert after.again == 60


def test_it_goes_on_when_it_is_mended(bench: Any, kit: Any, held: Any) -> None:
    stuck = bench(9000, jobs=(job(),), pods=(held("ImageNotPulled"), pod("w")))
    assert stuck.verdict.phase == "Stalled"
    pods = (pod("m", started=kit.START), pod("w", started=kit.START))
    later = bench(9001, jobs=(job(),), pods=pods, attempts=stuck.status.attempts)
    assert (later.verdict.phase, later.verdict.reason) == ("Running", "Training")
    assert [a.number for a in later.status.attempts] == [1]


def test_a_gang_is_stuck_with_one_of_its_pods_a_job_is_not(bench: Any, kit: Any, held: Any) -> None:
    before = kit.START - timedelta(seconds=9)
    pods = (pod("m", started=kit.START, since=before), held("Unschedulable", "w"))
    assert bench(600, jobs=(job(),), pods=pods).verdict.reason == "Unschedulable"
    running = bench(600, jobs=(job(),), pods=pods, gang=None).verdict
    assert (running.phase, running.reason) == ("Running", "Training")


def test_a_gang_of_which_a_pod_waits_is_not_called_running(bench: Any, kit: Any, held: Any) -> None:
    pods = (pod("m", started=kit.START), held("Unschedulable", "w"))
    verdict = bench(1, jobs=(job(),), pods=pods).verdict
    assert verdict.phase == "Pending"
    assert "0/3 nodes are available" in verdict.message


def test_with_another_pool_the_attempt_ends_and_costs_no_retry(bench: Any, held: Any) -> None:
    pods = (held("Unschedulable"), held("Unschedulable", "w"))
    assert bench(599, jobs=(job(),), pods=pods, others=1).status.attempts[0].outcome is None
    step = bench(600, jobs=(job(pool="cpu"),), pods=pods, others=1)
    (ended,) = step.status.attempts
    assert (ended.outcome, ended.reason, ended.failure) == (
        "Lost",
        "Unschedulable",
        "Infrastructure",
    )
    assert ended.pool == "cpu"
    assert "found no node in pool cpu for 10m" in (ended.message or "")
    assert "pool more is tried next" in (ended.message or "")
    assert (ended.cost, ended.gpu_seconds) == ("0", "0")
    closing = bench(601, jobs=(job(),), pods=pods, others=1, attempts=[ended]).verdict
    assert [type(action) for action in closing.actions] == [Delete]
    many = [
        attempt(n, "Lost", reason="Unschedulable", failure="Infrastructure") for n in range(1, 99)
    ]
    again = bench(602, others=1, attempts=many).verdict
    (create,) = again.actions
    assert isinstance(create, Create)
    assert (again.phase, create.value["metadata"]["name"]) == ("Recovering", "base-ptj-r1-a99")


@pytest.mark.parametrize(
    ("obstacle", "before", "phase"),
    [
        ("Unschedulable", ["Unschedulable"], "Recovering"),
        ("Unschedulable", ["Unschedulable"] * 2, "Stalled"),
        ("Unschedulable", ["Unschedulable", "PodsLost", "Unschedulable"], "Recovering"),
        ("Unschedulable", ["PodsLost"] * 2, "Recovering"),
        ("ImageNotPulled", ["ImageNotPulled"], "Stalled"),
        ("ImageNotPulled", ["PodsLost", "ImageNotPulled"], "Stalled"),
        ("ImageNotPulled", ["Unschedulable"], "Recovering"),
    ],
)
def test_what_all_attempts_before_met_is_said_at_once(
    bench: Any, held: Any, obstacle: str, before: list[str], phase: str
) -> None:
    ended = [attempt(n, "Lost", reason=reason) for n, reason in enumerate(before, 1)]
    number = len(ended) + 1
    pods = (held(obstacle, number=number), pod("w", number))
    verdict = bench(1, jobs=(job(number),), pods=pods, others=1, attempts=ended).verdict
    assert verdict.phase == phase


def test_an_image_does_not_send_it_to_another_pool(bench: Any, held: Any) -> None:
    step = bench(9000, jobs=(job(),), pods=(held("ImageNotPulled"), pod("w")), others=1)
    assert step.status.attempts[0].outcome is None
    assert step.verdict.reason == "ImageNotPulled"


def test_pods_that_gave_up_waiting_for_one_that_cannot_start_are_not_to_blame(
    bench: Any, held: Any
) -> None:
    gone = pod("w", terminal=True, unmet=True)
    for obstacle in obstacles.NOT_STARTED:
        (ended,) = bench(210, jobs=(job(),), pods=(held(obstacle), gone)).status.attempts
        assert (ended.outcome, ended.reason) == ("Lost", obstacle)
        assert "pod m1 did not start" in (ended.message or "")


def test_pods_that_did_not_find_a_running_master_are_a_failure_of_the_cluster(
    bench: Any, kit: Any
) -> None:
    pods = (pod("m", started=kit.START), pod("w", terminal=True, unmet=True))
    (ended,) = bench(210, jobs=(job(),), pods=pods).status.attempts
    assert (ended.outcome, ended.reason, ended.failure) == (
        "Lost",
        "MasterNotFound",
        "Infrastructure",
    )


@pytest.mark.parametrize(
    ("after", "more", "reason"),
    [
        (59, {}, "Training"),
        (60, {}, "PodsNotCreated"),
        (60, {"since": None}, "Training"),
        (60, {"suspended": True, "queue": "team"}, "Queued"),
        (60, {"suspended": True}, "Queued"),
    ],
)
def test_a_job_without_pods_says_where_to_look(
    bench: Any, kit: Any, after: int, more: dict[str, Any], reason: str
) -> None:
    verdict = bench(after, jobs=(job(**{"since": kit.START, **more}),)).verdict
    assert verdict.reason == reason
    if reason == "PodsNotCreated":
        assert verdict.phase == "Stalled"
        assert "kubectl describe pytorchjob base-ptj-r1-a1" in verdict.message


def test_a_job_whose_pods_are_there_made_them(bench: Any, kit: Any) -> None:
    pods = (pod("m", started=kit.START), pod("w", started=kit.START))
    verdict = bench(60, jobs=(job(since=kit.START),), pods=pods).verdict
    assert (verdict.phase, verdict.reason) == ("Running", "Training")


def test_where_there_are_several_pools_the_start_says_on_which(bench: Any) -> None:
    assert bench().verdict.message == "attempt 1 starts as base-ptj-r1-a1"
    assert bench(others=1).verdict.message == "attempt 1 starts as base-ptj-r1-a1 on pool cpu"


def test_on_one_machine_pods_come_when_somebody_runs_it(bench: Any, kit: Any) -> None:
    verdict = bench(9000, jobs=(job(since=kit.START),), store="file:///data").verdict
    assert (verdict.phase, verdict.reason) == ("Pending", "Training")


# Kueue.

QUEUED = {"suspended": True, "queue": "team"}


def test_what_waits_in_a_queue_is_pending_and_says_where(bench: Any) -> None:
    step = bench(9000, jobs=(job(**QUEUED),))
    assert (step.verdict.phase, step.verdict.reason) == ("Pending", "Queued")
    assert "base-ptj-r1-a1 waits in queue team of Kueue" in step.verdict.message
    assert step.verdict.actions == ()
    (waiting,) = step.status.attempts
    assert (waiting.outcome, waiting.cost) == (None, "0")


def test_an_eviction_ends_no_attempt(bench: Any, kit: Any) -> None:
    start = kit.START
    running = (pod("m", started=start), pod("w", started=start))
    first = bench(100, jobs=(job(queue="team"),), pods=running)
    assert first.status.attempts[0].cost == "0.02"  # 2 x 100 s at 0.36 an hour

    leaving = tuple(
        replace(one, terminal=True, exit_code=143, finished=start + timedelta(seconds=110))
        for one in running
    )
    second = bench(115, jobs=(job(**QUEUED),), pods=leaving, attempts=first.status.attempts)
    (evicted,) = second.status.attempts
    assert evicted.outcome is None
    assert second.verdict.reason == "Queued"

    third = bench(500, jobs=(job(**QUEUED),), attempts=second.status.attempts)
    (waiting,) = third.status.attempts
    assert (waiting.outcome, waiting.evictions, waiting.pods) == (None, 1, [])
    assert (waiting.gpu_seconds, waiting.estimated) == ("220", False)
    again = bench(900, jobs=(job(**QUEUED),), attempts=third.status.attempts)
    assert again.status.attempts == [waiting.model_copy(update={"queue_seconds": "790"})]
    assert waiting.queue_seconds == "390"  # since the last pod ended, at 110 s

    back = tuple(
        pod(role, uid=f"{role}-new", started=start + timedelta(seconds=1000)) for role in "mw"
    )
    fourth = bench(1050, jobs=(job(queue="team"),), pods=back, attempts=again.status.attempts)
    (runs,) = fourth.status.attempts
    assert (runs.number, runs.outcome, runs.gpu_seconds) == (1, None, "320")
    assert fourth.verdict.phase == "Running"


def test_pods_that_still_stop_are_waited_for(bench: Any, kit: Any) -> None:
    step = bench(10, jobs=(job(**QUEUED),), pods=(pod("m", started=kit.START), pod("w")))
    assert (step.verdict.phase, step.verdict.reason) == ("Pending", "Evicted")
    assert "takes the devices of base-ptj-r1-a1 away" in step.verdict.message


def test_pods_whose_node_is_away_are_not(kit: Any) -> None:
    pods = [pod(role, started=kit.START, gone_by=kit.START) for role in "mw"]
    verdict = obstacles.queued(job(**QUEUED), pods, kit.START + timedelta(seconds=9999))
    assert verdict is not None
    assert verdict.reason == "Queued"


def test_an_eviction_that_nobody_saw_is_one_all_the_same(bench: Any, kit: Any) -> None:
    before = [
        attempt(pods=[PodTime(uid="m1", gpus=1), PodTime(uid="w1", gpus=1)], gpu_seconds="50")
    ]
    new = (pod("m", uid="m-new", started=kit.START), pod("w", uid="w-new"))
    (runs,) = bench(10, jobs=(job(queue="team"),), pods=new, attempts=before).status.attempts
    assert (runs.outcome, runs.evictions, runs.gpu_seconds) == (None, 1, "60")
    assert runs.estimated


def test_a_gang_of_which_only_some_pods_are_new_is_broken_in_a_queue_too(
    bench: Any, kit: Any
) -> None:
    before = [attempt(pods=[PodTime(uid="m1", gpus=1), PodTime(uid="w1", gpus=1)])]
    some = (pod("m", started=kit.START), pod("w", uid="w-new"))
    (ended,) = bench(10, jobs=(job(queue="team"),), pods=some, attempts=before).status.attempts
    assert (ended.outcome, ended.reason) == ("Lost", "PodsLost")


@pytest.mark.parametrize("over", ["complete", "failed", "deleting"])
def test_a_job_that_is_over_was_not_evicted(bench: Any, over: str) -> None:
    before = [attempt(pods=[PodTime(uid="m1", gpus=1), PodTime(uid="w1", gpus=1)])]
    over_in_queue = job(queue="team", **{over: True})
    (ended,) = bench(10, jobs=(over_in_queue,), attempts=before).status.attempts
    assert (ended.outcome, ended.evictions) == ("Lost", None)


def test_pods_that_outlived_their_job_say_where_they_ran(bench: Any, kit: Any) -> None:
    pods = (pod("m", started=kit.START, pool="more"), pod("w", started=kit.START, pool="more"))
    (found,) = bench(10, pods=pods).status.attempts
    assert (found.name, found.pool) == ("base-ptj-r1-a1", "more")


def test_without_a_queue_new_pods_are_a_broken_gang(bench: Any, kit: Any) -> None:
    before = [attempt(pods=[PodTime(uid="m1", gpus=1), PodTime(uid="w1", gpus=1)])]
    new = (pod("m", uid="m-new", started=kit.START), pod("w", uid="w-new"))
    (ended,) = bench(10, jobs=(job(),), pods=new, attempts=before).status.attempts
    assert (ended.outcome, ended.reason) == ("Lost", "PodsLost")


def test_suspending_a_run_takes_it_out_of_the_queue(bench: Any) -> None:
    first = bench(0, jobs=(job(**QUEUED),))
    verdict = bench(
        1, jobs=(job(**QUEUED),), attempts=first.status.attempts, spec={"suspend": True}
    ).verdict
    assert [type(action) for action in verdict.actions] == [Delete]


def test_an_attempt_that_ended_before_kueue_suspended_it_has_ended(bench: Any, kit: Any) -> None:
    failed = job(failed=True, **QUEUED)
    pods = (pod("m", terminal=True, exit_code=1, started=kit.START), pod("w"))
    (ended,) = bench(10, jobs=(failed,), pods=pods).status.attempts
    assert (ended.outcome, ended.reason) == ("Failed", "NoMessage")
