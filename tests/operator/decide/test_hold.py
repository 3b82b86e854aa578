from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cupola_api.common import Attempt, Condition, ConditionStatus, Phase, PodTime, RunStatus
from cupola_api.outcome import Outcome, OutcomeKind
from cupola_operator.children import Job, Placement, Pod, Resolved, text_of
from cupola_operator.cluster import Key, key_of
from cupola_operator.decide import decide, hold
from cupola_operator.decide.attempts import Step, drive
from cupola_operator.decide.stage import Stage
from cupola_operator.decide.verdict import SOON, Create, Delete
from cupola_operator.pools import Pool

JOB = Job(Key("PyTorchJob", "default", "base-ptj-r1-a1"), "j1", 1, "pretrain", 1)


def pod(role: str, started: datetime | None = None, **more: Any) -> Pod:
    return Pod(
        name=role,
        uid=role,
        owner="j1",
        resource="00000001-uid",
        revision=1,
        stage="pretrain",
        attempt=1,
        gpus=1,
        master=role == "m",
        started=started,
        **more,
    )


class Bench:
    """A training on two devices at 0.0001 a device second."""

    def __init__(self, kit: Any) -> None:
        self.kit = kit
        self.placement = Placement(pool=kit.SETTINGS.pools[0], currency="USD", image="i")
        self.stage = Stage(
            label="pretrain",
            reason="Training",
            resolved=Resolved("m", "sha256:0", None, self.placement),  # type: ignore[arg-type]
            make=lambda number: {
                "kind": "PyTorchJob",
                "metadata": {"name": f"base-ptj-r1-a{number}", "namespace": "default"},
            },
            done=lambda outcome: outcome.artifact is not None,
            devices=2,
            gang=2,
            checkpoints=True,
        )

    def world(self, *, attempts: Any = (), saying: str = "", **fields: Any) -> Any:
        cluster = self.kit.Cluster()
        changes = {k: fields.pop(k) for k in ("jobs", "pods", "now") if k in fields}
        key = key_of(cluster.create(self.kit.resource("PretrainJob", **fields)))
        seen = self.kit.world(cluster, key)
        started = RunStatus(revision=1, started_at=text_of(self.kit.START))
        update: dict[str, Any] = {"attempts": list(attempts), "run": started}
        if saying:
            update["conditions"] = [
                Condition(
                    type="Ready",
                    status=ConditionStatus.FALSE,
                    reason=saying,
                    last_transition_time=text_of(self.kit.START),
                )
            ]
        return replace(seen, status=seen.status.model_copy(update=update), **changes)

    def drive(self, **fields: Any) -> Step:
        return drive(self.world(**fields), self.stage)

    def of(self, **fields: Any) -> hold.Hold | None:
        return hold.of(self.world(**fields), self.placement, 2)

    def after(self, seconds: int) -> datetime:
        later: datetime = self.kit.START + timedelta(seconds=seconds)
        return later


@pytest.fixture
def bench(kit: Any) -> Bench:
    return Bench(kit)


def spent(cost: str) -> list[Attempt]:
    return [Attempt(number=1, name="base-ptj-r1-a1", cost=cost, outcome="Lost")]


def test_nothing_holds_a_run_by_default(bench: Bench) -> None:
    assert bench.of(attempts=spent("999999")) is None


def test_suspend_holds_it(bench: Bench) -> None:
    held = bench.of(suspend=True)
    assert held
    assert (held.reason, held.fails) == ("Suspended", False)
    assert "spec.suspend" in held.message
    assert held.verdict().phase is Phase.SUSPENDED


def test_what_is_closed_is_held_and_says_why(bench: Bench) -> None:
    found = hold.of(bench.world().but(ends=hold.DELETED), bench.placement, 2)
    assert found == hold.Hold("Deleted", "it was stopped because its resource was deleted")


def test_a_checkpoint_is_named_only_where_there_is_one(bench: Bench) -> None:
    saved = [Attempt(number=1, name="a", outcome="Stopped", checkpoint_step=40)]
    for fields in ({"suspend": True}, {"budget": {"maxCost": "0.001"}}):
        fresh, later = bench.of(**fields), bench.of(attempts=saved, **fields)
        assert fresh
        assert later
        assert "checkpoint" not in fresh.message
        there = "to go on from the checkpoint of step 40"
        assert later.message == fresh.message.replace("to go on", there)


@pytest.mark.parametrize(("seconds", "over"), [(3599, False), (3600, True)])
def test_a_deadline_counts_from_the_start_of_the_run(
    bench: Bench, seconds: int, over: bool
) -> None:
    held = bench.of(deadline="1h", now=bench.after(seconds))
    assert (held is not None) is over
    if held:
        assert (held.reason, held.fails) == ("DeadlineExceeded", True)
        assert held.message.endswith("set the annotation cupola.dev/retry to a new word")
        assert held.verdict().phase is Phase.FAILED


# Stopping may take 10 s and the grace of a pod: 70 s of two devices, 0.014.
@pytest.mark.parametrize(
    ("cost", "over"), [("0.9", False), ("0.985999", False), ("0.986", True), ("2", True)]
)
def test_a_budget_leaves_room_for_a_save(bench: Bench, cost: str, over: bool) -> None:
    held = bench.of(budget={"maxCost": "1"}, attempts=spent(cost))
    assert (held is not None) is over
    if held:
        assert (held.reason, held.fails) == ("BudgetExceeded", False)
        assert f"{cost} of spec.budget.maxCost 1 USD" in held.message
        assert held.message.endswith("raise it")
        assert "cupola.dev/retry" not in held.message


def test_a_budget_says_what_is_spent_and_by_whom(bench: Bench) -> None:
    spent_all = bench.world(attempts=spent("10"), budget={"maxCost": "10"})
    found = hold.of(spent_all, bench.placement, 2)
    assert found
    end = "and what is left is what it may cost to save and stop; to go on, raise it"
    assert found.message == f"10 of spec.budget.maxCost 10 USD is spent, {end}"
    run = RunStatus(revision=1, spent_before="4")
    twice = spent_all.with_status(spent_all.status.model_copy(update={"run": run}))
    found = hold.of(twice, bench.placement, 2)
    assert found
    assert found.message == (
        "14 of spec.budget.maxCost 10 USD is spent (4 of it by earlier resources of this name; a "
        f"raised spec.revision begins a new run), {end}"
    )
    nameless = spent_all.with_status(spent_all.status.model_copy(update={"run": None}))
    assert hold.of(nameless, bench.placement, 2) == hold.of(spent_all, bench.placement, 2)


def test_a_budget_may_end_a_run(bench: Bench) -> None:
    held = bench.of(budget={"maxCost": "1", "onExceeded": "Fail"}, attempts=spent("1"))
    assert held
    assert held.verdict().phase is Phase.FAILED
    assert held.message.endswith("raise it and set the annotation cupola.dev/retry to a new word")


def test_it_is_looked_at_in_time_for_deadline_and_budget(bench: Bench) -> None:
    def again(**fields: Any) -> float:
        return hold.again(bench.world(**fields), bench.placement, 2)

    assert again() == 60
    assert again(deadline="30s") == 30
    assert again(deadline="30s", now=bench.after(29)) == 1
    assert again(deadline="30s", now=bench.after(31)) == 1
    assert again(budget={"maxCost": "1"}, attempts=spent("0.98")) == pytest.approx(30)
    assert again(budget={"maxCost": "1"}, attempts=spent("0.99")) == 1
    assert again(budget={"maxCost": "9"}, deadline="20s") == 20


def test_a_deadline_beyond_the_calendar_is_none(bench: Bench) -> None:
    assert bench.of(deadline="999999d999999d999999d") is None


def test_a_held_run_starts_nothing(bench: Bench) -> None:
    step = bench.drive(suspend=True)
    assert step.verdict
    assert (step.verdict.phase, step.verdict.actions) == (Phase.SUSPENDED, ())


@pytest.mark.parametrize(("late", "waits"), [(59, True), (61, False)])
def test_a_held_run_holds_nothing_when_pods_of_an_earlier_resource_are_given_up(
    bench: Bench, late: int, waits: bool
) -> None:
    left = replace(pod("m", gone_by=bench.after(-late)), resource="another")
    step = bench.drive(suspend=True, pods=(left,))
    assert step.verdict
    assert step.verdict.phase is (Phase.PENDING if waits else Phase.SUSPENDED)
    assert step.verdict.actions == ()


def test_a_budget_is_asked_for_the_devices_of_an_attempt(bench: Bench) -> None:
    # Two devices may cost 0.014 while they stop.
    for most, starts in (("0.014", False), ("0.015", True)):
        step = bench.drive(budget={"maxCost": most})
        assert step.verdict
        assert bool(step.verdict.actions) is starts


def test_a_running_attempt_is_looked_at_in_time_for_its_budget(bench: Bench, kit: Any) -> None:
    known = [Attempt(number=1, name=JOB.key.name, gpu_seconds="9800", cost="0.98")]
    running = {"jobs": (JOB,), "pods": (pod("m", kit.START), pod("w", kit.START))}
    step = bench.drive(budget={"maxCost": "1"}, attempts=known, **running)
    assert step.verdict
    assert step.verdict.phase is Phase.RUNNING
    assert step.verdict.again == pytest.approx(30)


def test_a_running_attempt_is_asked_to_save_and_stop(bench: Bench, kit: Any) -> None:
    running = {"pods": (pod("m", kit.START), pod("w", kit.START))}
    first = bench.drive(suspend=True, jobs=(JOB,), **running)
    assert first.verdict
    assert (first.verdict.actions, first.verdict.again) == ((), 0)
    step = bench.drive(suspend=True, jobs=(JOB,), attempts=first.status.attempts, **running)
    assert step.verdict
    assert step.verdict.actions == (Delete(JOB.key, "j1"),)
    assert (step.verdict.phase, step.verdict.reason) == (Phase.RUNNING, "Suspended")
    assert "saves and stops" in step.verdict.message
    assert step.verdict.again == SOON
    leaving = bench.drive(suspend=True, jobs=(replace(JOB, deleting=True),), **running)
    gone = bench.drive(suspend=True, attempts=step.status.attempts, **running)
    for waits in (leaving, gone):
        assert waits.verdict
        assert waits.verdict.actions == ()
        assert waits.status.attempts[0].outcome is None


SAVED = Outcome(outcome=OutcomeKind.STOPPED, step=70, message="stopped as asked")


def test_what_it_saved_is_not_wasted(bench: Bench, kit: Any) -> None:
    end = {"terminal": True, "exit_code": 143, "finished": bench.after(30)}
    pods = (pod("m", kit.START, outcome=SAVED, **end), pod("w", kit.START, **end))
    known = [Attempt(number=1, name=JOB.key.name)]
    step = bench.drive(suspend=True, attempts=known, pods=pods, now=bench.after(31))
    (attempt,) = step.status.attempts
    assert (attempt.outcome, attempt.reason, attempt.failure) == ("Stopped", "Suspended", None)
    assert (attempt.checkpoint_step, attempt.gpu_seconds, attempt.wasted) == (70, "60", "0")
    over = bench.drive(suspend=True, attempts=step.status.attempts, now=bench.after(32))
    assert over.verdict
    assert over.verdict.phase is Phase.SUSPENDED
    on = bench.drive(attempts=step.status.attempts, now=bench.after(33))
    assert on.verdict
    (create,) = on.verdict.actions
    assert isinstance(create, Create)
    assert create.value["metadata"]["name"] == "base-ptj-r1-a2"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"suspend": True}, "Suspended"),
        ({"saying": "Suspended"}, "Suspended"),
        ({"saying": "BudgetExceeded", "suspend": True}, "BudgetExceeded"),
        ({"budget": {"maxCost": "0.001"}}, "BudgetExceeded"),
        ({"saying": "Training"}, "PodsLost"),
    ],
)
def test_pods_that_were_gone_before_anybody_looked_were_stopped_all_the_same(
    bench: Bench, kit: Any, fields: dict[str, Any], reason: str
) -> None:
    time = PodTime(uid="m", gpus=1, started_at=text_of(kit.START), until=text_of(bench.after(20)))
    known = [Attempt(number=1, name=JOB.key.name, pods=[time])]
    step = bench.drive(attempts=known, now=bench.after(90), **fields)
    (attempt,) = step.status.attempts
    assert attempt.reason == reason
    assert (attempt.outcome == "Stopped") is (reason != "PodsLost")
    if attempt.outcome == "Stopped":
        assert (attempt.message, attempt.failure) == (hold.STOPPED[reason], None)
    assert (attempt.gpu_seconds, attempt.estimated) == ("20", True)


def test_a_failure_while_it_saves_is_not_called_a_suspension(bench: Bench, kit: Any) -> None:
    said = Outcome.model_validate(
        {"outcome": "Failed", "failure": "Infrastructure", "reason": "StorageFailed"}
    )
    pods = (pod("m", kit.START, terminal=True, exit_code=1, outcome=said), pod("w", kit.START))
    step = bench.drive(suspend=True, pods=pods, attempts=[Attempt(number=1, name="a")])
    assert step.status.attempts[0].reason == "StorageFailed"


@pytest.mark.parametrize("kind", ["Dataset", "PretrainJob", "FineTune", "Evaluation"])
def test_a_suspended_resource_is_not_resolved(kit: Any, kind: str) -> None:
    cluster = kit.Cluster()
    for other in ("Dataset", "PretrainJob", "FineTune"):
        if other != kind:
            cluster.create(kit.done(other, **({"task": TASK} if other == "Dataset" else {})))
    key = key_of(cluster.create(kit.resource(kind, suspend=True)))
    decision = decide(kit.world(cluster, key))
    assert decision.actions == ()
    assert decision.status
    assert decision.status.phase is Phase.SUSPENDED
    true = {c.type for c in decision.status.conditions if c.status == "True"}
    assert true == {"Suspended"}


@pytest.mark.parametrize(
    "left",
    [
        {"jobs": (JOB,)},
        {"pods": (pod("m"),)},
        {"pods": (pod("m", gone_by=datetime(2026, 1, 1, 1, tzinfo=UTC)),)},
        {"attempts": [Attempt(number=1, name="a")]},
    ],
)
def test_what_runs_without_its_config_map_is_resolved_once_more_to_be_stopped(
    bench: Bench, left: dict[str, Any]
) -> None:
    assert hold.before_start(bench.world(suspend=True))
    assert hold.before_start(bench.world(suspend=True, **left)) is None
    assert hold.before_start(bench.world()) is None
    over = [Attempt(number=1, name="a", outcome="Lost")]
    assert hold.before_start(bench.world(suspend=True, attempts=over))


@pytest.mark.parametrize(
    ("kind", "name"), [("PretrainJob", "base-ptj-r1"), ("Dataset", "data-dset-r1-list")]
)
def test_what_is_resolved_is_held_as_an_attempt(kit: Any, kind: str, name: str) -> None:
    cluster = kit.Cluster()
    seen = kit.world(cluster, key_of(cluster.create(kit.resource(kind, suspend=True))))
    assert hold.before_start(seen)
    assert hold.before_start(replace(seen, runs={name: None})) is None


def test_nothing_holds_what_is_not_valid(bench: Bench) -> None:
    with pytest.raises(TypeError, match="base is not valid"):
        bench.of(oops=1)


TASK = {"input": "q", "output": "a"}


def test_what_has_not_begun_has_no_end(kit: Any) -> None:
    seen = Bench(kit).world(deadline="1h")
    for run in (None, RunStatus(revision=1)):
        status = seen.status.model_copy(update={"run": run})
        assert hold._deadline(replace(seen, status=status)) is None
    begun = seen.status.model_copy(
        update={"run": RunStatus(revision=1, started_at=text_of(kit.START))}
    )
    end = hold._deadline(replace(seen, status=begun))
    assert end is not None
    assert end.at == kit.START + timedelta(hours=1)
    assert hold._deadline(replace(Bench(kit).world(), status=begun)) is None
    assert hold._deadline(Bench(kit).world()) is None


def priced(bench: Bench, **fields: Any) -> Placement:
    pool = Pool.model_validate(bench.placement.pool.to_json() | fields)
    return bench.placement.model_copy(update={"pool": pool})


def test_a_run_without_a_price_cannot_be_held_to_a_budget(bench: Bench) -> None:
    free = bench.placement.pool.model_copy(update={"price_per_gpu_hour": None})
    world = bench.world(budget={"maxCost": "1"}, attempts=spent("9"))
    other = bench.placement.model_copy(update={"others": [free]})
    for placement in (bench.placement.model_copy(update={"pool": free}), other):
        assert hold.of(world, placement, 2) is None
        assert hold.again(world, placement, 2) == world.every
    assert hold.of(world, bench.placement, 2)


def test_the_time_to_save_is_charged_at_the_highest_price_that_comes(bench: Bench) -> None:
    """It may take 70 s: 0.014 at the price of now, 0.14 at the one that begins within that time."""
    rises = {"prices": [{"from": text_of(bench.after(60)), "pricePerGpuHour": "3.6"}]}
    world = bench.world(budget={"maxCost": "1"}, attempts=spent("0.9"), now=bench.after(0))
    assert hold.of(world, bench.placement, 2) is None
    assert hold.of(world, priced(bench, **rises), 2)
    before = bench.world(budget={"maxCost": "1"}, attempts=spent("0.9"), now=bench.after(-60))
    assert hold.of(before, priced(bench, **rises), 2) is None


def test_it_is_looked_at_when_the_price_changes(bench: Bench) -> None:
    rises = {"prices": [{"from": text_of(bench.after(41)), "pricePerGpuHour": "3.6"}]}
    world = bench.world(budget={"maxCost": "100"}, now=bench.after(0))
    assert hold.again(world, priced(bench, **rises), 2) == 41
    unlimited = bench.world(now=bench.after(0))
    assert hold.again(unlimited, priced(bench, **rises), 2) == unlimited.every


def test_a_spot_price_that_may_not_be_had_is_not_counted_on(bench: Bench) -> None:
    spot = priced(bench, spotPricePerGpuHour="0.01", spotNodes={"spot": "yes"})
    world = bench.world(budget={"maxCost": "1"}, attempts=spent("0.987"))
    assert hold.of(world, spot, 2)
