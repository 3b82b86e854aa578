from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from cupola_api.common import Attempt, Phase
from cupola_api.forecast import Forecast
from cupola_operator.cost.namespace import Spending
from cupola_operator.decide import allowance, decide
from cupola_operator.decide.admission import refused
from cupola_operator.decide.forecast import planned
from cupola_operator.decide.verdict import Create
from cupola_operator.plan.answers import limits
from cupola_operator.settings import NamespaceRule

from .test_forecast import world as planning

COST = {"low": "10", "expected": "15", "high": "30"}
HOURS = {"low": "1", "expected": "2", "high": "4"}
UNSEEN = Decimal("1e-9")
"""What is foretold of the others' money, and counts."""
TRAINED = ["PretrainJob", "FineTune", "Evaluation"]


def plan(**fields: Any) -> Forecast:
    value = {"pool": "cpu", "nodes": 1, "devices": 8, "cost": COST, "currency": "USD"}
    return Forecast.model_validate(value | {"wallClockHours": HOURS} | fields)


def limited(world: Any, spent: str, at: str = "2026-01-01T00:00:00Z", **rule: Any) -> Any:
    """A world whose namespace has a rule and whose other resources have spent so much."""
    found = NamespaceRule.model_validate({"name": "default", **rule})
    return world.but(
        now=datetime.fromisoformat(at),
        settings=world.settings.model_copy(update={"namespaces": [found]}),
        spending=Spending(Decimal(spent) - UNSEEN, UNSEEN),
    )


def seen(kit: Any, spent: str = "0", at: str = "2026-01-01T00:00:00Z", **rule: Any) -> Any:
    return limited(planning(kit, "PretrainJob"), spent, at, **rule)


def budget(most: str, per: str = "Total") -> dict[str, Any]:
    return {"budget": {"maxCost": most, "per": per}}


@pytest.mark.parametrize(
    ("spent", "exceeds", "doubts"),
    [("90.01", True, 0), ("90", False, 1), ("70.01", False, 1), ("70", False, 0)],
)
def test_what_is_left_is_held_against_the_range_of_the_plan(
    kit: Any, spent: str, *, exceeds: bool, doubts: int
) -> None:
    world = seen(kit, spent, **budget("100"))
    assert (allowance.exceeded(world, plan()) is not None) is exceeds
    assert len(allowance.doubted(world, plan())) == doubts


def test_what_the_run_itself_has_spent_is_not_left(kit: Any) -> None:
    world = seen(kit, "85", **budget("100"))
    assert allowance.exceeded(world, plan()) is None
    listed = Attempt(number=1, name="a", stage="list", outcome="Succeeded", cost="6")
    status = world.status.model_copy(update={"attempts": [listed]})
    assert allowance.exceeded(world.with_status(status), plan())


def test_a_spent_budget_says_what_is_lacking_and_who_can_help(kit: Any) -> None:
    found = allowance.exceeded(seen(kit, "87.7", **budget("96")), plan())
    assert found == allowance.Shortage(
        "NamespaceBudgetTooSmall",
        "on pool cpu the run costs 10 to 30, expected 15 USD, and namespace default has 8.3 left to spend",
        limits.BUDGET,
        Decimal("8.3"),
        "have maxCost of the namespace raised in the settings (namespaces)",
    )
    doubts = allowance.doubted(seen(kit, "84", **budget("96")), plan())
    assert doubts == ["what namespace default has left to spend may be less than the run costs"]


@pytest.mark.parametrize(("unseen", "again"), [("5", 15.0), ("4.99", None)])
def test_what_was_foretold_and_may_not_be_spent_is_looked_at_again(
    kit: Any, unseen: str, again: float | None
) -> None:
    world = seen(kit, **budget("100")).but(every=15.0)
    world = world.but(spending=Spending(Decimal(95) - Decimal(unseen), Decimal(unseen)))
    found = allowance.exceeded(world, plan())
    assert found
    assert found.again == again


@pytest.mark.parametrize(
    ("spent", "left"),
    [("90.001", "9.9"), ("99.99", "0.01"), ("0.000001", "99"), ("100", "0"), ("120", "0")],
)
def test_what_is_left_is_said_in_two_digits_that_stay_while_others_spend(
    kit: Any, spent: str, left: str
) -> None:
    dear = plan(cost={"low": "1000", "expected": "1500", "high": "3000"})
    found = allowance.exceeded(seen(kit, spent, **budget("100")), dear)
    assert found
    assert found.most == Decimal(left)
    assert f"has {left} left" in found.message


# Of a month only the last two hours are left; the run takes 1 to 4.
LATE = "2026-01-31T22:00:00Z"


@pytest.mark.parametrize(
    ("spent", "exceeds", "doubts"),
    # At least half of 10 falls in this month, and at most all of 30.
    [("95.01", True, 0), ("95", False, 1), ("70.01", False, 1), ("70", False, 0)],
)
def test_of_a_budget_by_month_the_part_counts_that_falls_in_the_month(
    kit: Any, spent: str, *, exceeds: bool, doubts: int
) -> None:
    world = seen(kit, spent, LATE, **budget("100", "Month"))
    assert (allowance.exceeded(world, plan()) is not None) is exceeds
    assert len(allowance.doubted(world, plan())) == doubts


def test_it_is_tried_again_when_the_month_is_over(kit: Any) -> None:
    found = allowance.exceeded(seen(kit, "98", LATE, **budget("100", "Month")), plan())
    assert found
    assert found.again == 7200
    assert "has 2 left to spend this month, in which it costs 5 at least" in found.message
    assert found.remedy.endswith("wait until 2026-02-01T00:00:00Z")


def test_a_run_of_many_months_is_held_against_the_part_of_this_one(kit: Any) -> None:
    months = {"low": "1488", "expected": "1488", "high": "1488"}  # two of 31 days
    dear = plan(wallClockHours=months)
    assert allowance.exceeded(seen(kit, **budget("5", "Month")), dear) is None
    assert allowance.exceeded(seen(kit, **budget("4.99", "Month")), dear)
    assert allowance.exceeded(seen(kit, **budget("9.99", "Total")), dear)
    assert allowance.doubted(seen(kit, **budget("15", "Month")), dear) == []
    assert allowance.doubted(seen(kit, **budget("14.99", "Month")), dear)


def test_without_a_known_time_all_of_it_counts(kit: Any) -> None:
    quick = plan(wallClockHours=None)
    assert allowance.exceeded(seen(kit, "90.01", LATE, **budget("100", "Month")), quick)
    assert allowance.exceeded(seen(kit, "90", LATE, **budget("100", "Month")), quick) is None


@pytest.mark.parametrize(
    ("rule", "fields"),
    [
        ({}, {}),
        ({"name": "other", **budget("1")}, {}),
        (budget("1"), {"cost": None}),
        (budget("1"), {"currency": "EUR"}),
    ],
)
def test_what_is_not_known_exceeds_nothing(
    kit: Any, rule: dict[str, Any], fields: dict[str, Any]
) -> None:
    world = seen(kit, "5", **rule)
    assert allowance.exceeded(world, plan(**fields)) is None
    assert allowance.doubted(world, plan(**fields)) == []


@pytest.mark.parametrize(
    ("deadline", "exceeds", "doubts"),
    [("59m59s", True, 0), ("1h", False, 1), ("3h59m", False, 1), ("4h", False, 0)],
)
def test_the_deadline_of_a_namespace_is_held_against_the_time(
    kit: Any, deadline: str, *, exceeds: bool, doubts: int
) -> None:
    world = seen(kit, deadline=deadline)
    assert (allowance.exceeded(world, plan()) is not None) is exceeds
    assert len(allowance.doubted(world, plan())) == doubts


def test_a_deadline_that_is_too_short_is_said_with_the_time(kit: Any) -> None:
    found = allowance.exceeded(seen(kit, deadline="30m"), plan())
    assert found == allowance.Shortage(
        "DeadlineTooShort",
        "the settings set a deadline of 30m for namespace default, and on pool cpu the run takes "
        "1 to 4, expected 2 hours",
        limits.DEADLINE,
        Decimal(1800),
        "have the deadline of the namespace raised in the settings (namespaces)",
    )
    doubts = allowance.doubted(seen(kit, deadline="3h"), plan())
    assert doubts == ["the deadline of 3h of namespace default may be shorter than the run takes"]


def test_money_comes_before_time(kit: Any) -> None:
    found = allowance.exceeded(seen(kit, deadline="30m", **budget("1")), plan())
    assert found
    assert found.reason == allowance.NAMESPACE_BUDGET


@pytest.mark.parametrize("kind", TRAINED)
@pytest.mark.parametrize(
    ("rule", "reason"),
    [(budget("0.000001"), "NamespaceBudgetTooSmall"), ({"deadline": "1s"}, "DeadlineTooShort")],
)
def test_what_the_namespace_has_not_left_does_not_begin(
    kit: Any, kind: str, rule: dict[str, Any], reason: str
) -> None:
    decision = decide(limited(planning(kit, kind), "0", **rule))
    assert decision.status
    ready = decision.status.condition("Ready")
    assert ready
    assert (decision.status.phase, ready.reason) == (Phase.STALLED, reason)
    assert decision.actions == ()
    assert decision.again is None
    assert "raised in the settings (namespaces), or set spec.admission: Ignore" in ready.message
    ignored = decide(limited(planning(kit, kind, admission="Ignore"), "0", **rule))
    assert [action for action in ignored.actions if isinstance(action, Create)]


def test_it_begins_by_itself_in_a_month_that_has_enough(kit: Any) -> None:
    world = limited(planning(kit, "PretrainJob"), "100", LATE, **budget("100", "Month"))
    assert decide(world).again == 7200


def test_what_of_it_fits_is_said(kit: Any) -> None:
    world = planning(kit, "PretrainJob", tokens="2B")
    half = f"{float(decide(world).status.plan.cost.low) / 2:.6f}"
    status = decide(limited(world, "0", **budget(half))).status
    assert "what fits, with spec.revision raised: tokens: " in status.condition("Ready").message
    nothing = decide(limited(world, half, **budget(half))).status
    assert "has 0 left to spend; have maxCost of the namespace" in (
        nothing.condition("Ready").message
    )


def test_its_own_limits_come_first(kit: Any) -> None:
    world = planning(kit, "PretrainJob", budget={"maxCost": "0.000001"})
    status = decide(limited(world, "0", **budget("0.000001"))).status
    assert status
    assert status.condition("Ready").reason == limits.BUDGET


def test_a_dataset_is_judged_when_it_is_listed(kit: Any) -> None:
    world = planned(limited(planning(kit, "Dataset"), "0", **budget("0.000001")))
    assert refused(world) is None
    listed = world.status.model_copy(update={"input_bytes": 10**12})
    verdict = refused(planned(world.with_status(listed)))
    assert verdict
    assert verdict.reason == allowance.NAMESPACE_BUDGET


def test_a_run_that_begins_says_that_the_namespace_may_have_too_little(kit: Any) -> None:
    cost = decide(planning(kit, "PretrainJob")).status.plan.cost
    status = decide(limited(planning(kit, "PretrainJob"), "0", **budget(cost.expected))).status
    assert "what namespace default has left to spend may be less" in (
        status.condition("Ready").message
    )
