from __future__ import annotations

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from typer.testing import CliRunner

from cupola_operator import labels
from cupola_operator.cli import app
from cupola_operator.cluster import ClusterError, Conflict, NotFound, key_of
from cupola_operator.kube import connection, release
from cupola_operator.kube.api import Answer, Request
from cupola_operator.kube.client import Client
from cupola_operator.kube.lease import Terms, claim

from .apiserver import ADMIN, NOBODY
from .conftest import connect
from .test_client import dataset, made

pytestmark = pytest.mark.apiserver

LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"


def held(server: Any, namespace: str, name: str, *others: str) -> dict[str, Any]:
    value = dataset(namespace, name)
    value["metadata"]["finalizers"] = [labels.FINALIZER, *others]
    return made(server, value)


def lease(server: Any, namespace: str, holder: str) -> None:
    value = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "cupola-operator", "namespace": namespace},
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": 15},
    }
    server.call("POST", LEASES.format(namespace), value)


def test_the_finalizer_goes_and_those_of_others_stay(
    client: Client, server: Any, namespace: str
) -> None:
    one = held(server, namespace, "one")
    two = held(server, namespace, "two", "of.others/finalizer")
    made(server, dataset(namespace, "free"))
    assert release.release(client, [namespace]) == (2, [])
    there = client.get(key_of(two))
    assert there
    assert there["metadata"]["finalizers"] == ["of.others/finalizer"]
    client.delete(key_of(one), one["metadata"]["uid"])
    assert client.get(key_of(one)) is None
    assert release.release(client, [namespace]) == (0, [])


def test_a_resource_that_changes_or_goes_meanwhile_is_read_again(
    client: Client, server: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(server, namespace, "one")
    finalize, errors = client.finalize, [Conflict("changed")]

    def late(*arguments: Any) -> None:
        if errors:
            raise errors.pop()
        finalize(*arguments)

    monkeypatch.setattr(client, "finalize", late)
    assert release.release(client, [namespace]) == (1, [])
    held(server, namespace, "two")
    errors.append(NotFound("gone"))  # type: ignore[arg-type]
    assert release.release(client, [namespace]) == (0, [])
    errors.extend(Conflict("changed") for _ in range(9))
    done, problems = release.release(client, [namespace])
    assert done == 0
    assert problems == ["Dataset/two: it changes all the time; run this again"]


def test_a_permission_that_is_missing_is_said(api: Callable[..., Any], namespace: str) -> None:
    done, problems = release.release(Client(api(NOBODY)), [namespace])
    assert done == 0
    assert "the operator may not list datasets.cupola.dev" in problems[0]


def test_the_lease_is_taken_and_no_replica_has_it_for_a_while(
    api: Callable[..., Any], server: Any, namespace: str
) -> None:
    lease(server, namespace, "replica")
    slept: list[float] = []
    assert release.take_lease(api(), namespace, sleep=slept.append)
    assert slept == [Terms().lifetime - Terms().margin]
    there = server.call("GET", LEASES.format(namespace) + "/cupola-operator", None)
    now = release.datetime.now(release.UTC)
    seen, spec = claim(there, "replica", None, now=0, time=now, terms=Terms())
    assert spec is None
    _, spec = claim(there, "replica", seen, now=release.HELD_SECONDS, time=now, terms=Terms())
    assert spec is None
    _, spec = claim(there, "replica", seen, now=release.HELD_SECONDS + 1, time=now, terms=Terms())
    assert spec


def test_a_lease_that_nobody_holds_is_taken_at_once_and_none_is_made(
    api: Callable[..., Any], server: Any, namespace: str
) -> None:
    assert release.take_lease(api(), namespace) is False
    lease(server, namespace, "")
    slept: list[float] = []
    assert release.take_lease(api(), namespace, sleep=slept.append)
    assert slept == [0]


def test_a_lease_that_is_not_had_is_an_error(api: Callable[..., Any], namespace: str) -> None:
    with pytest.raises(ClusterError, match="is not had"):
        release.take_lease(api(NOBODY), namespace)

    class Busy:
        def ask(self, request: Request) -> Answer:
            if request.verb == "get":
                return Answer(HTTPStatus.OK, {"metadata": {}, "spec": {}})
            return Answer(HTTPStatus.CONFLICT, {})

    busy: Any = Busy()
    with pytest.raises(ClusterError, match="it changes all the time"):
        release.take_lease(busy, namespace, sleep=lambda _: None)


def test_the_command_says_what_it_did(
    server: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(server, namespace, "one")
    monkeypatch.setenv("POD_NAMESPACE", namespace)
    monkeypatch.setattr("cupola_operator.cli.release.configuration", lambda: connect(server, ADMIN))
    found = CliRunner().invoke(app, ["release", "--namespace", namespace])
    assert (found.exit_code, found.stdout) == (
        0,
        "1 resources have no finalizer of Cupola any more.\n",
    )
    monkeypatch.setattr(
        "cupola_operator.cli.release.configuration", lambda: connect(server, NOBODY)
    )
    found = CliRunner().invoke(app, ["release", "--namespace", namespace])
    assert found.exit_code == 1
    assert "may not list" in found.stderr


def test_the_command_without_a_cluster_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Any:
        raise connection.NoCluster("no cluster is configured")

    monkeypatch.setattr("cupola_operator.cli.release.configuration", none)
    found = CliRunner().invoke(app, ["release"])
    assert (found.exit_code, found.stderr) == (2, "no cluster is configured\n")
