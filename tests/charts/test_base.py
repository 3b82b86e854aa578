"""manifests/base and charts/cupola install the same objects."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from cupola_operator.kube.checks import LEASE, NEEDS
from cupola_operator.kube.places import PLACES

from .conftest import ROOT, Object, Render, example, only

OF_HELM = ("helm.sh/", "app.kubernetes.io/managed-by")
"""What only a release has."""


def comparable(value: Object) -> Object:
    """An object without what tells a release from a kustomization, its texts parsed."""
    metadata = {**value["metadata"]}
    for field in ("labels", "annotations"):
        kept = {k: v for k, v in metadata.get(field, {}).items() if not k.startswith(OF_HELM)}
        metadata[field] = kept
    if value["kind"] == "ConfigMap":
        metadata["name"] = re.sub(r"-[0-9a-z]{10}$", "", metadata["name"])
        value = value | {"data": {k: yaml.safe_load(v) for k, v in value["data"].items()}}
    if value["kind"] == "Deployment":
        template = value["spec"]["template"]
        # two ways to restart on a change of the settings: a checksum, a generated name
        template["metadata"]["annotations"].pop("checksum/settings", None)
        (settings,) = (v for v in template["spec"]["volumes"] if v["name"] == "settings")
        name = settings["configMap"]["name"]
        settings["configMap"]["name"] = re.sub(r"-[0-9a-z]{10}$", "", name)
    return value | {"metadata": metadata}


def keyed(found: list[Object]) -> dict[tuple[str, str, str], Object]:
    values = [
        comparable(value)
        for value in found
        if value["kind"] != "Namespace"
        and "helm.sh/hook" not in value["metadata"].get("annotations", {})
    ]
    return {
        (v["kind"], v["metadata"].get("namespace", ""), v["metadata"]["name"]): v for v in values
    }


def test_the_kustomization_renders_the_objects_of_the_chart(
    chart: Render, base: list[Object]
) -> None:
    settings = only(base, "ConfigMap")["data"]["settings.yaml"]
    theirs, ours = keyed(chart({"settings": yaml.safe_load(settings)})), keyed(base)
    assert ours.keys() == theirs.keys()
    for key, value in ours.items():
        assert value == theirs[key], key


def test_the_namespace_admits_restricted_pods_only(base: list[Object]) -> None:
    labels = only(base, "Namespace", "cupola-system")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_other_settings_in_an_overlay_give_the_config_map_another_name(
    tmp_path: Path, kustomize: Callable[[Path], list[Object]], base: list[Object]
) -> None:
    value = example("install.md", "kustomization.yaml")
    link = tmp_path / "cupola"
    link.symlink_to(ROOT)
    value["resources"] = ["cupola/manifests/base"]
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(value))
    (tmp_path / "settings.yaml").write_text("store: pvc://models\n")
    found = kustomize(tmp_path)
    settings = only(found, "ConfigMap")
    assert settings["data"] == {"settings.yaml": "store: pvc://models\n"}
    assert settings["metadata"]["name"] != only(base, "ConfigMap")["metadata"]["name"]
    pod = only(found, "Deployment")["spec"]["template"]["spec"]
    assert settings["metadata"]["name"] in [
        volume.get("configMap", {}).get("name") for volume in pod["volumes"]
    ]
    assert pod["containers"][0]["image"].startswith("registry.example.com/")


def granted(rules: list[Object]) -> set[tuple[str, str, str]]:
    return {
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_operator_may_do_what_it_looks_for_and_nothing_else(base: list[Object]) -> None:
    def of(needs: list[object]) -> set[tuple[str, str, str]]:
        return {
            (
                PLACES[need.kind].group,
                PLACES[need.kind].plural + (f"/{need.subresource}" if need.subresource else ""),
                verb,
            )
            for need in needs
            for verb in need.verbs
        }

    rules = granted(only(base, "ClusterRole", "cupola-operator")["rules"])
    finalizers = {rule for rule in rules if rule[1].endswith("/finalizers")}
    assert {verb for _, _, verb in finalizers} == {"update"}
    assert rules - finalizers == of(list(NEEDS))
    assert granted(only(base, "Role")["rules"]) == of([LEASE])
    assert not [rule for rule in rules if rule[1] == "secrets" or "*" in rule]


@pytest.mark.parametrize(("role", "verbs"), [("view", "get list watch"), ("edit", "")])
def test_people_get_rights_by_the_roles_that_they_have(
    base: list[Object], role: str, verbs: str
) -> None:
    value = only(base, "ClusterRole", f"cupola-{role}")
    label = f"rbac.authorization.k8s.io/aggregate-to-{role}"
    assert value["metadata"]["labels"][label] == "true"
    assert value["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-admin"] == "true"
    assert {resource for _, resource, _ in granted(value["rules"])} == {
        "datasets",
        "pretrainjobs",
        "finetunes",
        "evaluations",
    }
    wanted = set(verbs.split()) or {"create", "update", "patch", "delete", "deletecollection"}
    assert {verb for _, _, verb in granted(value["rules"])} == wanted
