from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

import pytest

from cupola_api.spent import Causes
from cupola_operator.cost.charges import Charge
from cupola_operator.cost.entries import Entry
from cupola_operator.cost.focus import COLUMNS, safe, table

MANDATORY = {
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency"),
    *("BillingPeriodEnd", "BillingPeriodStart", "ChargeCategory", "ChargeClass"),
    *("ChargeDescription", "ChargePeriodEnd", "ChargePeriodStart", "ContractedCost"),
    *("EffectiveCost", "InvoiceIssuerName", "ListCost", "PricingQuantity", "PricingUnit"),
    *("ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
}
"""Of FOCUS 1.0."""

NULLABLE = {"BillingAccountName", "ChargeClass", "ResourceName", "ResourceId"}


def charge(**fields: Any) -> Charge:
    known = {
        "kind": "PretrainJob",
        "name": "base",
        "uid": "u1",
        "revision": 2,
        "currency": "EUR",
        "cost": "10.5",
        "costs": Causes(productive="10", lost_work="0.5"),
        "gpu_seconds": "7200",
        "causes": Causes(productive="7000", lost_work="200"),
        "begin": "2026-01-02T00:00:00Z",
        "end": "2026-01-03T00:00:00Z",
        "closed": "2026-01-04T00:00:00Z",
    }
    return Charge("team", "2026-01", Entry(**{**known, **fields}))


def rows(*charges: Charge) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(table(charges, account="acme"))))


def test_all_mandatory_columns_are_there() -> None:
    assert set(COLUMNS) >= MANDATORY
    assert rows(charge())[0].keys() == set(COLUMNS)


def test_nothing_is_null_that_may_not_be() -> None:
    for row in rows(charge(), charge(costs=None, causes=None)):
        assert not [name for name, text in row.items() if not text and name not in NULLABLE]


def test_a_row_says_who_is_charged_for_what_and_when() -> None:
    first, second = rows(charge())
    assert (first["BilledCost"], second["EffectiveCost"]) == ("10", "0.5")
    assert (first["BillingCurrency"], first["BillingAccountId"]) == ("EUR", "acme")
    assert (first["SubAccountId"], first["ResourceType"]) == ("team", "PretrainJob")
    assert first["ConsumedQuantity"] == "1.944444"
    assert (first["BillingPeriodStart"], first["BillingPeriodEnd"]) == (
        "2026-01-01T00:00:00Z",
        "2026-02-01T00:00:00Z",
    )
    assert first["ChargePeriodStart"] == "2026-01-02T00:00:00Z"
    assert second["ChargeDescription"] == "PretrainJob base, revision 2: work that was lost"
    assert json.loads(second["Tags"]) == {
        "cupola.dev/cause": "lost_work",
        "cupola.dev/revision": "2",
        "cupola.dev/state": "closed",
        "cupola.dev/estimated": "false",
    }


def test_rows_add_up_to_the_money_of_the_ledger() -> None:
    found = rows(charge(), charge(cost="0.000001", costs=None, causes=None))
    assert sum(Decimal(row["BilledCost"]) for row in found) == Decimal("10.500001")


def test_a_run_without_a_price_has_no_row() -> None:
    assert rows(charge(cost=None, costs=None, currency=None)) == []


def test_runs_that_were_added_up_are_said_to_be_several() -> None:
    (row,) = rows(charge(name=None, uid="", revision=0, runs=7, costs=None, causes=None))
    assert row["ChargeDescription"] == "PretrainJob (7 runs): device time"
    assert row["ResourceName"] == ""


@pytest.mark.parametrize("text", ["=1", "+1", "-1", "@x", "\t=1", "\r\n=1", "=a\r\n=b"])
def test_no_field_is_a_formula_or_another_line(text: str) -> None:
    assert safe(text) == "'" + " ".join(text.split())
    (row,) = csv.DictReader(io.StringIO(table([charge(costs=None, causes=None)], account=text)))
    assert row["BillingAccountId"] == "'" + " ".join(text.split())


@pytest.mark.parametrize(
    "fields",
    [
        {"kind": "=1+1"},
        {"name": "=cmd"},
        {"uid": "@x"},
        {"currency": "=1"},
        {"cost": "-1"},
        {"gpu_seconds": "-1"},
    ],
)
def test_what_people_write_into_a_ledger_is_read_only_if_it_could_be_cupolas(
    fields: dict[str, str],
) -> None:
    with pytest.raises(ValueError, match="match pattern"):
        charge(**fields)
