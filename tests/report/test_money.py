"""One figure everywhere: status, Prometheus, the report and the command line say the same money."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cupola_api.common import Attempt, Phase
from cupola_api.pretrainjob import PretrainJobStatus
from cupola_api.spent import Causes, Told
from cupola_operator.children import Placement, Pod, text_of
from cupola_operator.cli import table
from cupola_operator.cli.describe import describe
from cupola_operator.cluster import Key
from cupola_operator.cost import ledger
from cupola_operator.measure.resources import samples
from cupola_operator.pools import Pool
from cupola_operator.report import causes, money
from cupola_operator.report.evidence import Subject
from cupola_operator.report.html import Html

ZERO = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = tuple(Causes.model_fields)


def at(second: float) -> datetime:
    return ZERO + timedelta(seconds=second)


def pool(price: str | None) -> Pool:
    return Pool(
        name="a", device="Gpu", gpus_per_node=2, price_per_gpu_hour=price, gpu_watts=100, gpu="a100-80g"
    )  # fmt: skip


def pods(start: float, end: float) -> list[Pod]:
    """A gang of two whose second pod starts 7 s late."""
    return [
        Pod(name=u, uid=f"{u}{start}", gpus=2, started=at(begin), finished=at(end), terminal=True, exit_code=1)
        for u, begin in (("m", start), ("w", start + 7))
    ]  # fmt: skip


def status(price: str | None = "3.33") -> PretrainJobStatus:
    """Of a run whose first attempt was lost, and whose second one came to its end."""
    placement = Placement(pool=pool(price), currency="EUR", image="i")
    told = Told(first_step_at=text_of(at(31)), checkpoint_seconds="3.25", evaluation_seconds="5.5")
    lost = Attempt(number=1, name="a1", outcome="Lost", told=told)
    first = ledger.charge(
        lost, pods(0, 100), now=at(999), placement=placement, gang=2, checkpoint=at(77)
    )
    won = Attempt(number=2, name="a2", outcome="Succeeded", told=told)
    second = ledger.charge(won, pods(200, 411), now=at(999), placement=placement, gang=2)
    cost = ledger.total([first, second], placement)
    return PretrainJobStatus(phase=Phase.SUCCEEDED, attempts=[first, second], cost=cost)


def subject(told: PretrainJobStatus) -> Subject:
    resource = SimpleNamespace()  # of which nothing here reads anything
    return Subject(Key("PretrainJob", "default", "base"), cast("Any", resource), told)


def text(html: Html) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", str(html)))


def test_status_prometheus_report_and_command_line_agree() -> None:
    told = status()
    cost = told.cost
    assert cost
    assert cost.causes
    accrued = Decimal(cost.accrued or 0)
    assert accrued == sum(Decimal(one.cost or 0) for one in told.attempts)
    assert accrued == sum(Decimal(getattr(cost.causes, name)) for name in NAMES)
    assert Decimal(cost.wasted or 0) == Decimal(cost.causes.lost_work) + Decimal(cost.causes.idle)

    measured = {(name, *labels.values()): number for name, labels, number in samples(told, 0)}
    assert measured["cupola_run_cost_accrued", "EUR"] == float(accrued)
    assert measured["cupola_run_cost_wasted", "EUR"] == float(cost.wasted or 0)
    by_cause = [n for (name, *_), n in measured.items() if name == "cupola_run_cost_by_cause"]
    assert sum(by_cause) == pytest.approx(float(accrued), abs=1e-9)

    (total,) = money.totals([subject(told)])
    assert (total.accrued, total.wasted) == (accrued, Decimal(cost.wasted or 0))
    assert sum(causes.together([cost.causes])) == accrued

    value = {
        "kind": "PretrainJob",
        "metadata": {"name": "base", "namespace": "default"},
        "status": told.to_json(),
    }
    assert table.total([value]) == f"{accrued:.4f} EUR"
    (line,) = [
        line.text for line in describe(value, ZERO, zone=UTC) if line.text.startswith("Cost")
    ]
    assert f"{accrued:,.4f} EUR" in line
    assert f"{Decimal(cost.wasted or 0):,.4f} EUR of it" in line


def test_the_report_shows_what_money_went_into() -> None:
    told = status()
    body = text("".join(map(str, money.section([subject(told)]).body)))
    assert told.cost
    assert told.cost.causes
    for cause in causes.CAUSES:
        amount = Decimal(getattr(told.cost.causes, cause.field))
        assert amount > 0
        assert f"PretrainJob base: {amount:,.4f} EUR {cause.name}" in body


def test_a_run_without_a_price_is_told_in_device_hours() -> None:
    told = status(None)
    assert told.cost
    assert told.cost.accrued is None
    body = text("".join(map(str, money.section([subject(told)]).body)))
    assert "EUR" not in body
    lost = sum(Decimal(one.causes.lost_work) for one in told.attempts if one.causes) / 3600
    assert f"PretrainJob base: {lost:,.4f} device hours lost work" in body
    value = {"kind": "PretrainJob", "metadata": {"name": "base"}, "status": told.to_json()}
    (line,) = [
        line.text for line in describe(value, ZERO, zone=UTC) if line.text.startswith("Cost")
    ]
    assert "money is not known" in line
    assert table.total([value]) == ""
