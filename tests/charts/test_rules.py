"""The alerts, run by Prometheus' own test tool: each fires when it should, and not a minute before."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from cupola_operator.measure.table import BY_NAME

from .conftest import ROOT, Object, needed, run
from .test_dashboard import named

SPEC: Object = yaml.safe_load((ROOT / "manifests/rules/rules.yaml").read_text())["spec"]
RULES: dict[str, Object] = {
    rule["alert"]: rule for group in SPEC["groups"] for rule in group["rules"]
}
RUN = 'kind="PretrainJob",namespace="a",name="llm"'


class Case(NamedTuple):
    """Series, the minute at which the alert does not fire yet, and the one at which it does."""

    series: dict[str, str]
    quiet: int
    fires: int
    labels: dict[str, str]
    says: str


OF_RUN = {"kind": "PretrainJob", "namespace": "a", "name": "llm"}


def phase(name: str) -> str:
    return f'cupola_resource_phase{{{RUN},phase="{name}"}}'


CASES = {
    "CupolaRunFailed": Case(
        {phase("Failed"): "0 0 1x20"},
        1,
        3,
        OF_RUN | {"phase": "Failed"},
        "PretrainJob a/llm has Failed",
    ),
    "CupolaRunStalled": Case(
        {phase("Stalled"): "1x20"},
        4,
        6,
        OF_RUN | {"phase": "Stalled"},
        "PretrainJob a/llm is Stalled",
    ),
    "CupolaRunPending": Case(
        {phase("Pending"): "1x100"},
        59,
        61,
        OF_RUN | {"phase": "Pending"},
        "PretrainJob a/llm has waited an hour for its pods to run",
    ),
    "CupolaRunNoProgress": Case(
        # it moves for half an hour, then no more
        {phase("Running"): "1x120", f"cupola_run_progress_ratio{{{RUN}}}": "0+0.01x30 0.3x90"},
        70,
        80,
        OF_RUN | {"phase": "Running"},
        "PretrainJob a/llm runs without progress",
    ),
    "CupolaCheckpointOld": Case(
        {f"cupola_run_checkpoint_age_seconds{{{RUN}}}": "0+60x300"},
        239,
        242,
        OF_RUN,
        "The newest checkpoint of PretrainJob a/llm is 4h 2m 0s old",
    ),
    "CupolaRunFailsOften": Case(
        {
            f'cupola_run_failures_total{{{RUN},failure="Infrastructure"}}': "0x30 2x60",
            f'cupola_run_failures_total{{{RUN},failure="Unknown"}}': "0x60 2x30",
        },
        40,
        62,
        OF_RUN,
        "PretrainJob a/llm has failed 4 times in an hour",
    ),
    "CupolaBudgetHolds": Case(
        {
            f'cupola_resource_info{{{RUN},revision="1",reason="BudgetExceeded"}}': "1x20",
            phase("Suspended"): "0 0 0 0 0 1x20",
        },
        4,
        6,
        OF_RUN | {"revision": "1", "reason": "BudgetExceeded"},
        "PretrainJob a/llm has used up its budget",
    ),
    "CupolaNamespaceBudgetNearlySpent": Case(
        {
            'cupola_namespace_cost_spent{namespace="a",currency="USD"}': "90x5 91x10",
            'cupola_namespace_cost_limit{namespace="a",currency="USD"}': "100x20",
        },
        5,
        6,
        {"namespace": "a", "currency": "USD"},
        "Namespace a has spent 91.00 USD, more than 90% of its budget",
    ),
    "CupolaWasteHigh": Case(
        {
            f'cupola_run_cost_wasted{{{RUN},currency="USD"}}': "50x10 500x10",
            f'cupola_run_cost_accrued{{{RUN},currency="USD"}}': "100x10 1000x10",
        },
        5,
        12,
        OF_RUN | {"currency": "USD"},
        "50% of the cost of PretrainJob a/llm bought nothing",
    ),
    "CupolaOperatorDown": Case(
        {
            'cupola_leader{instance="1"}': "1x10 0x30",
            'cupola_leader{instance="2"}': "0x10 1x10 _x30",
        },
        24,
        32,
        {},
        "No replica of Cupola's operator acts",
    ),
    "CupolaOperatorNotReady": Case(
        {'cupola_ready{instance="1"}': "0x20", 'cupola_ready{instance="2"}': "1x20"},
        9,
        11,
        {"instance": "1"},
        "1 of Cupola's operator is not ready",
    ),
    "CupolaReconcileErrors": Case(
        {'cupola_reconcile_errors_total{kind="Dataset"}': "0+60x60"},
        14,
        20,
        {"kind": "Dataset"},
        "Looks at Dataset end in errors",
    ),
    "CupolaWatchStale": Case(
        {'cupola_watch_age_seconds{resource="pods"}': "0+60x60"},
        14,
        20,
        {"resource": "pods"},
        "The watch of pods has been silent for 20m 0s",
    ),
}


@pytest.mark.parametrize("alert", RULES)
def test_an_alert_names_metrics_that_there_are_and_says_what_to_do(alert: str) -> None:
    rule = RULES[alert]
    for name, labels in named(rule["expr"]):
        assert name in BY_NAME
        assert labels <= {*BY_NAME[name].labels}
    assert rule["labels"]["severity"] in {"info", "warning", "critical"}
    assert rule["annotations"]["description"].strip().endswith(".")


def test_every_alert_has_a_case_and_is_documented() -> None:
    assert CASES.keys() == RULES.keys()
    page = (ROOT / "docs/how-to/dashboards.md").read_text()
    assert set(re.findall(r"\bCupola[A-Z]\w+", page)) == RULES.keys()


def test_prometheus_takes_the_rules(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump(SPEC))
    done = run(needed("promtool"), "check", "rules", "--lint-fatal", file)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", CASES)
def test_an_alert_fires_when_it_should(tmp_path: Path, alert: str) -> None:
    case, rule = CASES[alert], RULES[alert]
    (tmp_path / "rules.yaml").write_text(
        yaml.safe_dump({"groups": [{"name": "one", "rules": [_summary_only(rule)]}]})
    )
    firing = {
        "exp_labels": {**case.labels, **rule["labels"]},
        "exp_annotations": {"summary": case.says},
    }
    test = {
        "interval": "1m",
        "input_series": [{"series": k, "values": v} for k, v in case.series.items()],
        "alert_rule_test": [
            {"eval_time": f"{case.quiet}m", "alertname": alert, "exp_alerts": []},
            {"eval_time": f"{case.fires}m", "alertname": alert, "exp_alerts": [firing]},
        ],
    }
    document = {"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]}
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump(document))
    done = run(needed("promtool"), "test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr


def _summary_only(rule: Object) -> Object:
    """The rule without its description, which depends on nothing but labels."""
    return rule | {"annotations": {"summary": rule["annotations"]["summary"]}}
