"""The chart, the kustomization and the columns, at a real API server."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from .conftest import CHART, ROOT, Object, Render, only
from .test_chart import ALL

OPERATOR = "system:serviceaccount:cupola-system:cupola-operator"
FOREIGN = ("monitoring.coreos.com",)
"""Groups whose CRDs are not there."""


def of_kubernetes(found: list[Object]) -> str:
    return yaml.safe_dump_all([o for o in found if not o["apiVersion"].startswith(FOREIGN)])


@pytest.mark.parametrize("values", [{}, ALL], ids=["defaults", "everything"])
def test_it_takes_the_objects_of_the_chart(server: Any, chart: Render, values: Object) -> None:
    server.kubectl(
        *("apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict"),
        *("-f", "-"),
        stdin=of_kubernetes(chart(values)),
    )


def test_it_takes_the_kustomization_and_grants_the_operator_no_secret(
    server: Any, base: list[Object]
) -> None:
    server.kubectl(
        *("apply", "--server-side", "--force-conflicts", "--validate=strict", "-f", "-"),
        stdin=yaml.safe_dump_all(base),
    )

    def may(verb: str, resource: str, namespace: str = "team-a") -> bool:
        resource, _, subresource = resource.partition("/")
        plural, _, group = resource.partition(".")
        asked = {
            "verb": verb,
            "group": group,
            "resource": plural,
            "subresource": subresource,
            "namespace": namespace,
        }
        answer = server.call(
            "POST",
            "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            {"spec": {"user": OPERATOR, "resourceAttributes": asked}},
        )
        return bool(answer["status"]["allowed"])

    assert may("create", "pytorchjobs.kubeflow.org")
    assert may("update", "pretrainjobs.cupola.dev/status")
    assert may("update", "leases.coordination.k8s.io", "cupola-system")
    assert not may("get", "secrets", "cupola-system")
    assert not may("list", "secrets", "")
    assert not may("create", "pods/exec")
    assert not may("create", "pods")
    assert not may("update", "pretrainjobs.cupola.dev")
    assert not may("patch", "pytorchjobs.kubeflow.org")
    assert not may("update", "leases.coordination.k8s.io")
    assert not may("create", "serviceaccounts/token", "cupola-system")


def templates(value: Object) -> list[Object]:
    """The pod templates of a Deployment, a Job or a PyTorchJob."""
    replicas = value["spec"].get("pytorchReplicaSpecs", {"": value["spec"]})
    return [one["template"] for one in replicas.values()]


GOLDENS = sorted((ROOT / "tests" / "operator" / "golden").glob("*-attempt.yaml"))


@pytest.mark.parametrize("golden", [None, *GOLDENS], ids=lambda path: path and path.stem)
def test_pods_are_admitted_where_the_restricted_profile_is_enforced(
    server: Any, base: list[Object], golden: Path | None
) -> None:
    server.kubectl(
        *("label", "namespace", "team-b", "--overwrite"),
        "pod-security.kubernetes.io/enforce=restricted",
    )
    value = yaml.safe_load(golden.read_text()) if golden else only(base, "Deployment")
    for template in templates(value):
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}}
        pod["metadata"] |= {"labels": template["metadata"]["labels"], "namespace": "team-b"}
        spec = template["spec"] | {"priorityClassName": None, "runtimeClassName": None}
        text = yaml.safe_dump(pod | {"spec": spec})
        create = ("create", "--dry-run=server", "--validate=strict", "-f", "-")
        if spec["securityContext"].get("runAsUser") == 0:  # as its pool allows
            with pytest.raises(AssertionError, match="violates PodSecurity"):
                server.kubectl(*create, stdin=text)
        else:
            server.kubectl(*create, stdin=text)


def test_the_operator_becomes_ready_with_what_is_shipped(
    server: Any, base: list[Object], tmp_path: Path
) -> None:
    server.kubectl(
        *("apply", "--server-side", "--force-conflicts", "-f", "-"), stdin=yaml.safe_dump_all(base)
    )
    token = server.kubectl("create", "token", "cupola-operator", "-n", "cupola-system").strip()
    config = json.loads(server.kubeconfig("admin-token").read_text())
    config["users"][0]["user"]["token"] = token
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    (tmp_path / "settings.yaml").write_text(only(base, "ConfigMap")["data"]["settings.yaml"])
    (container,) = only(base, "Deployment")["spec"]["template"]["spec"]["containers"]
    _, *words = container["args"]
    listen = f"127.0.0.1:{free_port()}"
    with subprocess.Popen(
        [
            sys.executable,
            *(w.replace("/etc/cupola", str(tmp_path)) for w in words),
            *("--listen", listen),
        ],
        env={
            **os.environ,
            "KUBECONFIG": str(tmp_path / "kubeconfig"),
            "POD_NAME": "operator-0",
            "POD_NAMESPACE": "cupola-system",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as operator:
        try:
            answers = {
                name: await_ok(f"http://{listen}{container[name]['httpGet']['path']}")
                for name in ("livenessProbe", "readinessProbe")
            }
            page = await_ok(f"http://{listen}/metrics")
        finally:
            operator.terminate()
            log, _ = operator.communicate(timeout=30)
    assert None not in answers.values(), log
    assert page, log
    assert operator.returncode == 0, log
    assert "cupola_ready 1.0" in page


def await_ok(url: str) -> str | None:
    """What the URL says as soon as it answers well; None if it does not within minutes."""
    for _ in range(600):
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:
            return str(answer.read().decode())
        time.sleep(0.1)
    return None


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def test_a_release_is_installed_upgraded_and_removed(
    server: Any, helm: Path, tmp_path: Path
) -> None:
    def release(verb: str, *more: object) -> str:
        done = subprocess.run(
            [
                *(helm, verb, "ml", *more, "--namespace", "team-a"),
                *("--kubeconfig", server.kubeconfig("admin-token")),
            ],
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            env={**os.environ, "HOME": str(tmp_path)},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    values = ("--set", "settings.store=s3://bucket/prefix")
    notes = release("install", CHART, *values, "--take-ownership")  # of the CRDs of crds/
    assert "The Kubeflow training operator (kind PyTorchJob) was not found" in notes
    assert "works on     all namespaces" in notes
    assert "cpu (0.05 USD a device hour)" in notes
    server.kubectl("apply", "-f", str(ROOT / "manifests/examples/quickstart"))
    release("upgrade", CHART, *values, "--set", "replicas=2")
    found = json.loads(
        server.kubectl("get", "deployment", "-n", "team-a", "ml-cupola-operator", "-o", "json")
    )
    assert found["spec"]["replicas"] == 2
    release("uninstall", "--no-hooks")  # no controller is here that would run the hook's Job
    assert server.kubectl("get", "deployments", "-n", "team-a", "-o", "name") == ""
    assert "pretrainjob.cupola.dev/python-base" in server.kubectl("get", "ptj", "-o", "name")
