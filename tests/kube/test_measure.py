from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cupola_api import metrics
from cupola_api.common import Attempt, Phase
from cupola_operator.cluster import Key, Unavailable
from cupola_operator.cost.book import entered
from cupola_operator.cost.entries import Entry
from cupola_operator.measure import reference, table
from cupola_operator.measure.namespaces import Namespaces
from cupola_operator.measure.process import Measures
from cupola_operator.measure.resources import samples
from cupola_operator.measure.table import BY_NAME, NAMESPACES, OPERATOR, RESOURCES, TRAINERS
from cupola_operator.resources import STATUS, parse_status
from cupola_operator.settings import Settings

from .operating import SETTINGS

NOW = 1_800_000_000.0
DAY = datetime(2026, 1, 10, tzinfo=UTC)
COST = {
    "currency": "EUR",
    "accrued": "12.345678",
    "projected": "100.1",
    "wasted": "0.3",
    "gpuHours": "4",
    "energyKwh": "1.5",
}
SPAN = {"low": "1", "expected": "2", "high": "4"}
TIMES = {"gpuHours": SPAN, "wallClockHours": SPAN, "stepSeconds": SPAN, "cost": SPAN}
PLAN = {
    "pool": "a100",
    "nodes": 1,
    "devices": 2,
    "currency": "EUR",
    **TIMES,
    "energyKwh": SPAN,
    "mfu": SPAN,
    "loss": SPAN,
    "projection": {
        "after": 20,
        **TIMES,
        "end": dict.fromkeys(SPAN, "2027-01-15T08:00:10Z"),
    },
    "actual": {
        "wallClockHours": "3",
        "stepSeconds": "5",
        "mfu": "0.25",
        "loss": "2.5",
        "outside": ["stepSeconds"],
    },
}


def attempt(number: int, **fields: Any) -> dict[str, Any]:
    return {"number": number, "name": f"a{number}", "gpuSeconds": "0", **fields}


def value(kind: str = "PretrainJob", name: str = "base", **status: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": "ns"}, "status": status}


def said(kind: str = "PretrainJob", **status: Any) -> dict[tuple[str, ...], float]:
    """(name, further label values) -> value."""
    found = samples(parse_status(kind, status), NOW)
    return {(name, *labels.values()): number for name, labels, number in found}


def page(objects: list[dict[str, Any]]) -> dict[tuple[str, str], float]:
    """(name, name of the resource) -> value, of the samples without labels of their own."""
    families = text_string_to_metric_families(Measures(lambda: objects, {}).page())
    return {
        (sample.name, sample.labels["name"]): sample.value
        for family in families
        for sample in family.samples
        if set(sample.labels) == {"kind", "namespace", "name"}
    }


def test_a_resource_is_in_one_phase() -> None:
    found = said(phase="Running")
    phases = {labels[0]: number for (name, *labels), number in found.items() if "phase" in name}
    assert phases == {phase.value: float(phase is Phase.RUNNING) for phase in Phase}


def test_conditions_that_are_reported_are_0_or_1() -> None:
    one = {"reason": "Training", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    found = said(
        conditions=[
            {**one, "type": "Ready", "status": "False"},
            {**one, "type": "Reconciling", "status": "True"},
            {**one, "type": "Stalled", "status": "Unknown"},
        ],
        run={"revision": 3},
    )
    assert found["cupola_resource_condition", "Ready"] == 0
    assert found["cupola_resource_condition", "Reconciling"] == 1
    assert found["cupola_resource_condition", "Stalled"] == 0
    assert ("cupola_resource_condition", "Failed") not in found
    assert found["cupola_resource_info", "3", "Training"] == 1


def test_money_is_that_of_the_status() -> None:
    found = said(cost=COST)
    assert found["cupola_run_cost_accrued", "EUR"] == 12.345678
    assert found["cupola_run_cost_projected", "EUR"] == 100.1
    assert found["cupola_run_cost_wasted", "EUR"] == 0.3
    assert found["cupola_run_energy_joules_total",] == 5_400_000


def test_money_and_device_time_are_said_by_cause() -> None:
    attempts = [
        attempt(1, gpuSeconds="5", causes={"lostWork": "4", "idle": "1"}),
        attempt(2, gpuSeconds="9.5", causes={"productive": "7", "startUp": "1.5", "idle": "1"}),
    ]
    split = {"productive": "12", "checkpoint": "0.345678"}
    cost = {**COST, "causes": split, "queueSeconds": "61"}
    found = said(run={"revision": 1}, cost=cost, attempts=attempts)
    assert found["cupola_run_cost_by_cause", "EUR", "checkpoint"] == 0.345678
    money = [number for (name, *_), number in found.items() if name == "cupola_run_cost_by_cause"]
    assert (len(money), sum(money)) == (6, found["cupola_run_cost_accrued", "EUR"])
    assert found["cupola_run_gpu_seconds_by_cause", "idle"] == 2
    time = [n for (name, *_), n in found.items() if name == "cupola_run_gpu_seconds_by_cause"]
    assert (len(time), sum(time)) == (6, found["cupola_run_gpu_seconds_total",])
    assert found["cupola_run_queue_seconds_total",] == 61


def test_a_run_without_a_price_has_no_series_of_money() -> None:
    found = said(run={"revision": 1}, cost={"gpuHours": "4", "energyKwh": "1.5"})
    assert found["cupola_run_energy_joules_total",] == 5_400_000
    assert not {name for name, *_ in found if "_cost_" in name}


def test_the_plan_is_said_with_its_range_then_what_is_projected_and_what_it_took() -> None:
    found = said(cost=COST, plan=PLAN)
    assert found["cupola_run_planned_cost", "EUR", "low"] == 1
    assert found["cupola_run_planned_gpu_seconds", "expected"] == 7200
    assert found["cupola_run_planned_energy_joules", "high"] == 4 * 3_600_000
    assert found["cupola_run_projected_cost", "EUR", "high"] == 4
    assert found["cupola_run_projected_duration_seconds", "low"] == 3600
    assert found["cupola_run_projected_end_timestamp_seconds", "expected"] == NOW + 10
    assert found["cupola_run_actual_duration_seconds",] == 3 * 3600
    assert found["cupola_run_actual_mfu_ratio",] == 0.25
    assert found["cupola_run_outside_plan", "stepSeconds"] == 1
    assert found["cupola_run_outside_plan", "cost"] == 0


def test_a_plan_without_a_price_has_no_series_of_money() -> None:
    free = {name: value for name, value in PLAN.items() if name not in ("cost", "currency")}
    projected = {name: value for name, value in TIMES.items() if name != "cost"}
    end = dict.fromkeys(SPAN, "2027-01-15T08:00:10Z")
    free |= {"projection": {"after": 20, **projected, "end": end}, "actual": {"outside": []}}
    names = {name for name, *_ in said(plan=free)}
    assert "cupola_run_projected_gpu_seconds" in names
    assert not {name for name in names if name.endswith("_cost")}
    assert not {name for name in names if "actual" in name}


def test_progress_is_what_rank_0_said() -> None:
    progress = {
        "fraction": 0.25,
        "step": 5,
        "steps": 20,
        "loss": 3.5,
        "tokens": 1000,
        "tokensPerSecond": 10.5,
        "eta": "2027-01-15T08:00:10Z",
        "checkpointTime": "2027-01-15T07:59:00Z",
    }
    found = said(phase="Running", progress=progress)
    assert found["cupola_run_progress_ratio",] == 0.25
    assert (found["cupola_run_step",], found["cupola_run_steps",]) == (5, 20)
    assert found["cupola_run_loss_nats",] == 3.5
    assert found["cupola_run_tokens",] == 1000
    assert found["cupola_run_tokens_per_second",] == 10.5
    assert found["cupola_run_eta_timestamp_seconds",] == NOW + 10
    assert found["cupola_run_checkpoint_timestamp_seconds",] == NOW - 60
    assert found["cupola_run_checkpoint_age_seconds",] == 60
    ended = said(phase="Succeeded", progress=progress)
    assert ("cupola_run_checkpoint_age_seconds",) not in ended


def test_what_is_not_known_is_not_said() -> None:
    names = {name for name, *_ in said(progress={"fraction": 0})}
    assert "cupola_run_progress_ratio" in names
    assert not {name for name in names if "loss" in name or "cost" in name or "eta" in name}


def test_attempts_and_failures_are_counted() -> None:
    found = said(
        run={"revision": 1, "startedAt": "2027-01-15T08:00:00Z"},
        attempts=[
            attempt(7, stage="clean", failure="Infrastructure", gpuSeconds="1.5"),  # seven in one
            attempt(8, stage="clean", failure="Infrastructure", gpuSeconds="2.25"),
            attempt(1, stage="dedup", failure="OutOfMemory"),
        ],
    )
    assert found["cupola_run_attempts_total",] == 9
    failures = {key[1]: number for key, number in found.items() if "failures" in key[0]}
    assert failures == {
        "User": 0, "Data": 0, "OutOfMemory": 1, "Infrastructure": 2, "Unknown": 0,
    }  # fmt: skip
    assert found["cupola_run_gpu_seconds_total",] == 3.75
    assert found["cupola_run_start_timestamp_seconds",] == NOW


def test_a_series_goes_with_its_object() -> None:
    run = {"revision": 1}
    objects = [value(run=run, attempts=[attempt(2)]), value(name="other", run=run)]
    measures = Measures(lambda: objects, {})
    assert 'name="other"' in measures.page()
    objects.pop()
    assert 'name="other"' not in measures.page()
    assert page(objects)["cupola_run_attempts_total", "base"] == 2


def test_a_status_that_cannot_be_read_takes_no_other_series_away() -> None:
    objects = [value(phase="Dancing"), value(name="other", run={"revision": 1})]
    assert page(objects)["cupola_run_attempts_total", "other"] == 0


def test_a_look_is_timed_and_its_error_counted() -> None:
    measures = Measures(list, {})

    def reconcile(key: Key) -> float | None:
        if key.name == "bad":
            raise RuntimeError("no")
        return 5.0

    timed = measures.timed(reconcile)
    assert timed(Key("Dataset", "ns", "good")) == 5.0
    with pytest.raises(RuntimeError):
        timed(Key("Dataset", "ns", "bad"))
    text = measures.page()
    assert 'cupola_reconcile_duration_seconds_count{kind="Dataset"} 2.0' in text
    assert 'cupola_reconcile_errors_total{kind="Dataset"} 1.0' in text
    assert 'cupola_reconcile_errors_total{kind="FineTune"} 0.0' in text


def test_gauges_are_asked_for_when_they_are_scraped() -> None:
    depth = [3.0]
    measures = Measures(
        list,
        {
            "cupola_queue_depth": lambda: depth[0],
            "cupola_watch_age_seconds": lambda: {"pods": 1.5, "jobs": 2.5},
        },
    )
    depth[0] = 4.0
    text = measures.page()
    assert "cupola_queue_depth 4.0" in text
    assert 'cupola_watch_age_seconds{resource="jobs"} 2.5' in text
    assert re.search(r'cupola_build_info\{version="[0-9.]+"\} 1\.0', text)


def test_the_page_has_the_names_types_and_labels_of_the_table() -> None:
    every: Any = {name: lambda: 1.0 for name in ("cupola_leader", "cupola_ready")}
    every["cupola_queue_depth"] = lambda: 1.0
    every["cupola_watch_age_seconds"] = lambda: {"pods": 1.0}
    full = value(
        phase="Running",
        conditions=[
            {
                "type": "Ready",
                "status": "True",
                "reason": "X",
                "lastTransitionTime": "2026-01-01T00:00:00Z",
            }
        ],
        run={"revision": 1, "startedAt": "2026-01-01T00:00:00Z"},
        progress={
            "fraction": 0.5,
            "step": 1,
            "steps": 2,
            "loss": 1.0,
            "tokens": 1,
            "tokensPerSecond": 1.0,
            "eta": "2026-01-01T00:00:00Z",
            "checkpointTime": "2026-01-01T00:00:00Z",
        },
        cost=COST,
        plan=PLAN,
    )
    full["metadata"]["uid"] = "u"
    measures = Measures(lambda: [full], every, limited(full))
    measures.request("get", "pods", "200", 0.1)
    measures.timed(lambda _: None)(Key("Dataset", "ns", "x"))
    with pytest.raises(ZeroDivisionError):
        measures.timed(lambda _: 1 / 0)(Key("Dataset", "ns", "x"))
    found = {}
    for family in text_string_to_metric_families(measures.page()):
        if family.name.startswith("cupola_"):
            name = family.name + ("_total" if family.type == "counter" else "")
            labels = set().union(*(sample.labels for sample in family.samples)) - {"le"}
            found[name] = (family.type, family.documentation, labels)
    assert found == {
        metric.name: (metric.type, metric.help, set(metric.labels))
        for metric in (*RESOURCES, *NAMESPACES, *OPERATOR)
    }


def limited(*objects: Any, ledgers: Any = lambda _: [], clock: Any = None) -> Namespaces:
    """Namespaces with a budget of 100 EUR for `ns`."""
    rule = {"name": "ns", "budget": {"maxCost": "100"}}
    settings = Settings.model_validate({**SETTINGS, "namespaces": [rule]})
    return Namespaces(settings, lambda: objects, ledgers, clock or (lambda: DAY))


def spending(collector: Namespaces) -> dict[str, float]:
    """Value by name and namespace."""
    return {
        f"{sample.name} {sample.labels['namespace']}": sample.value
        for family in collector.collect()
        for sample in family.samples
    }


def spent(name: str, namespace: str = "ns") -> dict[str, Any]:
    times = {"startedAt": "2026-01-02T00:00:00Z", "endedAt": "2026-01-02T01:00:00Z"}
    one = value(name=name, cost=COST, attempts=[attempt(1, cost="5", outcome="Failed", **times)])
    one["metadata"] |= {"uid": name, "namespace": namespace}
    return one


def test_what_a_namespace_spent_is_told_where_it_has_a_budget() -> None:
    gone = Entry(kind="Dataset", name="x", uid="u", revision=1, currency="EUR", cost="7")
    ledger = entered(None, "ns", "2026-01", gone)
    found = limited(spent("a"), spent("b"), spent("c", "free"), ledgers=lambda _: [ledger])
    assert spending(found) == {
        "cupola_namespace_cost_spent ns": 17,
        "cupola_namespace_cost_limit ns": 100,
    }
    assert spending(limited()) == {}


def test_ledgers_are_read_once_a_minute() -> None:
    reads: list[str] = []
    now = [DAY]

    def ledgers(namespace: str) -> list[Any]:
        reads.append(namespace)
        return []

    found = limited(spent("a"), ledgers=ledgers, clock=lambda: now[0])
    for seconds in (0, 59, 60):
        now[0] = DAY + timedelta(seconds=seconds)
        assert spending(found)
    assert reads == ["ns", "ns"]


def test_a_namespace_whose_ledgers_cannot_be_read_has_no_series() -> None:
    def ledgers(_: str) -> list[Any]:
        raise Unavailable("no answer")

    assert spending(limited(spent("a"), ledgers=ledgers)) == {}


def test_names_follow_the_conventions() -> None:
    for metric in (*RESOURCES, *NAMESPACES, *OPERATOR, *TRAINERS):
        assert re.fullmatch(r"cupola(_[a-z0-9]+)+", metric.name)
        assert metric.help.endswith(".")
        assert metric.unit
        assert (metric.type == "counter") == metric.name.endswith("_total")
        assert set(metric.labels) <= {
            *table.OBJECT, "revision", "reason", "phase", "type", "failure", "currency",
            "cause", "bound", "figure", "version", "verb", "resource", "code",
        }  # fmt: skip
    assert len(BY_NAME) == len(RESOURCES) + len(NAMESPACES) + len(OPERATOR)
    assert {metric.name for metric in TRAINERS} == set(metrics.HELP)


def test_every_kind_of_status_is_measured() -> None:
    for kind in STATUS:
        assert said(kind, run={"revision": 1})["cupola_run_attempts_total",] == 0
    assert Attempt.model_validate(attempt(1)).number == 1


def test_the_reference_is_current(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`make crds-check` says the same; this shows that it can say no."""
    path = tmp_path / "docs" / "metrics.md"
    assert reference.main([str(path)]) == 0
    assert reference.main([str(path), "--check"]) == 0
    path.write_text(path.read_text().replace("cupola_leader", "cupola_follower"))
    assert reference.main([str(path), "--check"]) == 1
    assert "run `make crds`" in capsys.readouterr().err
