"""One figure everywhere: status, Prometheus, the report and the command line say the same money."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from cupola_api.common import Attempt, Phase, Status
from cupola_api.evaluation import EvaluationStatus
from cupola_api.outcome import Outcome, OutcomeKind
from cupola_api.pretrainjob import PretrainJobStatus
from cupola_api.spent import Causes, Told
from cupola_operator.children import Placement, Pod, text_of
from cupola_operator.cli import table
from cupola_operator.cli.describe import describe
from cupola_operator.cluster import Key
from cupola_operator.cost import ledger
from cupola_operator.cost.charges import charges, lines
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


def measured_alone() -> EvaluationStatus:
    """Of an Evaluation whose first pod was lost; the second one says when it began with its work."""
    placement = Placement(pool=pool("3.33"), currency="EUR", image="i")
    fields: dict[str, Any] = {"gpus": 2, "terminal": True, "exit_code": 1}
    gone = Pod(name="a", uid="a", started=at(0), finished=at(50), **fields)
    lost = Attempt(number=1, name="a1", outcome="Lost")
    first = ledger.charge(lost, [gone], now=at(999), placement=placement)
    said = Outcome(outcome=OutcomeKind.SUCCEEDED, first_work_at=at(131).timestamp())
    ended = Pod(name="b", uid="b", started=at(100), finished=at(300), outcome=said, **fields)
    won = Attempt(number=2, name="a2", outcome="Succeeded")
    second = ledger.charge(won, [ended], now=at(999), placement=placement)
    cost = ledger.total([first, second], placement)
    return EvaluationStatus(phase=Phase.SUCCEEDED, attempts=[first, second], cost=cost)


def subject(told: Status) -> Subject:
    resource = SimpleNamespace()  # of which nothing here reads anything
    return Subject(Key("PretrainJob", "default", "base"), cast("Any", resource), told)


def text(html: Html) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", str(html)))


@pytest.mark.parametrize("told", [status(), measured_alone()], ids=["gang", "job"])
def test_status_prometheus_report_and_command_line_agree(told: Status) -> None:
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
    start_up = Decimal(cost.causes.start_up)
    assert start_up > 0
    assert measured["cupola_run_cost_by_cause", "EUR", "startUp"] == float(start_up)

    (total,) = money.totals([subject(told)])
    assert (total.accrued, total.wasted) == (accrued, Decimal(cost.wasted or 0))
    assert sum(causes.together([cost.causes])) == accrued
    body = text("".join(map(str, money.section([subject(told)]).body)))
    assert f"PretrainJob base: {start_up:,.4f} EUR start-up" in body

    value = {
        "kind": "PretrainJob",
        "metadata": {"name": "base", "namespace": "default", "uid": "u"},
        "status": told.to_json(),
    }
    spent = [line for one in charges([value], [], at(999)) for line in lines(one)]
    for name in NAMES:
        parts = [line.cost or 0 for line in spent if line.cause == name]
        assert sum(parts) == Decimal(getattr(cost.causes, name))
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
