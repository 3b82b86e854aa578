"""Chargeback as CSV, with the columns of FOCUS 1.0 (the FinOps Open Cost and Usage Specification).

A row is what a run cost in a month by one cause. All columns are there that the specification makes
mandatory; a null is an empty field. Costs are the same in every sense of the specification, as prices
are those of the installation's settings. A run without a price has no row: a cost may not be null.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from decimal import Decimal

from cupola_operator.children import text_of
from cupola_operator.cost import months
from cupola_operator.cost.charges import Charge, Line, lines

PROVIDER = "Cupola"
UNIT = "GPU-Hours"
_HOUR = 3600

COLUMNS = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "SubAccountId",
    "SubAccountName",
    "Tags",
)

WORDS = {
    "productive": "productive work",
    "lost_work": "work that was lost",
    "start_up": "start-up",
    "checkpoint": "checkpoints",
    "evaluation": "validation",
    "idle": "devices held idle",
    "notSplit": "device time",
}
"""Causes as people say them."""


def table(charges: Iterable[Charge], *, account: str) -> str:
    """The CSV, with a line of column names. `account`: BillingAccountId, who is charged for it all."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for charge in charges:
        for line in lines(charge):
            if line.cost is not None and charge.entry.currency is not None:
                writer.writerow({name: safe(text) for name, text in _row(line, account).items()})
    return out.getvalue()


def safe(text: str) -> str:
    """A field of one line that no spreadsheet takes for a formula: one that could be begins with "'"."""
    text = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return f"'{text}" if text.startswith(("=", "+", "-", "@")) else text


def _row(line: Line, account: str) -> dict[str, str]:
    charge, entry = line.charge, line.charge.entry
    first, following = months.bounds(charge.month)
    cost = f"{line.cost:f}"
    hours = f"{(line.gpu_seconds / _HOUR).quantize(Decimal('0.000001')):f}"
    who = f"{entry.kind} {entry.name}, revision {entry.revision}" if entry.name else entry.kind
    several = f" ({entry.runs} runs)" if entry.runs > 1 else ""
    return {
        "BilledCost": cost,
        "BillingAccountId": account,
        "BillingAccountName": "",
        "BillingCurrency": str(entry.currency),
        "BillingPeriodEnd": text_of(following),
        "BillingPeriodStart": text_of(first),
        "ChargeCategory": "Usage",
        "ChargeClass": "",
        "ChargeDescription": f"{who}{several}: {WORDS.get(line.cause, line.cause)}",
        "ChargeFrequency": "Usage-Based",
        "ChargePeriodEnd": entry.end or text_of(following),
        "ChargePeriodStart": entry.begin or text_of(first),
        "ConsumedQuantity": hours,
        "ConsumedUnit": UNIT,
        "ContractedCost": cost,
        "EffectiveCost": cost,
        "InvoiceIssuerName": PROVIDER,
        "ListCost": cost,
        "PricingQuantity": hours,
        "PricingUnit": UNIT,
        "ProviderName": PROVIDER,
        "PublisherName": PROVIDER,
        "ResourceId": entry.uid,
        "ResourceName": entry.name or "",
        "ResourceType": entry.kind,
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": PROVIDER,
        "SubAccountId": charge.namespace,
        "SubAccountName": charge.namespace,
        "Tags": json.dumps(_tags(line)),
    }


def _tags(line: Line) -> dict[str, str]:
    entry = line.charge.entry
    return {
        "cupola.dev/cause": line.cause,
        "cupola.dev/revision": str(entry.revision),
        "cupola.dev/state": "closed" if entry.closed else "live",
        "cupola.dev/estimated": str(entry.estimated).lower(),
    }
