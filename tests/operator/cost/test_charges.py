from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from cupola_api.spent import Causes
from cupola_operator.cluster import Object
from cupola_operator.cost.book import entered
from cupola_operator.cost.charges import charges, lines
from cupola_operator.cost.entries import Entry

NOW = datetime(2026, 2, 10, tzinfo=UTC)


def resource(uid: str = "u1", namespace: str = "team", **fields: Any) -> Object:
    attempt = {
        "number": 1,
        "name": "a",
        "startedAt": "2026-01-31T00:00:00Z",
        "endedAt": "2026-02-02T00:00:00Z",
        "gpuSeconds": "200",
        "cost": "2",
        "costs": Causes(productive="1.5", idle="0.5").to_json(),
        "causes": Causes(productive="150", idle="50").to_json(),
        "outcome": "Failed",
        **fields,
    }
    return {
        "kind": "PretrainJob",
        "metadata": {"name": "base", "namespace": namespace, "uid": uid},
        "spec": {},
        "status": {
            "run": {"revision": 1},
            "attempts": [attempt],
            "cost": {"currency": "USD", "accrued": "2", "gpuHours": "1", "energyKwh": "0"},
        },
    }


def closed(uid: str, month: str = "2026-01", **fields: Any) -> Object:
    known = {
        "kind": "Dataset",
        "name": "data",
        "uid": uid,
        "revision": 1,
        "currency": "USD",
        "cost": "7",
        "closed": "2026-01-10T00:00:00Z",
    }
    value = entered(None, "team", month, Entry(**{**known, **fields}))
    assert value is not None
    return value


def test_what_lives_and_what_is_closed_are_told_together() -> None:
    found = charges([resource()], [closed("u2")], NOW)
    assert [(one.namespace, one.month, one.entry.kind, one.entry.cost) for one in found] == [
        ("team", "2026-01", "Dataset", "7"),
        ("team", "2026-01", "PretrainJob", "1"),
        ("team", "2026-02", "PretrainJob", "1"),
    ]


def test_a_run_that_is_in_the_ledger_and_about_to_go_counts_once() -> None:
    found = charges([resource("u1")], [closed("u1", kind="PretrainJob", name="base")], NOW)
    assert [one.entry.cost for one in found] == ["7"]


def test_a_charge_is_split_by_cause_and_adds_up() -> None:
    first, *_ = charges([resource()], [], NOW)
    split = list(lines(first))
    assert [(one.cause, one.cost, one.gpu_seconds) for one in split] == [
        ("productive", Decimal("0.75"), Decimal(75)),
        ("idle", Decimal("0.25"), Decimal(25)),
    ]


def test_what_was_split_in_part_keeps_the_rest() -> None:
    one, *_ = charges([], [closed("u", cost="7", costs=Causes(idle="3"), gpu_seconds="9")], NOW)
    assert {line.cause: (line.cost, line.gpu_seconds) for line in lines(one)} == {
        "idle": (Decimal(3), Decimal(0)),
        "notSplit": (Decimal(4), Decimal(9)),
    }


def test_a_run_without_a_price_has_time_and_no_money() -> None:
    free = resource(cost=None, costs=None)
    free["status"]["cost"] = {"gpuHours": "1", "energyKwh": "0"}
    one, *_ = charges([free], [], NOW)
    assert {(line.cause, line.cost) for line in lines(one)} == {
        ("productive", None),
        ("idle", None),
    }
    whole, *_ = charges([resource(cost=None, costs=None, causes=None)], [], NOW)
    assert [(line.cause, line.cost) for line in lines(whole)] == [("notSplit", None)]
