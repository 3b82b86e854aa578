"""The dashboard: every query is one that Prometheus can answer from what the operator says."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from cupola_operator.cluster import Key
from cupola_operator.measure.process import Measures
from cupola_operator.measure.table import BY_NAME

from .conftest import ROOT, Object, needed, only, run
from .written import resources

FILE = ROOT / "manifests/dashboards/cupola.json"
BOARD: Object = json.loads(FILE.read_text())
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
QUERIES = [
    (f"{panel['title']} {target['refId']}", target["expr"])
    for panel in PANELS
    for target in panel["targets"]
]
OF_TARGETS = {"instance", "le"}
"""Labels that are not the operator's."""


def plain(query: str) -> str:
    """A query as Grafana sends it, with everything chosen."""
    chosen = re.sub(r"\$(namespace|kind|name)\b", ".*", query)
    return chosen.replace("$__rate_interval", "5m")


def named(query: str) -> Iterator[tuple[str, set[str]]]:
    """Metrics of Cupola in a query, each with the labels that it is selected by."""
    for name, labels in re.findall(r"\b(cupola_\w+)(?:\{(.*?)\})?", query):
        yield re.sub(r"_bucket$", "", name), set(re.findall(r'(\w+)=~?"', labels))


def test_the_file_is_up_to_date() -> None:
    done = run(sys.executable, ROOT / "scripts" / "dashboard.py", "--check")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(("title", "query"), QUERIES)
def test_queries_name_metrics_and_labels_that_there_are(title: str, query: str) -> None:
    found = list(named(query))
    assert found
    for name, labels in found:
        assert name in BY_NAME, name
        assert labels <= {*BY_NAME[name].labels}, name
    for labels in re.findall(r"\b(?:by|on) \((.*?)\)", query):
        known = {label for name, _ in found for label in BY_NAME[name].labels} | OF_TARGETS
        assert set(labels.split(", ")) <= known


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_legends_speak_of_labels_that_the_query_leaves(panel: Object) -> None:
    for target in panel["targets"]:
        wanted = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        left = re.findall(r"\bby \((.*?)\)", target["expr"])
        kept = (
            set(left[0].split(", "))
            if left
            else {label for name, _ in named(target["expr"]) for label in BY_NAME[name].labels}
        )
        assert wanted <= kept | OF_TARGETS


def test_panels_have_words_and_do_not_overlap() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        area = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & area, panel["title"]
        cells |= area
        assert panel["type"] == "row" or panel["description"].endswith(".")
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])


def test_its_rows_are_documented() -> None:
    page = (ROOT / "docs/how-to/dashboards.md").read_text()
    rows = [panel["title"] for panel in BOARD["panels"] if panel["type"] == "row"]
    assert rows == re.findall(r"^\| ([A-Z]\w+) \| [A-Z]", page, re.MULTILINE)


def test_the_sidecar_of_grafana_finds_it(kustomize: Callable[[Path], list[Object]]) -> None:
    value = only(kustomize(FILE.parent), "ConfigMap")
    assert value["metadata"]["labels"] == {"grafana_dashboard": "1"}
    assert json.loads(value["data"]["cupola.json"]) == BOARD


def busy() -> Object:
    """A training in the middle, as no simulation has one: with a loss, a speed, an end, and waste."""
    value = next(v for v in resources() if v["kind"] == "PretrainJob" and v["status"].get("cost"))
    progress = {
        "fraction": 0.5,
        "eta": "2026-11-24T08:00:00Z",
        "loss": 2.5,
        "tokensPerSecond": 5e4,
        "checkpointTime": "2026-11-23T08:00:00Z",
    }
    cost = value["status"]["cost"] | {"accrued": "9", "wasted": "1"}
    status = value["status"] | {"phase": "Running", "progress": progress, "cost": cost}
    return value | {"metadata": value["metadata"] | {"name": "busy"}, "status": status}


def spoken() -> list[dict[str, str]]:
    """What the operator says of such resources and of itself, as series of promtool."""
    measures = Measures(
        lambda: [*resources(), busy()],
        {
            "cupola_leader": lambda: 1.0,
            "cupola_ready": lambda: 1.0,
            "cupola_queue_depth": lambda: 0.0,
            "cupola_watch_age_seconds": lambda: {"pods": 1.0},
        },
    )
    measures.request("get", "pods", "200", 0.01)
    with pytest.raises(ZeroDivisionError):
        measures.timed(lambda _: 1 / 0)(Key("Dataset", "default", "data"))
    found = {
        _series(sample): f"{sample.value}+0x20"
        for family in text_string_to_metric_families(measures.page())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }
    return [{"series": series, "values": values} for series, values in found.items()]


def _series(sample: Any) -> str:
    labels = {"instance": "10.0.0.1:8080", **sample.labels}
    return sample.name + "{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}"


def test_every_query_is_answered_from_what_the_operator_says(tmp_path: Path) -> None:
    asked = [
        {
            "expr": f"count({plain(query)}) > bool 0",
            "eval_time": "18m",
            "exp_samples": [{"labels": "{}", "value": 1}],
        }
        for _, query in QUERIES
    ]
    test = {"interval": "1m", "input_series": spoken(), "promql_expr_test": asked}
    file = tmp_path / "test.yaml"
    file.write_text(yaml.safe_dump({"evaluation_interval": "1m", "tests": [test]}))
    done = run(needed("promtool"), "test", "rules", file)
    assert done.returncode == 0, done.stdout + done.stderr
