"""What people watch: the dashboard's panels and Argo CD's health, on what really happened here."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest
import yaml

from .conftest import load
from .harness import ROOT, Space, prometheus

argo = load(ROOT / "tests/charts/argo.py")
BOARD = json.loads((ROOT / "manifests/dashboards/cupola.json").read_text())
HEALTH = yaml.safe_load((ROOT / "manifests/argocd/customizations.yaml").read_text())["data"]
SHOWN = {
    "Succeeded": "Healthy",
    "Failed": "Degraded",
    "Stalled": "Degraded",
    "Suspended": "Suspended",
}


def queries() -> Iterator[tuple[str, str]]:
    for panel in BOARD["panels"]:
        for target in panel.get("targets", []):
            yield f"{panel['title']} {target['refId']}", target["expr"]


@pytest.mark.parametrize(("title", "query"), list(queries()), ids=[title for title, _ in queries()])
def test_every_panel_has_an_answer(reference: bytes, title: str, query: str) -> None:
    chosen = re.sub(r"\$(namespace|kind|name)\b", ".*", query)
    chosen = chosen.replace("$__rate_interval", "1m").replace("$__range", "1h")
    chosen = chosen.removesuffix(" > 0")  # what was lost is shown alone, and may be nothing
    # Of a run that is over the trainers say nothing any more: what they said is there.
    assert prometheus(f"last_over_time(({chosen})[1h:5s])"), title


def test_argo_cd_sees_what_status_says(space: Space, reference: bytes) -> None:
    seen = 0
    for kind in ("Dataset", "PretrainJob"):
        for value in space.list(kind):
            found = argo.lua(HEALTH[f"resource.customizations.health.cupola.dev_{kind}"], value)
            phase = value["status"]["phase"]
            assert found["status"] == SHOWN.get(phase, "Progressing"), value["metadata"]["name"]
            assert found["message"]
            seen += 1
    assert seen > 1
