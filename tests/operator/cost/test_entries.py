from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from cupola_api.common import Attempt, Cost, PodTime, RunStatus
from cupola_api.pretrainjob import PretrainJobStatus
from cupola_api.spent import Causes
from cupola_operator.cost.causes import NAMES
from cupola_operator.cost.entries import Entry, added, before, of_run, spent

NOW = datetime(2026, 2, 10, tzinfo=UTC)


def attempt(number: int = 1, **fields: Any) -> Attempt:
    return Attempt(
        **{
            "number": number,
            "name": f"a{number}",
            "started_at": "2026-01-31T00:00:00Z",
            "ended_at": "2026-02-02T00:00:00Z",
            "gpu_seconds": "200",
            "cost": "2",
            "costs": Causes(productive="1.5", idle="0.5"),
            "causes": Causes(productive="150", idle="50"),
            "outcome": "Failed",
            **fields,
        }
    )


def status(*attempts: Attempt, **cost: Any) -> PretrainJobStatus:
    money = Cost(**{"currency": "USD", "accrued": "2", "gpu_hours": "1", "energy_kwh": "4", **cost})
    return PretrainJobStatus(run=RunStatus(revision=3), attempts=list(attempts), cost=money)


def run(one: PretrainJobStatus, **fields: Any) -> dict[str, Entry]:
    return of_run("PretrainJob", "base", "u1", one, NOW, **fields)


def test_an_attempt_is_shared_over_the_months_that_it_touches() -> None:
    first, second = run(status(attempt())).values()
    assert (first.cost, first.gpu_seconds, first.energy_kwh) == ("1", "100", "2")
    assert first.costs == Causes(productive="0.75", idle="0.25")
    assert first.causes == Causes(productive="75", idle="25")
    assert (first.begin, first.end) == ("2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z")
    assert (second.begin, second.end) == ("2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z")
    assert (first.kind, first.name, first.revision) == ("PretrainJob", "base", 3)
    assert first.identity == "u1.r3"
    assert first.closed is None


def test_attempts_of_a_month_are_added_up() -> None:
    other = attempt(
        2,
        started_at="2026-02-03T00:00:00Z",
        ended_at="2026-02-04T00:00:00Z",
        cost="5",
        costs=Causes(lost_work="5"),
        estimated=True,
    )
    found = run(status(attempt(), other), closed=True)
    assert [entry.cost for entry in found.values()] == ["1", "6"]
    assert [entry.estimated for entry in found.values()] == [False, True]
    assert found["2026-02"].costs == Causes(productive="0.75", lost_work="5", idle="0.25")
    assert found["2026-02"].closed == "2026-02-10T00:00:00Z"
    assert found["2026-02"].end == "2026-02-04T00:00:00Z"


def test_a_run_without_a_price_has_no_money_but_time() -> None:
    free = PretrainJobStatus(
        run=RunStatus(revision=1), attempts=[attempt(cost=None, costs=None)], cost=None
    )
    (first, second) = run(free).values()
    assert (first.cost, first.costs, first.currency) == (None, None, None)
    assert first.gpu_seconds == second.gpu_seconds == "100"


def test_money_that_was_never_split_by_cause_stays_whole() -> None:
    first, second = run(status(attempt(costs=None))).values()
    assert (first.cost, second.cost, first.costs) == ("1", "1", None)


def test_what_runs_counts_until_it_was_last_seen() -> None:
    pod = PodTime(uid="p", gpus=1, started_at="2026-01-31T00:00:00Z", until="2026-01-31T12:00:00Z")
    (only,) = run(status(attempt(ended_at=None, outcome=None, pods=[pod]))).values()
    assert (only.cost, only.end) == ("2", "2026-01-31T12:00:00Z")
    found = run(status(attempt(ended_at=None, outcome=None)))
    assert found["2026-02"].end == "2026-02-10T00:00:00Z"


def test_an_attempt_that_only_waited_has_its_time_in_the_queue() -> None:
    waited = attempt(
        started_at=None,
        ended_at="2026-01-02T00:00:00Z",
        queued_at="2026-01-01T00:00:00Z",
        queue_seconds="60",
        gpu_seconds="0",
        causes=Causes(),
        cost="0",
        costs=Causes(),
    )
    (entry,) = run(status(waited)).values()
    assert (entry.queue_seconds, entry.cost) == ("60", "0")


def test_what_never_began_leaves_no_entry() -> None:
    assert run(status(attempt(started_at=None))) == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"cost": "-1", "costs": None},
        {"gpu_seconds": "-1", "causes": None},
        {"started_at": "9999-12-31T00:00:00Z", "ended_at": "9999-12-31T01:00:00Z"},
        {"cost": "9" * 40, "costs": None},
    ],
)
def test_of_figures_that_could_not_be_cupolas_nothing_is_said(fields: dict[str, Any]) -> None:
    assert run(status(attempt(**fields))) == {}


def test_entries_that_are_added_up_lose_their_names_and_no_money() -> None:
    one = Entry(kind="Dataset", name="a", uid="u", currency="USD", cost="1.5", begin="2026-01-02")
    other = Entry(
        kind="Dataset",
        currency="USD",
        cost="2",
        costs=Causes(idle="2"),
        begin="2026-01-01",
        runs=3,
        estimated=True,
    )
    total = added(one, other)
    assert (total.name, total.uid, total.runs, total.cost) == (None, "", 4, "3.5")
    assert (total.begin, total.estimated, total.costs) == ("2026-01-01", True, Causes(idle="2"))
    assert total.identity == "Dataset.USD"
    free = Entry(kind="Dataset")
    assert added(free, free).cost is None
    assert free.identity == "Dataset."


def test_money_of_another_currency_is_not_added() -> None:
    entries = [
        Entry(kind="Dataset", currency="USD", cost="1"),
        Entry(kind="Dataset", currency="EUR", cost="2"),
        Entry(kind="Dataset"),
    ]
    assert spent(entries, "USD") == Decimal(1)


def test_what_was_spent_before_is_of_the_same_name_and_revision_and_of_another_resource() -> None:
    wanted = {"kind": "Dataset", "name": "a", "revision": 2, "uid": "old"}
    found = before(
        [
            Entry(**wanted),
            *(
                Entry(**{**wanted, **other})
                for other in (
                    {"kind": "Evaluation"},
                    {"name": "b"},
                    {"revision": 1},
                    {"uid": "mine"},
                )
            ),
        ],
        kind="Dataset",
        name="a",
        revision=2,
        uid="mine",
    )
    assert [entry.uid for entry in found] == ["old"]


def test_causes_have_an_order() -> None:
    assert NAMES[0] == "productive"
