"""With the shipped rules everything works; they give no more than that."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from .conftest import SYSTEM
from .harness import Failed, Object, Space, kubectl

OPERATOR = f"system:serviceaccount:{SYSTEM}:cupola-operator"


def may(who: str, verb: str, what: str, namespace: str) -> bool:
    resource, _, part = what.partition("/")
    words = ["auth", "can-i", verb, resource, f"--subresource={part}", "--as", who]
    try:
        return kubectl(*words, "-n", namespace) == "yes\n"
    except Failed:  # it says no by its exit code
        return False


@pytest.mark.parametrize(
    ("verb", "what"),
    [
        ("get", "secrets"),
        ("list", "secrets"),
        ("watch", "secrets"),
        ("create", "pods"),
        ("create", "pods/exec"),
        ("delete", "pods"),
        ("update", "datasets.cupola.dev"),
        ("create", "pretrainjobs.cupola.dev"),
        ("delete", "pretrainjobs.cupola.dev"),
        ("delete", "configmaps"),
        ("create", "clusterrolebindings"),
        ("get", "nodes"),
        ("impersonate", "users"),
    ],
)
def test_the_operator_may_not(space: Space, verb: str, what: str) -> None:
    assert not may(OPERATOR, verb, what, space.name)


@pytest.mark.parametrize(
    ("verb", "what"),
    [
        ("create", "pytorchjobs.kubeflow.org"),
        ("create", "jobs"),
        ("update", "datasets.cupola.dev/status"),
        ("patch", "datasets.cupola.dev"),
        ("update", "configmaps"),
    ],
)
def test_the_operator_may(space: Space, verb: str, what: str) -> None:
    assert may(OPERATOR, verb, what, space.name)


def test_a_training_pod_has_no_token_and_no_rights(
    space: Space, training: Callable[..., Object]
) -> None:
    space.apply(training("rights"))
    for pod in space.running("ptj", "rights", 2):
        name = pod["metadata"]["name"]
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert "No such file" in space.run(
            *("exec", name, "--", "sh", "-c", "ls /var/run/secrets/kubernetes.io 2>&1 || true")
        )
        assert space.run("exec", name, "--", "id", "-u").strip() == "65532"
    who = f"system:serviceaccount:{space.name}:default"
    for verb, what in (("get", "pods"), ("list", "secrets"), ("get", "pretrainjobs.cupola.dev")):
        assert not may(who, verb, what, space.name)
    space.run("delete", "ptj", "rights", "--timeout=150s", timeout=180)


def test_the_log_of_the_operator_holds_no_secret(space: Space, reference: bytes) -> None:
    log = kubectl("-n", SYSTEM, "logs", "deployment/cupola-operator", timeout=60)
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in log
    told = space.run("get", "dset,ptj,configmaps,pytorchjobs,events", "-o", "json")
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in told
