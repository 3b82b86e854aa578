"""What the chart takes from elsewhere is as it would be made now."""

from __future__ import annotations

import json
import sys
import tomllib

import pytest
import yaml

from cupola_operator.settings import Settings

from .conftest import CHART, ROOT, run

VERSION = tomllib.loads((ROOT / "operator/pyproject.toml").read_text())["project"]["version"]


def test_generated_files_of_the_chart_are_up_to_date() -> None:
    done = run(sys.executable, ROOT / "scripts" / "chart.py", "--check")
    assert done.returncode == 0, done.stderr


def test_the_chart_and_the_kustomization_install_the_version_of_the_operator() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert chart["appVersion"] == VERSION
    base = yaml.safe_load((ROOT / "manifests/base/kustomization.yaml").read_text())
    assert base["images"] == [{"name": "cupola-operator", "newTag": VERSION}]
    assert base["labels"][0]["pairs"]["app.kubernetes.io/version"] == VERSION
    settings = yaml.safe_load((ROOT / "manifests/base/settings.yaml").read_text())
    assert settings["trainerImage"] == f"cupola-trainer:{VERSION}"
    assert settings["curatorImage"] == f"cupola-curator:{VERSION}"


def test_settings_of_the_kustomization_are_valid() -> None:
    text = yaml.safe_load((ROOT / "manifests/base/settings.yaml").read_text())
    assert not Settings.model_validate(text).is_local


def _names(schema: object) -> list[tuple[str, ...]]:
    """Paths of all properties of a schema that are written there."""
    if not isinstance(schema, dict):
        return []
    return [
        (name, *rest)
        for name, child in schema.get("properties", {}).items()
        for rest in [(), *_names(child)]
    ]


def _paths(values: object) -> list[tuple[str, ...]]:
    if not isinstance(values, dict):
        return []
    return [(name, *rest) for name, child in values.items() for rest in [(), *_paths(child)]]


def test_the_schema_knows_every_value_and_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    known = {path for path in _names(schema) if path != ("global",)}
    given = {path for path in _paths(values) if path[0] != "settings" and "resources" not in path}
    monitors = {
        (*path[:2], leaf)
        for path in known
        for leaf in ("enabled", "interval", "labels")
        if path[:2] in {("metrics", "serviceMonitor"), ("metrics", "podMonitor")}
    }
    assert known | monitors == given | {("settings",), ("operator", "resources")}


@pytest.mark.parametrize("name", ["datasets", "pretrainjobs", "finetunes", "evaluations"])
def test_the_folder_of_crds_can_be_applied_and_kustomized(name: str) -> None:
    resources = yaml.safe_load((ROOT / "crds/Kustomization").read_text())["resources"]
    assert f"{name}.cupola.dev.yaml" in resources
    assert len(resources) == len(list((ROOT / "crds").glob("*.yaml")))
