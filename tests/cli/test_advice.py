from __future__ import annotations

from typing import Any

import pytest

from cupola_operator.cli.advice import advice, after
from cupola_operator.cluster import Key, Object


def _value(phase: str, reason: str = "R", *, spec: Any = None, **status: Any) -> Object:
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": reason,
        "lastTransitionTime": "2026-11-23T09:00:00Z",
    }
    return {
        "kind": "FineTune",
        "metadata": {"name": "x", "namespace": "default"},
        "spec": spec or {},
        "status": {"phase": phase, "conditions": [ready], **status},
    }


def _attempt(failure: str) -> dict[str, Any]:
    return {"number": 1, "name": "a", "outcome": "Failed", "failure": failure}


@pytest.mark.parametrize("phase", ["Pending", "Waiting", "Running", "Recovering", "Succeeded"])
def test_what_goes_on_by_itself_needs_nobody(phase: str) -> None:
    assert advice(_value(phase)) == ""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            _value("Suspended", "Suspended", spec={"suspend": True}),
            "To go on with FineTune/x: cupola resume FineTune/x.",
        ),
        (
            _value("Suspended", "NamespaceBudgetExceeded"),
            (
                "To go on with FineTune/x: wait for the next month, or raise the budget of its "
                "namespace in the settings."
            ),
        ),
        (
            _value("Failed", "NamespaceBudgetExceeded"),
            (
                "To try FineTune/x again: raise the budget of its namespace in the settings, then "
                "cupola retry FineTune/x."
            ),
        ),
        (
            _value("Suspended", "BudgetExceeded", spec={"budget": {"maxCost": "2"}}),
            "To go on with FineTune/x: raise its spec.budget.maxCost, and run or apply its file.",
        ),
        (
            _value("Failed", "BudgetExceeded"),
            (
                "To try FineTune/x again: raise its spec.budget.maxCost, and run or apply its file, then "
                "cupola retry FineTune/x."
            ),
        ),
        (
            _value("Failed", "DeadlineExceeded"),
            (
                "To try FineTune/x again: cupola retry FineTune/x, and its deadline counts anew; raise "
                "spec.deadline if that is too short."
            ),
        ),
        (
            _value("Failed", "AttemptsExhausted", attempts=[_attempt("Unknown")]),
            (
                "To try FineTune/x again: cupola retry FineTune/x; or, to change its spec, raise its "
                "spec.revision."
            ),
        ),
        (
            _value("Failed", "BadField", attempts=[_attempt("User")]),
            (
                "To try FineTune/x again: correct what its message names; if that changes its spec, raise "
                "its spec.revision; if not, cupola retry FineTune/x."
            ),
        ),
        (
            _value("Failed", "ThresholdMissed"),
            (
                "To try FineTune/x again: change its thresholds; or, when the models have changed, raise "
                "its spec.revision."
            ),
        ),
        (_value("Stalled"), "FineTune/x goes on when what its message names is corrected."),
    ],
)
def test_what_a_person_can_do(value: Object, said: str) -> None:
    assert advice(value) == said


def test_after_a_run_what_was_deleted_is_said_too() -> None:
    given = [Key("FineTune", "default", "x"), Key("Dataset", "default", "gone")]
    assert after([_value("Succeeded")], given) == [
        "Dataset/gone was deleted; to make it again, run its file."
    ]
    assert len(after([_value("Failed")], given)) == 2
