from __future__ import annotations

import json
from typing import Any

from cupola_operator.plan.answers import curating, document, pretraining

from . import planning

RANGE = {"low", "expected", "high"}


def plan(**spec: Any) -> Any:
    known = planning.known(planning.finished(planning.dataset(), 10**9))
    return pretraining.plan(planning.pretraining(**spec), planning.settings(), known)


def test_a_plan_has_its_figures_as_ranges() -> None:
    value = json.loads(json.dumps(document.of(plan())))
    for field in ("gpuHours", "wallClockHours", "energyKwh", "co2Kg", "mfu", "stepSeconds"):
        assert set(value[field]) == RANGE
        assert value[field]["low"] <= value[field]["expected"] <= value[field]["high"]
    assert set(value["cost"]) == RANGE | {"currency"}
    assert value["parameters"] == sum(value["parametersByPart"].values())
    assert value["flops"] > value["flopsRuleOfThumb"] * 0.9
    parts = dict(value["memoryPerGpu"])
    assert parts.pop("total") == sum(parts.values())
    assert value["parallelism"]["data"] == value["gpus"] == 8


def test_what_is_not_known_is_null_and_never_zero() -> None:
    value = document.of(curating.plan(planning.dataset(), planning.settings(), planning.known()))
    for field in ("gpuHours", "wallClockHours", "energyKwh", "cost"):
        assert value[field] is None
    unfit = document.of(plan(model={"size": "70B", "context": 4096}))
    assert unfit["fits"] is False
    assert unfit["cost"] is None
    assert unfit["memoryPerGpu"]["total"] > unfit["gpuMemory"]


def test_several_plans_are_added_up() -> None:
    one = plan()
    value = document.together(
        [one, one, curating.plan(planning.dataset(), planning.settings(), planning.known())]
    )
    assert len(value["items"]) == 3
    assert value["total"]["of"] == 2
    once, twice = (one["cost"]["expected"] for one in (value["items"][0], value["total"]))
    assert abs(twice - 2 * once) <= 0.011
    assert "total" not in document.together([])
