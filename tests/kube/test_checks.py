from __future__ import annotations

from typing import Any

import pytest

from cupola_operator.kube import checks
from cupola_operator.kube.checks import Installation
from cupola_operator.kube.places import PLACES, WATCHED

from .apiserver import NOBODY, OPERATOR
from .conftest import SYSTEM, allow

pytestmark = pytest.mark.apiserver


@pytest.fixture
def restored(server: Any) -> Any:
    """The operator's permissions are whole again afterwards."""
    yield
    allow(server, OPERATOR)


def test_an_installation_with_crds_and_permissions_is_whole(api: Any) -> None:
    found = checks.inspect(api(OPERATOR), [], SYSTEM)
    assert found == Installation((), (), frozenset(WATCHED))
    assert found.whole


def test_the_permissions_that_are_missing_are_named(api: Any) -> None:
    found = checks.inspect(api(NOBODY), [], SYSTEM)
    assert len(found.missing) == len(checks.NEEDS) + 1
    assert found.missing[0] == (
        "the operator may not get, list, watch, patch datasets.cupola.dev in all namespaces; give its "
        "service account the rules of Cupola's chart"
    )
    assert any("update datasets/status.cupola.dev in" in line for line in found.missing)
    assert any("leases.coordination.k8s.io in namespace cupola-system" in s for s in found.missing)
    assert found.watchable == frozenset()


def test_a_kind_that_may_not_be_watched_leaves_the_others(
    api: Any, server: Any, restored: None
) -> None:
    allow(server, OPERATOR, without=("Pod",))
    found = checks.inspect(api(OPERATOR), [], SYSTEM)
    assert [line.partition(" in all")[0] for line in found.missing] == [
        "the operator may not get, list, watch pods"
    ]
    assert found.watchable == frozenset(WATCHED) - {"Pod"}


def test_permissions_are_looked_at_in_the_namespaces_that_are_served(api: Any) -> None:
    found = checks.inspect(api(NOBODY), ["a", "b"], SYSTEM)
    assert len(found.missing) == 2 * len(checks.NEEDS) + 1
    assert "in namespace a" in found.missing[0]


def test_a_missing_training_operator_leaves_the_rest(
    api: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = PLACES["PyTorchJob"]._replace(version="v9")
    monkeypatch.setitem(checks.PLACES, "PyTorchJob", gone)
    found = checks.inspect(api(OPERATOR), [], SYSTEM)
    assert found.missing == ()
    assert len(found.lacking) == 1
    assert "CRD pytorchjobs.kubeflow.org is missing" in found.lacking[0]
    assert "install the Kubeflow training operator" in found.lacking[0]
    assert found.watchable == frozenset(WATCHED) - {"PyTorchJob"}
    assert not found.whole


def test_a_missing_crd_of_our_own_is_named(api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = PLACES["Dataset"]._replace(plural="nothings")
    monkeypatch.setitem(checks.PLACES, "Dataset", gone)
    found = checks.inspect(api(OPERATOR), [], SYSTEM)
    assert found.missing == (
        "the CRD nothings.cupola.dev is missing; install Cupola's CRDs: kubectl apply -f crds/",
    )


def test_an_api_server_that_does_not_answer_is_said_so(api: Any) -> None:
    one = api(url="http://127.0.0.1:9")
    one.hurry()
    (sentence,) = checks.inspect(one, [], SYSTEM).missing
    assert sentence.startswith("the API server does not answer get /apis/cupola.dev/v1alpha1: ")
