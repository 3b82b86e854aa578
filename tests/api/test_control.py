from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from cupola_api import kinds
from cupola_api.common import FailureClass
from cupola_api.control import Budget, Control, Recovery

SPECS: dict[str, dict[str, Any]] = {
    "Dataset": {"sources": [{"name": "a", "uri": "store:///a", "format": "Text"}]},
    "PretrainJob": {"datasets": [{"name": "a"}], "model": {"size": "1M"}},
    "FineTune": {"base": {"pretrainJob": "a"}, "dataset": "a"},
    "Evaluation": {
        "model": {"pretrainJob": "a"},
        "tasks": [{"name": "a", "perplexity": {"dataset": "a"}}],
    },
}


def resource(kind: str, **spec: Any) -> Any:
    value = {"apiVersion": "cupola.dev/v1alpha1", "kind": kind, "metadata": {"name": "x"}}
    return kinds.parse({**value, "spec": {**SPECS[kind], **spec}})


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize(
    "change",
    [
        {"suspend": True},
        {"deadline": "1h"},
        {"budget": {"maxCost": "5"}},
        {"recovery": {"unknown": 9}},
        {"queue": "team"},
        {"podTemplate": {"labels": {"team": "nlp"}}},
    ],
)
def test_control_changes_without_a_new_revision(kind: str, change: dict[str, Any]) -> None:
    before, after = resource(kind), resource(kind, **change)
    assert before.spec != after.spec
    assert kinds.update_error(before, after) is None
    assert kinds.update_error(before, resource(kind, seed=7, **change))


TRAININGS = ["PretrainJob", "FineTune"]


@pytest.mark.parametrize("kind", TRAININGS)
@pytest.mark.parametrize("timeout", ["10s", "90s", "1m", "1h0m", "7d", "0h30s"])
def test_when_a_training_hangs_is_said_at_any_time(kind: str, timeout: str) -> None:
    before = resource(kind)
    after = resource(kind, stability={"hangTimeout": timeout})
    assert before.spec.stability.hang_timeout == "10m"
    assert kinds.update_error(before, after) is None


@pytest.mark.parametrize("kind", TRAININGS)
@pytest.mark.parametrize("timeout", ["0s", "9s", "05s", "0d0h0m5s"])
def test_a_training_is_given_ten_seconds(kind: str, timeout: str) -> None:
    with pytest.raises(ValidationError, match="hangTimeout must be at least 10 seconds"):
        resource(kind, stability={"hangTimeout": timeout})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"budget": {"maxCost": "0"}}, "must be more than 0"),
        ({"budget": {"maxCost": "0.00"}}, "must be more than 0"),
        ({"deadline": "0h"}, "must be longer than 0"),
        ({"deadline": "0h0m0s"}, "must be longer than 0"),
    ],
)
@pytest.mark.parametrize("kind", SPECS)
def test_nothing_of_money_or_time_is_refused(kind: str, change: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        resource(kind, **change)


def test_the_smallest_amounts_are_taken() -> None:
    assert Budget(max_cost="0.000001").max_cost == "0.000001"
    assert Control(deadline="0h1s").deadline == "0h1s"


def test_the_user_is_never_tried_again() -> None:
    generous = Recovery(infrastructure=11, out_of_memory=12, unknown=13, data=14)
    found = {one: generous.retries(one) for one in FailureClass}
    assert found == {
        FailureClass.USER: 0,
        FailureClass.DATA: 14,
        FailureClass.OUT_OF_MEMORY: 12,
        FailureClass.INFRASTRUCTURE: 11,
        FailureClass.UNKNOWN: 13,
    }


@pytest.mark.parametrize("change", [{"tokens": "0"}, {"batch": "0.0K"}, {"model": {"size": "0M"}}])
def test_nothing_to_train_on_or_with_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="must be more than 0"):
        resource("PretrainJob", **change)
