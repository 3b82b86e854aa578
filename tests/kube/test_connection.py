from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from kubernetes.config import incluster_config

from cupola_operator.kube.api import Api, Request
from cupola_operator.kube.connection import NoCluster, authorization, configuration

from .apiserver import ADMIN, OPERATOR

MISSING = "set KUBECONFIG to a kubeconfig file"


@pytest.fixture(autouse=True)
def _nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("text", ["", "{", "kind: Config", "- a", "\x00", "current-context: x"])
def test_a_kubeconfig_that_is_none_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    path = tmp_path / "config"
    path.write_text(text)
    monkeypatch.setenv("KUBECONFIG", str(path))
    with pytest.raises(NoCluster, match=MISSING) as error:
        configuration()
    assert "\n" not in str(error.value)


def test_a_kubeconfig_that_is_not_there_is_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere/config")
    with pytest.raises(NoCluster, match=MISSING):
        configuration()


@pytest.mark.apiserver
def test_a_kubeconfig_leads_to_its_cluster(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", str(server.kubeconfig(ADMIN)))
    used = configuration()
    assert authorization(used) == {"Authorization": f"Bearer {ADMIN}"}
    api = Api(used)
    assert api.ask(Request("list", "namespaces", "/api/v1/namespaces")).ok
    api.close()


@pytest.mark.apiserver
def test_a_pod_uses_its_service_account_and_reads_a_new_token(
    server: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    token.write_text(OPERATOR)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(server.ca))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
    used = configuration()
    review = {
        "apiVersion": "authentication.k8s.io/v1",
        "kind": "SelfSubjectReview",
    }
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    api = Api(used)

    def user() -> Any:
        answer = api.ask(Request("create", "selfsubjectreviews", path, body=review))
        return answer.value["status"]["userInfo"]["username"]

    assert user() == "operator"
    token.write_text(ADMIN)
    (loader,) = [
        cell.cell_contents
        for cell in used.refresh_api_key_hook.__closure__
        if isinstance(cell.cell_contents, incluster_config.InClusterConfigLoader)
    ]
    loader.token_expires_at = loader.token_expires_at.min  # a minute has passed
    assert user() == "admin"
    assert authorization(used) == {"Authorization": f"bearer {ADMIN}"}
    api.close()
