"""A property that cannot fail is worth nothing: a bug put into the operator breaks each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from cupola_api.common import Condition, ConditionStatus, Phase
from cupola_operator import children, reconcile, spot
from cupola_operator import decide as decide_module
from cupola_operator.build import configmap
from cupola_operator.cluster import Conflict
from cupola_operator.cost import causes, intervals, ledger, prices
from cupola_operator.decide import (
    Create,
    Decision,
    Enter,
    Verdict,
    closing,
    record,
    retry,
    taken,
    timing,
)
from cupola_operator.decide.conditions import conditions
from cupola_operator.plan.answers import limits

from . import operator, properties
from .fast import fast
from .program import Store
from .script import by_seed, shortest, story

SEEDS = 1500
"""Histories at most until a bug must have shown."""

Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def _fast() -> Iterator[None]:
    with fast():
        yield


def changed(result: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """`function`, its result changed by `result(old, *arguments)`."""
    return lambda *args, **more: result(function(*args, **more), *args)


def decided(patch: Patch, bug: Callable[[Decision, Any], Decision]) -> None:
    """Change what is decided."""
    patch.setattr(reconcile, "decide", changed(bug, reconcile.decide))


def told(decision: Decision, **update: Any) -> Decision:
    """The decision with another status."""
    return decision._replace(status=decision.status and decision.status.model_copy(update=update))


def raises_on_a_second_attempt(patch: Patch) -> None:
    def bug(old: Decision, world: Any) -> Decision:
        return {}["oops"] if len(world.status.attempts) > 1 else old

    decided(patch, bug)


def says_another_thing_each_time(patch: Patch) -> None:
    number = count()

    def bug(old: Decision, _: Any) -> Decision:
        said = [c.model_copy(update={"message": f"no. {next(number)}"}) for c in _conditions(old)]
        return told(old, conditions=said)

    decided(patch, bug)


def _conditions(decision: Decision) -> list[Condition]:
    return decision.status.conditions if decision.status else []


def gives_every_attempt_one_name(patch: Patch) -> None:
    def bug(old: Decision, _: Any) -> Decision:
        return old._replace(actions=tuple(_renamed(action) for action in old.actions))

    decided(patch, bug)


def _renamed(action: Any) -> Any:
    if not isinstance(action, Create) or action.value["kind"] == "ConfigMap":
        return action
    metadata = action.value["metadata"]
    name = f"{metadata['name'].rpartition('-a')[0]}-a1"
    return action._replace(value={**action.value, "metadata": {**metadata, "name": name}})


def never_waits_for_old_pods(patch: Patch) -> None:
    patch.setattr(children.Pod, "lingers", lambda *_: False)


def forgets_the_resource_version(patch: Patch) -> None:
    before = operator.View.patch_status

    def bug(self: Any, key: Any, status: Any, version: str) -> Any:
        there = self.sim.api.get(key)
        if there is None:
            raise Conflict
        return before(self, key, status, there["metadata"]["resourceVersion"])

    patch.setattr(operator.View, "patch_status", bug)


def forgets_the_first_of_two_attempts(patch: Patch) -> None:
    decided(
        patch, lambda old, _: told(old, attempts=old.status.attempts[-1:]) if old.status else old
    )


def charges_twice(patch: Patch) -> None:
    def bug(old: Any, *_: Any) -> Any:
        names = ("gpu_seconds", "cost")
        twice = {name: ledger.amount(2 * ledger.Decimal(getattr(old, name) or 0)) for name in names}
        return old.model_copy(update=twice)

    patch.setattr(ledger, "charge", changed(bug, ledger.charge))


def forgets_what_was_lost_in_the_total(patch: Patch) -> None:
    def bug(old: Any, listed: Any, *_: Any) -> Any:
        if old.accrued is None:
            return old
        lost = (ledger.Decimal(a.cost) for a in listed if a.outcome not in (None, "Succeeded"))
        left = ledger.Decimal(old.accrued) - sum(lost)
        return old.model_copy(update={"accrued": ledger.amount(left), "wasted": "0"})

    patch.setattr(ledger, "total", changed(bug, ledger.total))


def believes_in_one_price_for_ever(patch: Patch) -> None:
    patch.setattr(prices, "rates", changed(lambda old, *_: old and old[:1], prices.rates))


def takes_every_node_for_one_that_stays(patch: Patch) -> None:
    patch.setattr(spot, "_is_spot", lambda *_: False)


def never_ends_the_start_up(patch: Patch) -> None:
    def bug(old: Any, *_: Any) -> Any:
        return old and old.model_copy(update={"first_step_at": None})

    patch.setattr(timing, "heard", changed(bug, timing.heard))


def forgets_when_the_work_of_a_job_began(patch: Patch) -> None:
    patch.setattr(intervals, "_first_work", lambda said: None)


def believes_whatever_pods_say_of_their_start_up(patch: Patch) -> None:
    def bug(old: Any, time: Any) -> Any:
        said = time.first_work_at and children.time_of(time.first_work_at)
        return old._replace(worked=said) if old and said else old

    patch.setattr(ledger, "interval", changed(bug, ledger.interval))


def forgets_how_long_it_saved(patch: Patch) -> None:
    def bug(old: Any, *_: Any) -> Any:
        return old and old.model_copy(update={"checkpoint_seconds": "0"})

    patch.setattr(timing, "heard", changed(bug, timing.heard))


def counts_idle_time_as_work(patch: Patch) -> None:
    def bug(old: Any, *_: Any) -> Any:
        return [(causes.PRODUCTIVE if c == causes.IDLE else c, *times) for c, *times in old]

    patch.setattr(causes, "spans", changed(bug, causes.spans))


def drops_what_rounding_leaves(patch: Patch) -> None:
    def bug(old: Any, tally: Any) -> Any:
        floors = [part // (3600 * 1_000_000) for part in tally.money]
        return old[0], causes._causes(tuple(floors))

    patch.setattr(causes, "amounts", changed(bug, causes.amounts))


def forgets_when_it_began_to_wait(patch: Patch) -> None:
    patch.setattr(record, "_made", lambda world, *_: record.text_of(world.now))


def believes_vanished_pods_ran_on(patch: Patch) -> None:
    before = ledger.pod_times

    def bug(attempt: Any, pods: Any, now: Any, **more: Any) -> Any:
        here, on = {pod.uid for pod in pods}, {"until": record.text_of(now)}
        return [
            time if time.outcome or time.uid in here else time.model_copy(update=on)
            for time in before(attempt, pods, now, **more)
        ]

    patch.setattr(ledger, "pod_times", bug)


def looks_at_the_price_of_one_pool_only(patch: Patch) -> None:
    patch.setattr(prices, "priced", lambda placement: placement.pool.price is not None)


def plans_anew_at_each_look(patch: Patch) -> None:
    nodes = count(100)

    def bug(old: Decision, _: Any) -> Decision:
        plan = old.status.plan if old.status else None
        return told(old, plan=plan and plan.model_copy(update={"nodes": next(nodes)}))

    decided(patch, bug)


def never_plans(patch: Patch) -> None:
    patch.setattr(decide_module, "planned", lambda world: world)


def refuses_what_has_begun(patch: Patch) -> None:
    def bug(old: Decision, world: Any) -> Decision:
        if not (world.resource and world.resource.spec.budget and world.status.attempts):
            return old
        verdict = Verdict(Phase.STALLED, limits.BUDGET, "it is refused")
        status = told(old, phase=Phase.STALLED, conditions=conditions(world, verdict)).status
        return Decision((), status)

    decided(patch, bug)


def forgets_what_it_took(patch: Patch) -> None:
    patch.setattr(taken, "compared", lambda world, verdict, step=None: verdict)


def is_never_looked_at_again(patch: Patch) -> None:
    decided(patch, lambda old, _: old._replace(again=None))


def is_looked_at_for_ever(patch: Patch) -> None:
    decided(patch, lambda old, _: old._replace(again=old.again or 1.0))


def never_tries_again(patch: Patch) -> None:
    patch.setattr(retry, "spent", lambda *_: True)


def leaves_old_jobs(patch: Patch) -> None:
    decide = reconcile.decide

    def bug(world: Any) -> Decision:
        newest = max((job.attempt for job in world.jobs), default=0)
        kept = tuple(job for job in world.jobs if job.attempt == newest and not job.failed)
        old = decide(replace(world, jobs=kept))
        actions = [a._replace(after=()) if isinstance(a, Create) else a for a in old.actions]
        return old._replace(actions=tuple(actions))

    patch.setattr(reconcile, "decide", bug)


def children_have_two_owners(patch: Patch) -> None:
    upstream = {"uid": "00000001-uid", "kind": "Dataset", "name": "data"}

    def bug(old: Any, *_: Any) -> Any:
        return {**old, "ownerReferences": [*old["ownerReferences"], upstream]}

    patch.setattr(configmap, "child", changed(bug, configmap.child))


def is_ready_while_it_runs(patch: Patch) -> None:
    def bug(old: Decision, _: Any) -> Decision:
        true = {"status": ConditionStatus.TRUE}
        ready = [c.model_copy(update=true if c.type == "Ready" else {}) for c in _conditions(old)]
        return told(old, conditions=ready)

    decided(patch, bug)


def says_that_it_is_held_at_once(patch: Patch) -> None:
    def bug(old: Decision, world: Any) -> Decision:
        if not (world.resource and world.resource.spec.suspend and old.status):
            return old
        verdict = Verdict(Phase.SUSPENDED, "Suspended", "it is held")
        status = told(old, phase=Phase.SUSPENDED, conditions=conditions(world, verdict)).status
        return Decision((), status)

    decided(patch, bug)


def names_another_artifact(patch: Patch) -> None:
    _artifact(patch, lambda: {"uri": "file:///data/other"})


def names_another_artifact_at_each_look(patch: Patch) -> None:
    number = count()
    _artifact(patch, lambda: {"bytes": next(number)})


def _artifact(patch: Patch, other: Callable[[], dict[str, Any]]) -> None:
    def bug(old: Decision, _: Any) -> Decision:
        if old.status is None or old.status.artifact is None:
            return old
        return told(old, artifact=old.status.artifact.model_copy(update=other()))

    decided(patch, bug)


def skips_a_step_when_it_goes_on(patch: Patch) -> None:
    bug = changed(lambda old, *_: (old[0] + (old[0] > 0), old[1]), Store.newest)
    patch.setattr(Store, "newest", bug)


def says_what_the_type_does_not_know(patch: Patch) -> None:
    before = operator.View.patch_status
    patch.setattr(
        operator.View,
        "patch_status",
        lambda self, key, status, version: before(self, key, {**status, "mood": "good"}, version),
    )


def decides_by_lot(patch: Patch) -> None:
    number = count()
    bug = changed(lambda old, _: old._replace(again=float(next(number))), properties.decide)
    patch.setattr(properties, "decide", bug)


def forgets_what_it_cost(patch: Patch) -> None:
    def bug(old: Decision, _: Any) -> Decision:
        return old._replace(actions=tuple(a for a in old.actions if not isinstance(a, Enter)))

    decided(patch, bug)


def closes_each_run_under_another_name(patch: Patch) -> None:
    number = count()

    def bug(old: Decision, _: Any) -> Decision:
        def other(action: Any) -> Any:
            if not isinstance(action, Enter):
                return action
            entry = action.entry.model_copy(update={"uid": f"{next(number)}"})
            return action._replace(entry=entry)

        return old._replace(actions=tuple(map(other, old.actions)))

    decided(patch, bug)


def lets_a_resource_go_while_it_runs(patch: Patch) -> None:
    patch.setattr(closing, "_ends", lambda _: None)


BUGS: list[tuple[str, Callable[[Patch], None]]] = [
    ("the operator raises nothing", raises_on_a_second_attempt),
    ("any world is decided", decides_by_lot),
    ("a fixed point", says_another_thing_each_time),
    ("a child is made once", gives_every_attempt_one_name),
    ("attempts are a history", forgets_the_first_of_two_attempts),
    ("attempts are a history", forgets_the_resource_version),
    ("one attempt lives", never_waits_for_old_pods),
    ("money equals the truth", charges_twice),
    ("money equals the truth", believes_in_one_price_for_ever),
    ("money equals the truth", takes_every_node_for_one_that_stays),
    ("money equals the truth", never_ends_the_start_up),
    ("money equals the truth", forgets_when_the_work_of_a_job_began),
    ("money equals the truth", believes_whatever_pods_say_of_their_start_up),
    ("money equals the truth", forgets_how_long_it_saved),
    ("money equals the truth", counts_idle_time_as_work),
    ("money equals the truth", drops_what_rounding_leaves),
    ("money equals the truth", forgets_when_it_began_to_wait),
    ("money equals the truth", looks_at_the_price_of_one_pool_only),
    ("money equals the truth", believes_vanished_pods_ran_on),
    ("closed runs are in the ledger", forgets_what_it_cost),
    ("closed runs are in the ledger", closes_each_run_under_another_name),
    ("money equals the truth", lets_a_resource_go_while_it_runs),
    ("money never shrinks", forgets_what_was_lost_in_the_total),
    ("the plan is kept", plans_anew_at_each_look),
    ("the plan is kept", never_plans),
    ("a refused run has not begun", refuses_what_has_begun),
    ("the forecast is sound", forgets_what_it_took),
    ("it comes to rest", is_looked_at_for_ever),
    ("it ends", is_never_looked_at_again),
    ("it ends well", never_tries_again),
    ("nothing is leaked", leaves_old_jobs),
    ("nothing is left of a deleted resource", children_have_two_owners),
    ("conditions agree", is_ready_while_it_runs),
    ("a held run holds nothing", says_that_it_is_held_at_once),
    ("the artifact is of the recorded attempt", names_another_artifact),
    ("an artifact stays", names_another_artifact_at_each_look),
    ("the artifact is that of an undisturbed run", skips_a_step_when_it_goes_on),
    ("status fits its type", says_what_the_type_does_not_know),
]


@pytest.mark.parametrize(("name", "bug"), BUGS, ids=[bug.__name__ for _, bug in BUGS])
def test_a_bug_breaks_a_property(
    name: str, bug: Callable[[Patch], None], monkeypatch: Patch
) -> None:
    properties.undisturbed("PretrainJob")
    bug(monkeypatch)
    broken: set[str] = set()
    for seed in range(SEEDS):
        failure = by_seed(seed)
        if failure and failure.name == name:
            assert name in story(shortest(failure))
            return
        if failure:
            broken.add(failure.name)
    raise AssertionError(f"'{name}' holds in {SEEDS} histories; broken are {sorted(broken)}")
