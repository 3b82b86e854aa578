from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from cupola_api.common import Attempt, Cost, RunStatus
from cupola_operator.children import Placement
from cupola_operator.cluster import key_of
from cupola_operator.cost.namespace import Spending
from cupola_operator.decide import hold
from cupola_operator.settings import NamespaceRule, Settings

MONTH_END = 31 * 86_400


def settings(kit: Any, **rule: Any) -> Settings:
    found = NamespaceRule.model_validate({"name": "default", **rule})
    return kit.SETTINGS.model_copy(update={"namespaces": [found]})  # type: ignore[no-any-return]


def world(kit: Any, spent: str = "0", rate: str = "0", unseen: str = "0", **rule: Any) -> Any:
    cluster = kit.Cluster()
    key = cluster.apply(kit.resource("PretrainJob"))
    attempt = Attempt(
        number=1,
        name="a",
        started_at="2026-01-01T00:00:00Z",
        ended_at="2026-01-01T00:00:00Z",
        gpu_seconds="100",
        cost="1",
    )
    seen = kit.world(cluster, key)
    status = seen.status.model_copy(
        update={
            "attempts": [attempt],
            "run": RunStatus(revision=1, started_at="2026-01-01T00:00:00Z"),
            "cost": Cost(currency="USD", accrued="1", gpu_hours="0", energy_kwh="0"),
        }
    )
    return replace(
        seen,
        settings=settings(kit, **rule),
        status=status,
        spending=Spending(Decimal(spent), Decimal(unseen), Decimal(rate)),
    )


def held(seen: Any, gpus: int = 0) -> Any:
    pool = seen.settings.pools[0]
    return hold.of(seen, Placement(pool=pool, currency="USD", image="i"), gpus)


def budget(most: str, **fields: Any) -> dict[str, Any]:
    return {"budget": {"maxCost": most, **fields}}


def test_a_namespace_that_has_spent_its_budget_holds_its_runs_to_the_next_month(kit: Any) -> None:
    assert held(world(kit, "8", **budget("10"))) is None
    found = held(world(kit, "9", **budget("10")))
    assert (found.reason, found.fails, found.again) == (
        "NamespaceBudgetExceeded",
        False,
        MONTH_END,
    )
    assert "the resources of namespace default have spent 10.00 of 10 USD this month" in (
        found.message
    )
    assert "or wait until 2026-02-01T00:00:00Z" in found.message
    assert found.verdict().again == MONTH_END
    assert hold.STOPPED[found.reason]


def test_a_total_budget_waits_for_a_person(kit: Any) -> None:
    found = held(world(kit, "9", **budget("10", per="Total")))
    assert found.again is None
    assert "spent 10.00 of 10 USD in all" in found.message
    assert "wait until" not in found.message


def test_a_budget_may_end_runs_instead(kit: Any) -> None:
    found = held(world(kit, "9", **budget("10", onExceeded="Fail")))
    assert (found.fails, found.again) == (True, None)
    assert "cupola.dev/retry" in found.message


def test_time_is_left_for_all_runs_of_the_namespace_to_save_and_stop(kit: Any) -> None:
    # A run of 4 devices at 0.36 an hour costs 0.028 while it stops, and others 0.7 at 0.01 a second.
    assert held(world(kit, "8.9", **budget("10")), gpus=4) is None
    assert held(world(kit, "8.98", **budget("10")), gpus=4)
    assert held(world(kit, "8.2", rate="0.01", **budget("10")), gpus=4) is None
    assert held(world(kit, "8.3", rate="0.01", **budget("10")), gpus=4)


def test_a_run_is_looked_at_again_before_its_namespace_has_spent_all(kit: Any) -> None:
    seen = world(kit, "8", rate="0.1", **budget("10"))
    placement = Placement(pool=seen.settings.pools[0], currency="USD", image="i")
    # 10 - 8 - 1 - 7 (the others stop in 70 s) is less than 0: at once.
    assert hold.again(seen, placement, 4) == hold.SOON
    assert hold.again(world(kit, "0", rate="0.01", **budget("10")), placement, 4) == 60


@pytest.mark.parametrize(
    ("rule", "currency"),
    [({}, "USD"), ({"name": "other", **budget("1")}, "USD"), (budget("1"), "EUR")],
)
def test_other_namespaces_and_currencies_are_not_held(
    kit: Any, rule: dict[str, Any], currency: str
) -> None:
    seen = world(kit, "9", **rule)
    placement = Placement(pool=seen.settings.pools[0], currency=currency, image="i")
    assert hold.of(seen, placement, 4) is None


def test_a_star_is_each_namespace_that_is_not_named(kit: Any) -> None:
    assert held(world(kit, "9", name="*", **budget("10")))
    star = NamespaceRule.model_validate({"name": "*", **budget("1")})
    own = NamespaceRule.model_validate({"name": "default", **budget("100")})
    seen = world(kit, "9")
    both = seen.settings.model_copy(update={"namespaces": [star, own]})
    assert held(replace(seen, settings=both)) is None


# Of 10, 9 less is left than others need to stop: at 0.1 a second, 7 in 70 s; the run itself needs 0.028.
def test_a_run_waits_while_others_may_need_what_is_left(kit: Any) -> None:
    found = held(world(kit, "4", rate="0.1", **budget("10")), gpus=4)
    assert (found.reason, found.fails, found.again) == ("NamespaceBudgetExceeded", False, 60)
    assert found.message == (
        "namespace default may spend 10 USD this month, and what is left of it is what it may cost that "
        "its other runs save and stop; it goes on when they leave enough, or have maxCost of the "
        "namespace raised in the settings (namespaces)"
    )
    total = held(world(kit, "4", rate="0.1", **budget("10", per="Total")), gpus=4)
    assert "10 USD in all" in total.message


def test_it_does_not_wait_for_others_when_it_could_not_go_on_alone(kit: Any) -> None:
    assert held(world(kit, "8.97", rate="0.1", **budget("10")), gpus=4).again == 60
    assert held(world(kit, "8.972", rate="0.1", **budget("10")), gpus=4).again == MONTH_END


def test_a_budget_that_ends_runs_ends_them_when_it_is_spent_and_no_sooner(kit: Any) -> None:
    fail = budget("10", onExceeded="Fail")
    found = held(world(kit, "4", rate="0.1", **fail), gpus=4)
    assert (found.fails, found.again) == (False, 60)
    found = held(world(kit, "4", unseen="5", **fail), gpus=4)
    assert (found.fails, found.again) == (False, 60)
    assert held(world(kit, "4", unseen="4.9", **fail), gpus=4) is None
    found = held(world(kit, "8.98", unseen="1", rate="0.1", **fail), gpus=4)
    assert (found.fails, found.again) == (True, None)
    assert "have spent 10.98 of 10" in found.message


@pytest.mark.parametrize(
    ("own", "theirs", "said"),
    [
        ("1h", None, "spec.deadline of 1h was over at 2026-01-01T01:00:00Z"),
        ("1h", "2h", "spec.deadline of 1h was over"),
        ("2h", "1h", "the deadline of 1h that the settings set for namespace default was over"),
        (None, "1h", "the deadline of 1h that the settings set for namespace default was over"),
    ],
)
def test_the_shorter_deadline_counts(
    kit: Any, own: str | None, theirs: str | None, said: str
) -> None:
    seen = world(kit, **({"deadline": theirs} if theirs else {}))
    assert seen.resource
    spec = seen.resource.spec.model_copy(update={"deadline": own})
    seen = replace(seen, resource=seen.resource.model_copy(update={"spec": spec}))
    early = replace(seen, now=datetime.fromisoformat("2026-01-01T00:59:59+00:00"))
    assert held(early) is None
    found = held(replace(seen, now=datetime.fromisoformat("2026-01-01T01:00:00+00:00")))
    assert (found.reason, found.fails) == ("DeadlineExceeded", True)
    assert found.message.startswith(said)


def test_what_the_others_spend_is_seen_where_a_budget_is_set(kit: Any) -> None:
    cluster = kit.Cluster()
    cluster.create(kit.done("Dataset"))
    other = kit.done("PretrainJob", "other")
    other["status"] |= {
        "attempts": [
            {
                "number": 1,
                "name": "a",
                "startedAt": "2026-01-01T00:00:00Z",
                "endedAt": "2026-01-01T00:00:00Z",
                "gpuSeconds": "1",
                "cost": "3",
                "outcome": "Succeeded",
            }
        ],
        "cost": {"currency": "USD", "accrued": "3", "gpuHours": "0", "energyKwh": "0"},
    }
    cluster.create(other)
    key = cluster.apply(kit.resource("PretrainJob"))
    assert kit.world(cluster, key, settings=settings(kit)).spending == Spending()
    for rule in ({"per": "Month"}, {"per": "Total"}):
        seen = kit.world(cluster, key, settings=settings(kit, **budget("10", **rule)))
        assert seen.spending.spent == 3
    done = key_of(cluster.create(kit.done("Evaluation")))
    limited = settings(kit, **budget("10"))
    assert kit.world(cluster, done, settings=limited).spending == Spending()
    # What is to be tried again, or is a new run, may spend again.
    value = cluster.objects[done]
    value["metadata"]["annotations"] = {"cupola.dev/retry": "once more"}
    assert kit.world(cluster, done, settings=limited).spending.spent == 3
    del value["metadata"]["annotations"]
    value["spec"]["revision"] = 2
    assert kit.world(cluster, done, settings=limited).spending.spent == 3


@pytest.mark.parametrize(
    ("fields", "end"),
    [
        ({"per": "Total"}, " in all, and {0}"),
        ({}, " this month, and {0}, or wait until 2026-02-01T00:00:00Z"),
        (
            {"per": "Total", "onExceeded": "Fail"},
            " in all, and {0}, then set the annotation cupola.dev/retry to a new word",
        ),
    ],
)
def test_a_spent_budget_says_what_to_do(kit: Any, fields: dict[str, Any], end: str) -> None:
    what = (
        "what is left is what it may cost to save and stop; have its maxCost raised in the settings "
        "(namespaces)"
    )
    found = held(world(kit, "9", **budget("10", **fields)))
    said = "the resources of namespace default have spent 10.00 of 10 USD"
    assert found.message == said + end.format(what)


def test_of_its_own_money_that_of_the_month_counts(kit: Any) -> None:
    later = datetime.fromisoformat("2026-02-15T00:00:00+00:00")
    monthly = replace(world(kit, "9", **budget("10")), now=later)
    assert held(monthly) is None
    assert held(replace(world(kit, "9", **budget("10", per="Total")), now=later))
    open_ = monthly.status.attempts[0].model_copy(update={"ended_at": None})
    status = monthly.status.model_copy(update={"attempts": [open_]})
    assert held(replace(monthly, status=status)) is None  # a third of it, or so
