"""The Grafana dashboard, generated: `python scripts/dashboard.py [--check]`.

Each panel below is a title, a sentence for the reader, and its queries; rows of panels are laid out from left
to right on Grafana's grid of 24 columns.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cupola_api import generated

FILE = Path(__file__).parents[1] / "manifests" / "dashboards" / "cupola.json"
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
OF = 'namespace=~"$namespace", kind=~"$kind", name=~"$name"'
"""What is chosen above the panels."""

RUN = "{{kind}} {{namespace}}/{{name}}"
COLUMNS = 24

COLOURS = {
    "Succeeded": "green",
    "Running": "blue",
    "Pending": "light-blue",
    "Waiting": "light-blue",
    "Recovering": "yellow",
    "Suspended": "yellow",
    "Failed": "red",
    "Stalled": "dark-red",
}


@dataclass(frozen=True)
class Panel:
    """What a panel shows; `queries`: legend -> PromQL."""

    title: str
    text: str
    queries: dict[str, str]
    unit: str = "short"
    width: int = 8
    height: int = 8
    type: str = "timeseries"
    colours: dict[str, str] = field(default_factory=dict)
    stack: bool = False
    high: float | None = None
    """From this value on it is red."""


ROWS: dict[str, list[Panel]] = {
    "Overview": [
        Panel(
            "Runs by phase",
            "Resources in each phase now.",
            {"{{phase}}": f"sum by (phase) (cupola_resource_phase{{{OF}}})"},
            type="bargauge",
            width=8,
            colours=COLOURS,
        ),
        Panel(
            "A person is needed",
            "Resources that have Failed or are Stalled: nothing moves until somebody changes something.",
            {"": f'sum(cupola_resource_phase{{phase=~"Failed|Stalled", {OF}}}) or vector(0)'},
            type="stat",
            width=4,
            high=1,
        ),
        Panel(
            "Devices held",
            "GPUs (on a CPU pool: slots) that pods of runs hold, averaged over five minutes.",
            {"": f"sum(rate(cupola_run_gpu_seconds_total{{{OF}}}[5m])) or vector(0)"},
            type="stat",
            width=4,
        ),
        Panel(
            "Cost",
            "Spent so far by the runs that exist now, by currency.",
            {"{{currency}}": f"sum by (currency) (cupola_run_cost_accrued{{{OF}}})"},
            type="stat",
            width=4,
        ),
        Panel(
            "Wasted",
            "The share of that which bought nothing: lost work, and devices held idle.",
            {
                "{{currency}}": f"sum by (currency) (cupola_run_cost_wasted{{{OF}}}) / "
                f"(sum by (currency) (cupola_run_cost_accrued{{{OF}}}) > 0)"
            },
            unit="percentunit",
            type="stat",
            width=4,
            high=0.1,
        ),
    ],
    "Runs": [
        Panel(
            "All runs",
            "Where each stands and why, how far it is, when it should end, what it has cost.",
            {
                "phase": f"max by (kind, namespace, name, phase) (cupola_resource_phase{{{OF}}}) == 1",
                "reason": f"max by (kind, namespace, name, reason) (cupola_resource_info{{{OF}}})",
                "progress": f"max by (kind, namespace, name) (cupola_run_progress_ratio{{{OF}}})",
                "end": f"max by (kind, namespace, name) (cupola_run_eta_timestamp_seconds{{{OF}}}) * 1000",
                "cost": f"max by (kind, namespace, name, currency) (cupola_run_cost_accrued{{{OF}}})",
            },
            type="table",
            width=24,
            height=10,
        ),
    ],
    "Training": [
        Panel(
            "Progress",
            "Share of each run that is done.",
            {RUN: f"cupola_run_progress_ratio{{{OF}}}"},
            unit="percentunit",
            width=6,
        ),
        Panel(
            "Loss",
            "Training loss of the last step, nats per token.",
            {RUN: f"cupola_run_loss_nats{{{OF}}}"},
            unit="none",
            width=6,
        ),
        Panel(
            "Tokens per second",
            "Training speed over all ranks.",
            {RUN: f"cupola_run_tokens_per_second{{{OF}}}"},
            width=6,
        ),
        Panel(
            "Checkpoint age",
            "What would be lost if every pod died now.",
            {RUN: f"cupola_run_checkpoint_age_seconds{{{OF}}}"},
            unit="s",
            width=6,
        ),
    ],
    "Money": [
        Panel(
            "Cost so far, and at the end",
            "Accrued, and what the run will have cost if the present speed holds.",
            {
                f"{RUN} accrued": f"cupola_run_cost_accrued{{{OF}}}",
                f"{RUN} projected": f"cupola_run_cost_projected{{{OF}}}",
            },
        ),
        Panel(
            "Cost per hour",
            "How fast money is spent now, by kind.",
            {
                "{{kind}} {{currency}}": "sum by (kind, currency) "
                f"(deriv(cupola_run_cost_accrued{{{OF}}}[15m])) * 3600"
            },
            stack=True,
            width=5,
        ),
        Panel(
            "Cost by cause",
            "What it went into: work, start-up, checkpoints, validation, devices held idle, lost work.",
            {
                "{{cause}} {{currency}}": "sum by (cause, currency) "
                f"(cupola_run_cost_by_cause{{{OF}}})"
            },
            stack=True,
            width=6,
        ),
        Panel(
            "Wasted",
            "Money that bought nothing, by run: lost work, and devices held idle.",
            {RUN: f"cupola_run_cost_wasted{{{OF}}} > 0"},
            width=5,
        ),
    ],
    "Failures": [
        Panel(
            "Failed attempts by class",
            "Whose move it was: the user's, the data's, memory's, the infrastructure's, or not known.",
            {"{{failure}}": f"sum by (failure) (increase(cupola_run_failures_total{{{OF}}}[1h]))"},
            stack=True,
            width=12,
        ),
        Panel(
            "Attempts",
            "Attempts of each run, of all its stages.",
            {RUN: f"cupola_run_attempts_total{{{OF}}}"},
            width=12,
        ),
    ],
    "Operator": [
        Panel(
            "Ready, and acting",
            "Each replica that is ready, and the one that holds the Lease.",
            {"{{instance}} ready": "cupola_ready", "{{instance}} acts": "cupola_leader"},
            width=6,
        ),
        Panel(
            "Time of a look at a resource",
            "Median and 99th percentile, by kind.",
            {
                f"{{{{kind}}}} p{share}": f"histogram_quantile(0.{share}, sum by (kind, le) "
                '(rate(cupola_reconcile_duration_seconds_bucket{kind=~"$kind"}[$__rate_interval])))'
                for share in ("50", "99")
            },
            unit="s",
            width=6,
        ),
        Panel(
            "Errors, and what waits",
            "Looks that ended in an error, per second; resources that are due and wait.",
            {
                "{{kind}} errors/s": "sum by (kind) "
                "(rate(cupola_reconcile_errors_total[$__rate_interval]))",
                "waiting": "sum(cupola_queue_depth)",
            },
            width=6,
        ),
        Panel(
            "Watches",
            "Time since each watch last gave a sign of life.",
            {"{{resource}}": "max by (resource) (cupola_watch_age_seconds)"},
            unit="s",
            width=6,
        ),
        Panel(
            "Requests to the API server",
            "By answer; code none: it did not answer.",
            {
                "{{code}}": "sum by (code) (rate(cupola_api_requests_total[$__rate_interval]))",
            },
            unit="reqps",
        ),
        Panel(
            "Time to an answer of the API server",
            "99th percentile, by verb.",
            {
                "{{verb}}": "histogram_quantile(0.99, sum by (verb, le) "
                "(rate(cupola_api_request_duration_seconds_bucket[$__rate_interval])))"
            },
            unit="s",
        ),
        Panel(
            "Memory",
            "Resident memory of each replica.",
            {"{{instance}}": "process_resident_memory_bytes and on (instance) cupola_build_info"},
            unit="bytes",
        ),
    ],
}


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana's model of one."""
    return {
        "uid": "cupola",
        "title": "Cupola",
        "description": "Language models in the making: progress, money, failures, and the operator.",
        "tags": ["cupola", "machine-learning"],
        "schemaVersion": 39,
        "version": 1,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "",
        "templating": {"list": [_source(), *map(_variable, ("namespace", "kind", "name"))]},
        "annotations": {"list": []},
        "panels": list(_panels()),
    }


def _source() -> dict[str, Any]:
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "current": {},
        "hide": 0,
    }


def _variable(name: str) -> dict[str, Any]:
    """A choice among the values of a label, given what was chosen before it."""
    before = {"namespace": "", "kind": "", "name": '{namespace=~"$namespace", kind=~"$kind"}'}
    query = f"label_values(cupola_resource_info{before[name]}, {name})"
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": SOURCE,
        "definition": query,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "sort": 1,
        "includeAll": True,
        "multi": True,
        "allValue": ".*",
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "hide": 0,
    }


def _panels() -> Iterator[dict[str, Any]]:
    number, y = 0, 0
    for title, panels in ROWS.items():
        number += 1
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1},
        }
        x, y = 0, y + 1
        for panel in panels:
            if x + panel.width > COLUMNS:
                x, y = 0, y + panel.height
            number += 1
            place = {"x": x, "y": y, "w": panel.width, "h": panel.height}
            yield {"id": number, "gridPos": place, **_panel(panel)}
            x += panel.width
        y += panels[-1].height


def _panel(panel: Panel) -> dict[str, Any]:
    now = panel.type != "timeseries"
    steps: list[dict[str, Any]] = [{"color": "green" if panel.high else "blue", "value": None}]
    if panel.high:
        steps.append({"color": "red", "value": panel.high})
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "color": {"mode": "thresholds" if panel.type == "stat" else "palette-classic"},
        "thresholds": {"mode": "absolute", "steps": steps},
        "custom": {
            "fillOpacity": 20 if panel.stack else 0,
            "stacking": {"mode": "normal" if panel.stack else "none", "group": "A"},
        }
        if panel.type == "timeseries"
        else {},
    }
    value: dict[str, Any] = {
        "type": panel.type,
        "title": panel.title,
        "description": panel.text,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": list(_overrides(panel))},
        "options": _options(panel),
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": SOURCE,
                "expr": query,
                "legendFormat": legend,
                "instant": now,
                "range": not now,
                "format": "table" if panel.type == "table" else "time_series",
            }
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }
    return value | ({"transformations": _merged(panel)} if panel.type == "table" else {})


def _options(panel: Panel) -> dict[str, Any]:
    if panel.type == "timeseries":
        return {
            "legend": {"displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "multi", "sort": "desc"},
        }
    if panel.type == "table":
        return {"showHeader": True, "sortBy": [{"displayName": "Phase"}]}
    shown = {"calcs": ["lastNotNull"], "fields": "", "values": False}
    if panel.type == "bargauge":
        return {"reduceOptions": shown, "orientation": "horizontal", "displayMode": "gradient"}
    return {"reduceOptions": shown, "colorMode": "value", "graphMode": "none"}


def _overrides(panel: Panel) -> Iterator[dict[str, Any]]:
    for name, colour in panel.colours.items():
        fixed = {"mode": "fixed", "fixedColor": colour}
        yield _override(name, {"color": fixed})
    if panel.type == "table":
        phases = {
            phase: {"color": colour, "index": index}
            for index, (phase, colour) in enumerate(COLOURS.items())
        }
        mapped = [{"type": "value", "options": phases}]
        cell = {"type": "color-text"}
        yield _override("Phase", {"mappings": mapped, "custom.cellOptions": cell})
        gauge = {"type": "gauge", "mode": "basic"}
        whole = {"unit": "percentunit", "min": 0, "max": 1}
        yield _override("Progress", {**whole, "custom.cellOptions": gauge})
        yield _override("Ends", {"unit": "dateTimeFromNow"})


def _override(name: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties.items()],
    }


def _merged(panel: Panel) -> list[dict[str, Any]]:
    """One line a run from the queries of a table: labels are columns, values are named by query."""
    values = {f"Value #{chr(ord('A') + i)}": name for i, name in enumerate(panel.queries)}
    hidden = [column for column, name in values.items() if name in ("phase", "reason")]
    names = {
        "kind": "Kind",
        "namespace": "Namespace",
        "name": "Name",
        "phase": "Phase",
        "reason": "Reason",
        "currency": "Currency",
    }
    titles = {"progress": "Progress", "end": "Ends", "cost": "Cost"}
    names |= {column: titles[name] for column, name in values.items() if name in titles}
    return [
        {"id": "merge", "options": {}},
        {
            "id": "organize",
            "options": {
                "excludeByName": dict.fromkeys(["Time", *hidden], True),
                "renameByName": names,
                "indexByName": {name: index for index, name in enumerate(names)},
            },
        },
    ]


def main() -> int:
    """Write the file, or with --check exit 1 if it differs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="exit 1 if the file differs")
    options = parser.parse_args()
    text = json.dumps(dashboard(), indent=2) + "\n"
    return generated.write(FILE, text, check=options.check, source="scripts/dashboard.py")


if __name__ == "__main__":
    sys.exit(main())
