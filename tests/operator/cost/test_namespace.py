from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from cupola_operator.cluster import Object
from cupola_operator.cost.book import entered
from cupola_operator.cost.entries import Entry
from cupola_operator.cost.namespace import Spending, of_others

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


def spending(*values: Object, ledgers: Any = (), **changes: Any) -> Spending:
    asked = {"uid": "me", "currency": "USD", "month": "2026-02", "now": NOW, **changes}
    return of_others(values, ledgers, **asked)


def test_a_month_counts_what_was_spent_in_it() -> None:
    assert spending(resource()).spent == 2
    assert spending(resource(), month=None).spent == 4
    assert spending(resource(), month="2026-03").spent == 0


def test_the_ledger_of_the_month_counts_and_all_ledgers_without_one() -> None:
    ledgers = [closed("u8", "2026-01"), closed("u9", "2026-02")]
    assert spending(ledgers=ledgers).spent == 7
    assert spending(ledgers=ledgers, month=None).spent == 14


def test_the_resource_itself_counts_by_what_it_closed_alone() -> None:
    assert spending(resource("me")).spent == 0
    assert spending(resource("me"), ledgers=[closed("me", "2026-02")]).spent == 7


def test_a_run_that_is_in_the_ledger_and_about_to_go_counts_once() -> None:
    assert spending(resource("u1"), ledgers=[closed("u1", "2026-02")]).spent == 7


def test_money_of_another_currency_does_not_count() -> None:
    assert spending(resource(currency="EUR")).spent == 0
    free = resource(cost=None)
    free["status"]["cost"] = {"gpuHours": "1", "energyKwh": "0"}
    assert spending(free).spent == 0


def test_what_runs_is_charged_on_from_when_it_was_last_seen() -> None:
    pods = [
        {"uid": "a", "gpus": 2, "startedAt": "2026-02-01T00:00:00Z", "until": "2026-02-01T00:59:00Z"},
        {"uid": "b", "gpus": 9, "startedAt": "2026-02-01T00:00:00Z", "outcome": "Failed"},
    ]  # fmt: skip
    runs = resource(outcome=None, endedAt=None, startedAt="2026-02-01T00:00:00Z", pods=pods)
    # Two devices at 4 for 7,200 device seconds, the last minute of which was not seen yet.
    rate = 2 * Decimal(4) / 7200
    assert spending(runs) == Spending(4 + 60 * rate, rate)
    new = resource(outcome=None, endedAt=None, gpuSeconds="0", cost="0", pods=pods)
    assert spending(new).rate == 0
