from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cupola_api.common import Attempt, Phase
from cupola_operator.decide import CHAINS, decide
from cupola_operator.decide.admission import refused
from cupola_operator.decide.forecast import planned
from cupola_operator.decide.verdict import Create

from .test_forecast import UPSTREAM, world
from .test_hold import JOB

TRAINED = ["PretrainJob", "FineTune", "Evaluation"]
LITTLE = {"budget": {"maxCost": "0.000001"}}


def asked(kit: Any, kind: str, **fields: Any) -> Any:
    return planned(world(kit, kind, **fields))


def without_price(one: Any, *names: str) -> Any:
    pools = [
        pool.model_copy(update={"price_per_gpu_hour": None}) if pool.name in names else pool
        for pool in one.settings.pools
    ]
    return planned(one.but(settings=one.settings.model_copy(update={"pools": pools})))


@pytest.mark.parametrize("kind", UPSTREAM)
def test_it_stands_before_anything_is_resolved(kind: str) -> None:
    names = [policy.__name__ for policy in CHAINS[kind]]
    assert names.index("refused") < len(names) - 2


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, None),
        ({"budget": {"maxCost": "1000000"}, "deadline": "900d"}, None),
        (LITTLE, "BudgetTooSmall"),
        ({"deadline": "1s"}, "DeadlineTooShort"),
        ({**LITTLE, "admission": "Ignore"}, None),
        ({"deadline": "1s", "admission": "Ignore"}, None),
    ],
)
@pytest.mark.parametrize("kind", TRAINED)
def test_what_its_plan_exceeds_does_not_begin(
    kit: Any, kind: str, fields: dict[str, Any], reason: str | None
) -> None:
    seen = world(kit, kind, **fields)
    decision = decide(seen)
    assert decision.status
    ready = decision.status.condition("Ready")
    assert ready
    if reason is None:
        assert [action for action in decision.actions if isinstance(action, Create)]
        return
    assert (decision.status.phase, ready.reason) == (Phase.STALLED, reason)
    assert decision.actions == ()
    assert "or raise it" in ready.message or "raise it, or" in ready.message
    assert "set spec.admission: Ignore to start all the same" in ready.message
    assert decision.status.plan


def test_it_is_said_while_data_are_waited_for(kit: Any) -> None:
    status = decide(world(kit, "PretrainJob", finished=False, **LITTLE)).status
    assert status
    assert status.phase is Phase.STALLED


def test_without_what_it_rests_on_it_waits(kit: Any) -> None:
    seen = world(kit, "PretrainJob", **LITTLE)
    key, reference = next(iter(seen.references.items()))
    gone = {key: reference._replace(resource=None, problem="does not exist yet")}
    status = decide(seen.but(references=gone)).status
    assert status
    assert status.phase is Phase.WAITING


@pytest.mark.parametrize("kind", ["PretrainJob", "FineTune"])
def test_what_fits_is_said(kit: Any, kind: str) -> None:
    more = {"tokens": "2B"} if kind == "PretrainJob" else {}
    plan = asked(kit, kind, **more).status.plan
    assert plan
    half = f"{float(plan.cost.low) / 2:.6f}"
    verdict = refused(asked(kit, kind, **more, budget={"maxCost": half}))
    assert verdict
    fits = "tokens: " if kind == "PretrainJob" else "raise it"
    assert fits in verdict.message


def test_where_nothing_fits_nothing_is_proposed(kit: Any) -> None:
    verdict = refused(asked(kit, "Evaluation", **LITTLE))
    assert verdict
    cost, _, remedy = verdict.message.partition("; ")
    assert cost.startswith("spec.budget.maxCost is 0.000001 USD, and on pool ")
    assert remedy == "raise it, or set spec.admission: Ignore to start all the same"


def test_weights_that_no_device_holds_do_not_begin(kit: Any) -> None:
    model = {"model": {"size": "70B", "context": 2048}, "pools": ["h100"]}
    verdict = refused(asked(kit, "PretrainJob", **model))
    assert verdict
    assert verdict.reason == "MemoryTooSmall"
    assert "it fits on" in verdict.message or "it fits with" in verdict.message
    assert refused(asked(kit, "PretrainJob", **model, admission="Ignore")) is None


def test_memory_that_is_only_estimated_is_a_note(kit: Any) -> None:
    parallelism = {"nodes": 2, "zeroStage": 1}
    model = {"model": {"size": "7B", "context": 32768}, "parallelism": parallelism}
    seen = asked(kit, "PretrainJob", pools=["h100"], **model)
    assert seen.status.plan
    assert "it does not fit" in seen.status.plan.notes[0]
    assert refused(seen) is None


@pytest.mark.parametrize("kind", UPSTREAM)
def test_a_budget_without_a_price_is_refused_and_cannot_be_overridden(kit: Any, kind: str) -> None:
    budget = {"budget": {"maxCost": "1000000"}, "admission": "Ignore"}
    seen = without_price(world(kit, kind, **budget), "cpu", "h100")
    verdict = refused(seen)
    assert verdict
    assert verdict.reason == "PriceUnknown"
    assert verdict.message == (
        "pool cpu has no price, so a run on it cannot be held to spec.budget; write its "
        "pricePerGpuHour in the settings, name a pool that has one, or leave spec.budget out"
    )
    assert refused(without_price(world(kit, kind), "cpu", "h100")) is None


def test_a_pool_to_fail_over_to_needs_a_price_too(kit: Any) -> None:
    one = world(kit, "PretrainJob", pools=["cpu", "cpu2"], budget={"maxCost": "1000000"})
    other = one.settings.pool("cpu").model_copy(update={"name": "cpu2"})
    one = one.but(settings=one.settings.model_copy(update={"pools": [*one.settings.pools, other]}))
    assert refused(without_price(one)) is None
    verdict = refused(without_price(one, "cpu2"))
    assert verdict
    assert "pool cpu2 has no price" in verdict.message


@pytest.mark.parametrize(
    ("attempt", "judged"),
    [
        ({"stage": None}, False),
        ({"stage": "clean", "outcome": "Succeeded"}, False),
        ({"stage": "list"}, False),
        ({"stage": "list", "outcome": "Succeeded"}, True),
    ],
)
def test_what_has_begun_goes_on(kit: Any, attempt: dict[str, Any], *, judged: bool) -> None:
    one = asked(kit, "PretrainJob", **LITTLE)
    attempts = [Attempt(number=1, name="a", **attempt)]
    status = one.status.model_copy(update={"attempts": attempts})
    assert (refused(one.with_status(status)) is not None) is judged


@pytest.mark.parametrize(
    ("ended", "judged"), [({}, False), ({"complete": True}, True), ({"failed": True}, True)]
)
def test_what_a_job_of_it_holds_goes_on(kit: Any, ended: dict[str, Any], *, judged: bool) -> None:
    job = replace(JOB, **ended)
    assert (refused(asked(kit, "PretrainJob", **LITTLE).but(jobs=(job,))) is not None) is judged


def test_what_is_resolved_goes_on(kit: Any) -> None:
    one = asked(kit, "PretrainJob", **LITTLE)
    assert refused(one.but(runs={one.run_name(): None})) is None


def test_a_dataset_is_judged_when_it_is_listed(kit: Any) -> None:
    one = asked(kit, "Dataset", **LITTLE)
    assert refused(one) is None
    listed = one.status.model_copy(update={"input_bytes": 10**12})
    verdict = refused(planned(one.with_status(listed)))
    assert verdict
    assert verdict.reason == "BudgetTooSmall"


def test_the_message_of_a_resolved_run_says_what_it_may_cost(kit: Any) -> None:
    plan = asked(kit, "PretrainJob").status.plan
    assert plan
    seen = world(kit, "PretrainJob", budget={"maxCost": plan.cost.expected}, deadline="900d")
    status = decide(seen).status
    assert status
    ready = status.condition("Ready")
    assert ready
    assert ready.reason == "Resolving"
    assert "; planned: " in ready.message
    assert "may be less than the run costs" in ready.message
    assert "deadline" not in ready.message


def test_a_run_that_was_refused_begins_when_more_is_allowed(kit: Any) -> None:
    seen = world(kit, "PretrainJob", **LITTLE)
    stalled = decide(seen).status
    spec = seen.resource.spec.model_copy(update={"budget": None})
    allowed = replace(
        seen, resource=seen.resource.model_copy(update={"spec": spec}), status=stalled
    )
    decision = decide(allowed)
    assert [action for action in decision.actions if isinstance(action, Create)]
