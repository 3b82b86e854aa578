from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from cupola_operator.cluster import Object
from cupola_operator.cost.book import entered
from cupola_operator.cost.entries import Entry
from cupola_operator.cost.namespace import Spending, of_others
from cupola_operator.settings import Settings

NOW = datetime(2026, 2, 1, 1, tzinfo=UTC)


def resource(uid: str = "u1", *, currency: str = "USD", **fields: Any) -> Object:
    attempt = {
        "number": 1,
        "name": "a",
        "startedAt": "2026-01-31T23:00:00Z",
        "endedAt": "2026-02-01T01:00:00Z",
        "gpuSeconds": "7200",
        "cost": "4",
        "outcome": "Failed",
        **fields,
    }
    return {
        "kind": "PretrainJob",
        "metadata": {"name": "base", "namespace": "team", "uid": uid},
        "spec": {},
        "status": {
            "run": {"revision": 1},
            "attempts": [{k: v for k, v in attempt.items() if v is not None}],
            "cost": {"currency": currency, "accrued": "4", "gpuHours": "1", "energyKwh": "0"},
        },
    }


def closed(uid: str, month: str) -> Object:
    value = entered(
        None,
        "team",
        month,
        Entry(kind="PretrainJob", name="old", uid=uid, revision=1, currency="USD", cost="7"),
    )
    assert value is not None
    return value


def priced(kit: Any, price: str | None, **fields: Any) -> Settings:
    """Settings whose pool cpu has a price."""
    value = kit.SETTINGS.to_json()
    value["pools"][0] |= {"pricePerGpuHour": price, **fields}
    return Settings.model_validate(value)


def spending(
    kit: Any, *values: Object, ledgers: Any = (), settings: Settings | None = None, **changes: Any
) -> Spending:
    asked = {"uid": "me", "month": "2026-02", "now": NOW, **changes}
    return of_others(values, ledgers, settings or kit.SETTINGS, **asked)


def test_a_month_counts_what_was_spent_in_it(kit: Any) -> None:
    assert spending(kit, resource()).spent == 2
    assert spending(kit, resource(), month=None).spent == 4
    assert spending(kit, resource(), month="2026-03").spent == 0


def test_the_ledger_of_the_month_counts_and_all_ledgers_without_one(kit: Any) -> None:
    ledgers = [closed("u8", "2026-01"), closed("u9", "2026-02")]
    assert spending(kit, ledgers=ledgers).spent == 7
    assert spending(kit, ledgers=ledgers, month=None).spent == 14


def test_the_resource_itself_counts_by_what_it_closed_alone(kit: Any) -> None:
    assert spending(kit, resource("me")).spent == 0
    assert spending(kit, resource("me"), ledgers=[closed("me", "2026-02")]).spent == 7


def test_a_run_that_is_in_the_ledger_and_about_to_go_counts_once(kit: Any) -> None:
    assert spending(kit, resource("u1"), ledgers=[closed("u1", "2026-02")]).spent == 7


def test_money_of_another_currency_does_not_count(kit: Any) -> None:
    assert spending(kit, resource(currency="EUR")).spent == 0
    free = resource(cost=None)
    free["status"]["cost"] = {"gpuHours": "1", "energyKwh": "0"}
    assert spending(kit, free).spent == 0


def runs(**fields: Any) -> Object:
    """A resource whose attempt holds two devices, seen a minute ago, at 4 for 7,200 device seconds."""
    pods = [
        {"uid": "a", "gpus": 2, "startedAt": "2026-02-01T00:00:00Z", "until": "2026-02-01T00:59:00Z"},
        {"uid": "b", "gpus": 9, "startedAt": "2026-02-01T00:00:00Z", "outcome": "Failed"},
        {"uid": "c", "gpus": 9},
    ]  # fmt: skip
    return resource(
        **{"outcome": None, "endedAt": None, "startedAt": "2026-02-01T00:00:00Z", "pods": pods}
        | {"pool": "cpu"}
        | fields
    )


PAID = Decimal(4) / 7200


def test_what_runs_is_charged_on_from_when_it_was_last_seen(kit: Any) -> None:
    assert spending(kit, runs()) == Spending(Decimal(4), 60 * 2 * PAID, 2 * PAID)


def test_what_runs_costs_the_price_of_now_if_that_is_more(kit: Any) -> None:
    settings = priced(kit, "7.2")
    assert spending(kit, runs(), settings=settings) == Spending(
        Decimal(4), 60 * 2 * PAID, Decimal(2) * 2 / 1000
    )


@pytest.mark.parametrize(("stage", "devices"), [(None, 8), ("clean", 2)])
def test_of_a_gang_that_has_started_in_part_the_rest_will_start_at_any_moment(
    kit: Any, stage: str | None, devices: int
) -> None:
    value = runs(stage=stage)
    value["status"]["plan"] = {"pool": "cpu", "nodes": 4, "devices": 8}
    assert spending(kit, value) == Spending(Decimal(4), 60 * 2 * PAID, devices * PAID)
    value["status"]["plan"]["devices"] = 1
    assert spending(kit, value).rate == 2 * PAID


def test_a_price_that_is_about_to_rise_counts(kit: Any) -> None:
    for since, price in (("2026-02-01T01:02:00Z", 36), ("2026-02-01T01:02:01Z", 9)):
        prices = [{"from": since, "pricePerGpuHour": "36"}]
        rate = spending(kit, runs(), settings=priced(kit, "9", prices=prices)).rate
        assert rate == Decimal(2) * price / 3600


def test_what_has_just_begun_is_charged_by_its_price(kit: Any) -> None:
    pods = [{"uid": "a", "gpus": 2, "startedAt": "2026-02-01T00:59:50Z"}]
    new = runs(gpuSeconds="0", cost="0", pods=pods)
    assert spending(kit, new, settings=priced(kit, "36")) == Spending(
        Decimal(0), Decimal(2) * 10 / 100, Decimal(2) / 100
    )
    free = runs(gpuSeconds="0", cost=None, pods=pods)
    assert spending(kit, free, settings=priced(kit, "36")) == Spending()
    ahead = runs(gpuSeconds="0", cost="0", pods=[pods[0] | {"startedAt": "2026-02-01T01:00:30Z"}])
    assert spending(kit, ahead, settings=priced(kit, "36")).unseen == 0


@pytest.mark.parametrize(
    ("phase", "reason", "rate"),
    [
        ("Pending", "Training", 16),
        ("Recovering", "AttemptFailed", 16),
        ("Running", "Stage", 16),
        ("Pending", "Queued", 0),
        ("Waiting", "WaitingForInputs", 0),
        ("Suspended", "Suspended", 0),
        ("Stalled", "Unschedulable", 0),
        ("Succeeded", "Succeeded", 0),
    ],
)
def test_what_will_begin_at_any_moment_has_its_rate(
    kit: Any, phase: str, reason: str, rate: int
) -> None:
    ready = {"type": "Ready", "status": "False", "reason": reason, "message": "m"}
    for attempts in ([], None):
        value = resource(cost="4")
        value["status"] |= {
            "phase": phase,
            "conditions": [ready | {"lastTransitionTime": "2026-02-01T00:00:00Z"}],
            "plan": {"pool": "cpu", "nodes": 2, "devices": 8},
        }
        if attempts is not None:
            value["status"]["attempts"] = attempts
        found = spending(kit, value, settings=priced(kit, "7200"))
        assert found == Spending(Decimal(2 if attempts is None else 0), rate=Decimal(rate))
        del value["status"]["plan"]
        assert spending(kit, value, settings=priced(kit, "7200")).rate == 0


def test_a_pool_without_a_price_has_no_rate(kit: Any) -> None:
    assert spending(kit, runs(pool="other")) == spending(kit, runs())
    assert spending(kit, runs(), settings=priced(kit, None)) == spending(kit, runs(pool="other"))


def test_an_attempt_that_has_ended_costs_no_more_whatever_its_pods_do(kit: Any) -> None:
    stopped = runs(outcome="Stopped", endedAt="2026-02-01T00:59:30Z")
    stopped["status"]["phase"] = "Suspended"
    assert spending(kit, stopped) == Spending(Decimal(4))


def test_all_resources_are_added_up(kit: Any) -> None:
    euro, gone = resource("u1", currency="EUR"), resource("u2")
    several = [euro, gone, resource("me"), *(runs(), runs()), *(resource("u5"), resource("u6"))]
    found = spending(kit, *several, ledgers=[closed("u2", "2026-02")])
    assert found == Spending(Decimal(7 + 4 + 4 + 2 + 2), 2 * 60 * 2 * PAID, 2 * 2 * PAID)


def test_what_has_no_run_is_not_in_the_ledger(kit: Any) -> None:
    value = resource("u1")
    del value["status"]["run"]
    assert spending(kit, value, ledgers=[closed("u1", "2026-02")]).spent == 9


def test_an_attempt_without_money_adds_none(kit: Any) -> None:
    assert spending(kit, resource(cost=None), month=None).spent == 0
