from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from cupola_operator.cluster import Object
from cupola_operator.cost import book
from cupola_operator.cost.book import Foreign, entered, entries, key, read
from cupola_operator.cost.entries import Entry


def entry(uid: str = "u1", **fields: Any) -> Entry:
    known = {
        "kind": "Dataset",
        "name": "data",
        "uid": uid,
        "revision": 1,
        "currency": "USD",
        "cost": "1.5",
        "closed": "2026-01-10T00:00:00Z",
    }
    return Entry(**{**known, **fields})


def ledger(*found: Entry) -> Object:
    value: Object | None = None
    for one in found:
        value = entered(value, "team", "2026-01", one)
    assert value is not None
    return value


def test_the_first_entry_makes_the_ledger_of_its_month() -> None:
    value = ledger(entry())
    assert value["metadata"]["name"] == "cupola-ledger-2026-01" == key("team", "2026-01").name
    assert value["metadata"]["namespace"] == "team"
    assert book.SELECTOR.items() <= value["metadata"]["labels"].items()
    assert json.loads(value["data"]["u1.r1"])["cost"] == "1.5"
    assert list(read(value)) == [("2026-01", entry())]


def test_an_entry_that_is_there_is_not_written_again() -> None:
    value = ledger(entry())
    assert entered(value, "team", "2026-01", entry()) is None
    assert entered(value, "team", "2026-01", entry(closed="2026-01-11T00:00:00Z")) is None


def test_an_entry_of_the_same_run_replaces_itself() -> None:
    value = ledger(entry(), entry(cost="2"))
    assert entries([value]) == [entry(cost="2")]


def test_what_others_wrote_into_the_ledger_stays_and_is_not_counted() -> None:
    value = ledger(entry())
    value["data"] |= {"note": "by hand", "odd": '{"kind": 1}'}
    changed = entered(value, "team", "2026-01", entry("u2"))
    assert changed is not None
    assert changed["data"]["note"] == "by hand"
    assert {one.uid for one in entries([changed])} == {"u1", "u2"}


def test_entries_of_a_month_are_told_from_those_of_others() -> None:
    first = ledger(entry())
    second = entered(None, "team", "2026-02", entry("u2"))
    assert second is not None
    assert [one.uid for one in entries([first, second], "2026-02")] == ["u2"]
    assert len(entries([first, second])) == 2


def test_a_config_map_of_somebody_else_is_left_alone() -> None:
    foreign = {"metadata": {"name": "cupola-ledger-2026-01"}, "data": {}}
    with pytest.raises(Foreign, match="cupola-ledger-2026-01 exists and was not made by Cupola"):
        entered(foreign, "team", "2026-01", entry())


def test_a_full_ledger_adds_up_its_oldest_entries_and_keeps_all_money(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(book, "FULL", 2000)
    monkeypatch.setattr(book, "_AFTER", 1000)
    value: Object | None = None
    for day in range(1, 28):
        for kind in ("Dataset", "Evaluation"):
            one = entry(f"{kind[0].lower()}{day}", kind=kind, closed=f"2026-01-{day:02}T00:00:00Z")
            value = entered(value, "team", "2026-01", one)
            assert value is not None
            assert sum(len(k) + len(v) for k, v in value["data"].items()) < 2500
    found = entries([value]) if value else []
    assert sum((Decimal(one.cost or 0) for one in found), Decimal(0)) == Decimal("1.5") * 54
    sums = {one.kind: one.runs for one in found if one.name is None}
    assert set(sums) == {"Dataset", "Evaluation"}
    assert sum(one.runs for one in found) == 54
    assert "e27" in {one.uid for one in found}


def test_an_entry_of_the_last_hour_keeps_its_key_though_the_ledger_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(book, "FULL", 100)
    value = ledger(*(entry(f"u{n}") for n in range(5)))
    assert {one.uid for one in entries([value])} == {f"u{n}" for n in range(5)}
