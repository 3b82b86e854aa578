"""The Helm chart with other values than its defaults."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from cupola_api import metrics
from cupola_operator.settings import Settings

from .conftest import CHART, ROOT, Object, Render, example, only, run

Template = Callable[..., subprocess.CompletedProcess[str]]

GPU_POOL = {
    "name": "h100",
    "device": "Gpu",
    "gpusPerNode": 8,
    "nodes": 128,
    "pricePerGpuHour": "2.50",
    "gpuWatts": 700,
    "nodeSelector": {"pool": "h100"},
    "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
}
ALL: Object = {
    "replicas": 2,
    "watchNamespaces": ["team-a", "team-b"],
    "image": {"registry": "registry.example.com/ml/", "tag": "1.2.3", "pullSecrets": ["registry"]},
    "settings": {"pools": [GPU_POOL], "dataPool": "h100"},
    "operator": {
        "logFormat": "Text",
        "podLabels": {"team": "ml"},
        "podAnnotations": {"note": "1"},
        "nodeSelector": {"kubernetes.io/os": "linux"},
        "tolerations": [{"operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule"}
        ],
        "priorityClassName": "system-cluster-critical",
    },
    "serviceAccount": {"annotations": {"cloud": "role"}},
    "metrics": {"serviceMonitor": {"enabled": True}, "podMonitor": {"enabled": True}},
    "networkPolicy": {"enabled": True, "scrapers": [{"namespaceSelector": {}}]},
}
"""Every switch on."""


def container(found: list[Object]) -> Object:
    (value,) = only(found, "Deployment")["spec"]["template"]["spec"]["containers"]
    assert isinstance(value, dict)
    return value


def settings_of(found: list[Object]) -> Object:
    text = only(found, "ConfigMap")["data"]["settings.yaml"]
    value = yaml.safe_load(text)
    Settings.model_validate(value)
    assert isinstance(value, dict)
    return value


def test_before_it_is_uninstalled_the_finalizer_goes_from_all_resources(
    chart: Render,
) -> None:
    job = only(chart(ALL), "Job")
    notes = job["metadata"]["annotations"]
    assert notes["helm.sh/hook"] == "pre-delete"
    assert notes["helm.sh/hook-delete-policy"] == "before-hook-creation,hook-succeeded"
    assert job["spec"]["activeDeadlineSeconds"] <= 300
    spec = job["spec"]["template"]["spec"]
    operator = only(chart(ALL), "Deployment")["spec"]["template"]["spec"]
    for field in ("serviceAccountName", "imagePullSecrets", "nodeSelector", "tolerations"):
        assert spec[field] == operator[field]
    (one,) = spec["containers"]
    (other,) = operator["containers"]
    assert (one["image"], one["securityContext"]) == (other["image"], other["securityContext"])
    assert one["args"] == [
        *("python", "-m", "cupola_operator", "release"),
        *("--namespace", "team-a", "--namespace", "team-b"),
    ]
    assert one["env"][0]["name"] == "POD_NAMESPACE"


def test_nodes_may_be_read_where_a_pool_says_which_can_be_taken_away(chart: Render) -> None:
    def roles(**pool: Any) -> dict[str, Object]:
        values = {"settings": {"pools": [GPU_POOL | pool], "dataPool": "h100"}}
        return {
            value["metadata"]["name"]: value
            for value in chart(values)
            if value["kind"] == "ClusterRole" and value["metadata"]["name"].endswith("-nodes")
        }

    assert roles() == {}
    (role,) = roles(
        spotPricePerGpuHour="1.00", spotNodes={"cloud.example.com/spot": "true"}
    ).values()
    assert role["rules"] == [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}]


def checksum(found: list[Object]) -> Any:
    metadata = only(found, "Deployment")["spec"]["template"]["metadata"]
    return metadata["annotations"]["checksum/settings"]


def test_without_a_store_it_says_what_to_write(template: Template) -> None:
    done = template()
    assert done.returncode == 1
    assert "settings.store is not set: write where artifacts go" in done.stderr


def test_a_folder_of_one_machine_is_no_store(template: Template) -> None:
    done = template({"settings": {"store": "file:///data"}})
    assert done.returncode == 1
    assert "settings.store is file:///data, a folder of one machine" in done.stderr


def test_curation_needs_a_pool_that_there_is(template: Template) -> None:
    done = template({"settings": {"store": "s3://b/p", "pools": [GPU_POOL]}})
    assert done.returncode == 1
    assert "settings.dataPool is cpu, which is none of settings.pools: write one of h100" in (
        done.stderr
    )


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"replica": 2}, "additional properties 'replica' not allowed"),
        ({"settings": {"pols": []}}, "additional properties 'pols' not allowed"),
        (
            {"settings": {"pools": [GPU_POOL | {"pricePerGpuHour": 2.5}]}},
            "at '/settings/pools/0/pricePerGpuHour': got number, want string",
        ),
        ({"operator": {"logFormat": "json"}}, "value must be one of 'Json', 'Text'"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(
    template: Template, values: Object, sentence: str
) -> None:
    done = template(values)
    assert done.returncode == 1
    assert sentence in done.stderr


def test_settings_name_the_images_of_the_chart_unless_they_name_others(chart: Render) -> None:
    told = settings_of(chart({"image": {"registry": "registry.example.com/ml/", "tag": "2.0.0"}}))
    assert told["trainerImage"] == "registry.example.com/ml/cupola-trainer:2.0.0"
    assert told["curatorImage"] == "registry.example.com/ml/cupola-curator:2.0.0"
    own = settings_of(chart({"settings": {"trainerImage": "mine:1"}}))
    assert own["trainerImage"] == "mine:1"


def test_an_image_with_a_digest_takes_no_tag(chart: Render) -> None:
    name = f"cupola-operator@sha256:{'0' * 64}"
    assert container(chart({"image": {"operator": name}}))["image"] == name


def test_a_change_of_the_settings_restarts_the_operator(chart: Render) -> None:
    one = checksum(chart())
    assert one == checksum(chart({"replicas": 2}))
    assert one != checksum(chart({"settings": {"currency": "EUR"}}))


def test_it_watches_all_namespaces_or_has_rights_in_those_it_watches_only(chart: Render) -> None:
    everywhere = chart()
    assert "--namespace" not in container(everywhere)["args"]
    rules = only(everywhere, "ClusterRole", "cupola-operator")["rules"]
    found = chart({"watchNamespaces": ["team-a", "team-b"]})
    assert container(found)["args"][-4:] == ["--namespace", "team-a", "--namespace", "team-b"]
    roles = [
        o for o in found if o["kind"] == "Role" and not o["metadata"]["name"].endswith("lease")
    ]
    assert [role["metadata"]["namespace"] for role in roles] == ["team-a", "team-b"]
    assert all(role["rules"] == rules for role in roles)
    assert not [
        o
        for o in found
        if o["kind"].startswith("Cluster") and o["metadata"]["name"].endswith("tor")
    ]


def test_crds_are_kept_by_an_uninstall_unless_told_otherwise(chart: Render) -> None:
    def kept(values: Object) -> list[bool]:
        return [
            o["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep"
            for o in chart(values)
            if o["kind"] == "CustomResourceDefinition"
        ]

    assert kept({}) == [True] * 4
    assert kept({"crds": {"keep": False}}) == [False] * 4
    assert kept({"crds": {"install": False}}) == []


def test_the_pods_of_the_operator_are_restricted(chart: Render) -> None:
    found = chart(ALL)
    pod = only(found, "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(found)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@pytest.mark.parametrize("release", ["cupola", "ml", "cupola-staging"])
def test_everything_is_named_by_the_release_and_found_by_its_selectors(
    chart: Render, release: str
) -> None:
    found = chart(ALL, release)
    name = {"ml": "ml-cupola"}.get(release, release)
    deployment = only(found, "Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    account = deployment["spec"]["template"]["spec"]["serviceAccountName"]
    assert only(found, "ServiceAccount")["metadata"]["name"] == account == f"{name}-operator"
    for binding in (o for o in found if o["kind"] == "RoleBinding"):
        assert binding["subjects"][0] == {
            "kind": "ServiceAccount",
            "name": account,
            "namespace": "cupola-system",
        }
        roles = [
            (o["metadata"]["namespace"], o["metadata"]["name"])
            for o in found
            if o["kind"] == "Role"
        ]
        assert (binding["metadata"]["namespace"], binding["roleRef"]["name"]) in roles
    selectors = [
        only(found, "Service")["spec"]["selector"],
        only(found, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        only(found, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        deployment["spec"]["selector"]["matchLabels"],
    ]
    assert all(selector.items() <= labels.items() for selector in selectors)
    monitored = only(found, "ServiceMonitor")["spec"]["selector"]["matchLabels"]
    assert monitored.items() <= only(found, "Service")["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("golden", "replica", "scraped"),
    [
        ("pretraining", "master", True),
        ("pretraining", "worker", False),
        ("tuning", "master", True),
        ("evaluation", None, True),
        ("curation", None, False),
    ],
)
def test_the_pods_of_runs_that_serve_metrics_are_scraped_and_may_be_reached(
    chart: Render, golden: str, replica: str | None, scraped: bool
) -> None:
    found = chart(ALL)
    child = yaml.safe_load((ROOT / f"tests/operator/golden/{golden}-attempt.yaml").read_text())
    labels = child["metadata"]["labels"]  # its pods have the same
    if replica:
        labels |= {"training.kubeflow.org/replica-type": replica}
    monitor = only(found, "PodMonitor")["spec"]
    (unlike,) = monitor["selector"]["matchExpressions"]
    assert unlike["operator"] == "NotIn"
    selected = monitor["selector"]["matchLabels"].items() <= labels.items()
    assert scraped == (selected and labels.get(unlike["key"]) not in unlike["values"])
    (endpoint,) = monitor["podMetricsEndpoints"]
    asked = {rule["sourceLabels"][0] for rule in endpoint["relabelings"]}
    known = {"__meta_kubernetes_pod_label_" + re.sub(r"[^a-z0-9]", "_", key) for key in labels}
    assert asked <= known
    reached = only(found, "NetworkPolicy")["spec"]["egress"][-1]
    assert reached["ports"] == [{"port": metrics.PORT, "protocol": "TCP"}]
    assert reached["to"][0]["podSelector"]["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize("values", [{}, ALL], ids=["defaults", "everything"])
def test_a_linter_finds_no_fault(helm: Path, values: Object) -> None:
    whole = values | {"settings": {"store": "s3://b/p", **values.get("settings", {})}}
    done = run(helm, "lint", "--strict", CHART, "--values", "-", stdin=yaml.safe_dump(whole))
    assert done.returncode == 0, done.stdout + done.stderr


def test_it_can_be_packaged_without_what_does_not_belong(helm: Path, tmp_path: Path) -> None:
    assert run(helm, "package", CHART, "--destination", tmp_path).returncode == 0
    (package,) = tmp_path.glob("*.tgz")
    names = run("tar", "-tzf", package).stdout.splitlines()
    assert "cupola/files/crds/datasets.cupola.dev.yaml" in names
    assert "cupola/values.schema.json" in names
    assert not [
        name
        for name in names
        if not name.endswith((".yaml", ".json", ".md", ".tpl", ".txt", ".helmignore"))
    ]


def test_the_values_of_the_documentation_are_taken(chart: Render) -> None:
    values = example("install.md", "values.yaml")
    told = settings_of(chart(values))
    assert [pool["name"] for pool in told["pools"]] == ["cpu", "h100"]
    assert told["trainerImage"].startswith("registry.example.com/ml/cupola-trainer:")


def test_the_values_of_the_test_cluster_are_taken(chart: Render) -> None:
    values = yaml.safe_load((ROOT / "e2e" / "values.yaml").read_text())
    assert settings_of(chart(values))["store"] == values["settings"]["store"]
