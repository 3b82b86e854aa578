"""One real API server for the tests of this folder that ask for it, and clients of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from kubernetes.client import Configuration

from cupola_operator.kube import checks
from cupola_operator.kube.api import Api
from cupola_operator.kube.client import Client
from cupola_operator.kube.places import PLACES

from . import proxy as proxies
from .apiserver import ADMIN, OPERATOR, ROOT, ApiServer, binaries, running

SYSTEM = "cupola-system"
_numbers = count(1)


@pytest.fixture(scope="session")
def server() -> Iterator[ApiServer]:
    """An API server with Cupola's CRDs and a stand-in for the training operator's."""
    programs = binaries()
    if programs is None:
        pytest.skip("no etcd and kube-apiserver; run e2e/cluster/binaries etcd kube-apiserver")
    with running(programs) as one:
        one.kubectl("create", "namespace", SYSTEM)
        install(one, "cupola", "pytorchjobs")
        allow(one, OPERATOR)
        yield one


def install(server: ApiServer, *what: str) -> None:
    """Create CRDs and wait until they are served."""
    files = {"cupola": ROOT / "crds", "pytorchjobs": Path(__file__).with_name("pytorchjobs.yaml")}
    for one in what:
        server.kubectl("apply", "-f", str(files[one]))
    server.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")


def rules(without: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """The rules that `checks.NEEDS` asks for; `without` names kinds that are left out."""
    return [
        {
            "apiGroups": [PLACES[need.kind].group],
            "resources": [
                PLACES[need.kind].plural + (f"/{need.subresource}" if need.subresource else "")
            ],
            "verbs": list(need.verbs),
        }
        for need in (*checks.NEEDS, checks.LEASE)
        if need.kind not in without
    ]


def allow(server: ApiServer, token: str, without: tuple[str, ...] = ()) -> None:
    """Give the user of a token the operator's permissions, and no others."""
    user = token.removesuffix("-token")
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": f"cupola-{user}"},
        "rules": rules(without),
    }
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"cupola-{user}"},
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": "ClusterRole",
            "name": f"cupola-{user}",
        },
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"}],
    }
    both = json.dumps({"apiVersion": "v1", "kind": "List", "items": [role, binding]})
    server.kubectl("apply", "-f", "-", stdin=both)


@pytest.fixture
def namespace(server: ApiServer) -> str:
    """A namespace of the test's own."""
    name = f"test-{next(_numbers)}"
    server.kubectl("create", "namespace", name)
    return name


def connect(server: ApiServer, token: str, url: str | None = None) -> Configuration:
    """How the user of a token reaches the API server, or the proxy at `url`."""
    found: Any = Configuration()
    found.host = url or server.url
    found.ssl_ca_cert = str(server.ca)
    found.api_key = {"BearerToken": f"Bearer {token}"}
    found.retries = False
    return found


@pytest.fixture
def api(server: ApiServer) -> Iterator[Callable[..., Api]]:
    """Makes connections: of a user, through a proxy, with the options of Api."""
    made = []

    def make(token: str = ADMIN, url: str | None = None, **options: Any) -> Api:
        made.append(Api(connect(server, token, url), **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def client(api: Callable[..., Api]) -> Client:
    """A client that may do everything."""
    return Client(api())


@pytest.fixture
def proxy(server: ApiServer) -> Iterator[proxies.Proxy]:
    """A proxy before the API server."""
    with proxies.before(server) as one:
        yield one
