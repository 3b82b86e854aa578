from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from cupola_api import API_VERSION, kinds
from cupola_operator.cli.describe import describe
from cupola_operator.cluster import Object

NOW = datetime(2026, 11, 23, 10, 30, tzinfo=UTC)
MESSAGE = (
    "0.9 of spec.budget.maxCost 1 USD is spent, and what is left is what it may cost to save and "
    "stop; to go on from the newest checkpoint, raise it"
)


def _value(status: dict[str, Any] | None = None, **spec: Any) -> Object:
    whole = {
        "apiVersion": API_VERSION,
        "kind": "PretrainJob",
        "metadata": {"name": "base"},
        "spec": {"datasets": [{"name": "docs"}], "model": {"size": "1M"}, **spec},
    }
    return kinds.parse(whole).to_json() | ({"status": status} if status else {})


def _status(phase: str, reason: str, message: str, **fields: Any) -> dict[str, Any]:
    condition = {"reason": reason, "message": message, "lastTransitionTime": "2026-11-23T10:00:00Z"}
    return {
        "phase": phase,
        "conditions": [
            {"type": "Ready", "status": "False", **condition},
            {"type": phase, "status": "True", **condition},
        ],
        "run": {"revision": 1, "digest": f"sha256:{'ab' * 32}", "startedAt": "2026-11-23T09:00:00Z"},
        "cost": {"currency": "USD", "accrued": "0.9", "projected": "2", "wasted": "0.09",
                 "causes": {"productive": "0.81", "lostWork": "0.08", "idle": "0.01"}, "gpuHours": "1", "energyKwh": "1"},
    } | fields  # fmt: skip


def _lines(value: Object, **more: Any) -> list[str]:
    return [line.text for line in describe(value, NOW, zone=UTC, **more)]


def test_what_its_budget_holds() -> None:
    progress = {"fraction": 0.45, "step": 330, "steps": 733, "loss": 4.1234}
    status = _status("Suspended", "BudgetExceeded", MESSAGE, progress=progress)
    value = _value(status, budget={"maxCost": "1"}, deadline="2h", revision=2)
    assert _lines(value, width=80) == [
        "PretrainJob/base",
        "Phase     Suspended (budget exceeded): 0.9 of spec.budget.maxCost 1 USD is",
        "          spent, and what is left is what it may cost to save and stop; to go on",
        "          from the newest checkpoint, raise it",
        "To do     To go on with PretrainJob/base: raise its spec.budget.maxCost (now 1;",
        "          spent 0.9), and run or apply its file.",
        "Run       revision 1, abababababab; revision 2 is asked for",
        "Progress  45%, step 330/733, loss 4.123",
        "Cost      0.9000 USD so far, 2.0000 USD at the end; 0.0900 USD of it (10.0 %)",
        "          wasted, on work that attempts lost when they ended and devices held",
        "          idle",
        "Budget    0.1000 USD left of 1; then it is suspended",
        "Deadline  2026-11-23 11:00:00, 30 min 00 s left",
        "",
        "What happened since 2026-11-23 10:00:00 UTC:",
        "10:00:00    suspended: 0.9 of spec.budget.maxCost 1 USD is spent, and what is",
        "            left is what it may cost to save and stop; to go on from the newest",
        "            checkpoint, raise it",
    ]


def test_nothing_is_wrapped_where_there_is_no_terminal() -> None:
    lines = _lines(_value(_status("Suspended", "BudgetExceeded", MESSAGE)))
    assert lines[-1] == f"10:00:00    suspended: {MESSAGE}"
    assert lines[1] == f"Phase     Suspended (budget exceeded): {MESSAGE}"


def test_a_narrow_terminal_still_shows_every_word() -> None:
    value = _value(_status("Suspended", "BudgetExceeded", MESSAGE))
    narrow = " ".join(" ".join(_lines(value, width=10)).split())
    wide = " ".join(" ".join(_lines(value)).split())
    assert narrow == wide
    assert max(len(line) for line in _lines(value, width=10)) <= 44  # the heading is not wrapped


def test_a_resource_that_nobody_looked_at_is_short() -> None:
    assert _lines(_value()) == ["PretrainJob/base", "Phase     Pending"]


def test_a_spec_that_is_not_valid_is_said() -> None:
    value = _value()
    value["spec"] = {}
    assert _lines(value)[2].startswith(
        "Spec      is not valid: spec.datasets: this field is required"
    )


def test_what_pods_wrote_cannot_paint_the_terminal() -> None:
    lines = _lines(_value(_status("Failed", "X", "a\x1b[2Jb\nc\r\x07d")), width=80)
    assert lines[1] == "Phase     Failed (x): a [2Jb c d"
    assert all(line.isprintable() for line in lines)


def test_a_run_that_has_no_digest_yet_and_is_late() -> None:
    progress = {"fraction": 0.2, "stage": "clean"}
    run = {"revision": 1, "startedAt": "2026-11-23T09:00:00Z"}
    status = _status("Failed", "DeadlineExceeded", "it is over", run=run, progress=progress)
    lines = _lines(_value(status, deadline="1h"))
    assert "Run       revision 1" in lines
    assert "Progress  20%, stage clean" in lines
    assert "Deadline  2026-11-23 10:00:00, over" in lines


SPAN = {"low": "1", "expected": "2", "high": "4"}
PLAN = {
    "pool": "a100",
    "nodes": 1,
    "devices": 8,
    "cost": SPAN,
    "currency": "USD",
    "stepSeconds": SPAN,
}


def test_what_its_measured_steps_let_expect() -> None:
    end = {
        "low": "2026-11-23T11:00:00Z",
        "expected": "2026-11-23T12:30:00Z",
        "high": "2026-11-24T01:00:00Z",
    }
    seen = {"after": 40, "stepSeconds": SPAN, "wallClockHours": SPAN, "gpuHours": SPAN, "end": end}
    free = _lines(_value(_status("Running", "Training", "", plan=PLAN | {"projection": seen})))
    line = "Projected ends 11-23 12:30 (11-23 11:00 to 11-24 01:00); a step takes 2 s (1 to 4), by 40 measured steps"
    assert line in free
    paid = PLAN | {"projection": seen | {"cost": SPAN}}
    said = _lines(_value(_status("Running", "Training", "", plan=paid)))
    assert any("; 2.0000 USD (1.0000 USD to 4.0000 USD); a step" in one for one in said)


def test_what_it_took_beside_its_plan() -> None:
    took = {
        "cost": "5",
        "wallClockHours": "1.5",
        "stepSeconds": "5",
        "outside": ["cost", "stepSeconds"],
    }
    said = _lines(_value(_status("Succeeded", "Completed", "", plan=PLAN | {"actual": took})))
    assert (
        "Took      5.0000 USD, planned 1 to 4, expected 2; 1 h 30 min; 5 s a step; not as planned: cost, stepSeconds"
        in said
    )
    well = {"actual": {"outside": []}}
    assert "Took      as planned" in _lines(
        _value(_status("Succeeded", "Completed", "", plan=PLAN | well))
    )


def test_what_is_planned_and_what_is_not_known_of_it() -> None:
    cost = {"low": "1", "expected": "2", "high": "4"}
    hours = {"low": "0.5", "expected": "1", "high": "2"}
    plan = {"pool": "a100", "nodes": 1, "devices": 8, "cost": cost, "currency": "EUR"}
    known = _value(_status("Pending", "Resolving", "", plan=plan | {"wallClockHours": hours}))
    assert (
        "Plan      1 to 4, expected 2 EUR; 0.5 to 2, expected 1 hours; 8 devices of pool a100"
        in _lines(known)
    )
    unknown = {"pool": "cpu", "nodes": 1, "devices": 1, "notes": ["how much is not known"]}
    said = _lines(_value(_status("Pending", "Resolving", "", plan=unknown)))
    assert "Plan      1 device of pool cpu; how much is not known" in said
