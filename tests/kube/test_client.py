from __future__ import annotations

from typing import Any

import pytest

from cupola_operator.cluster import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Key,
    KindMissing,
    NotFound,
    Refused,
    key_of,
)
from cupola_operator.kube import client as module
from cupola_operator.kube.client import Client
from cupola_operator.labels import FINALIZER

from .apiserver import NOBODY
from .proxy import cut, half, lost, status

pytestmark = pytest.mark.apiserver


def config_map(namespace: str, name: str = "one", **labels: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "data": {"a": "1"},
    }


def dataset(namespace: str, name: str = "data") -> dict[str, Any]:
    return {
        "apiVersion": "cupola.dev/v1alpha1",
        "kind": "Dataset",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "sources": [{"name": "a", "uri": "store:///a", "format": "Jsonl"}],
            "tokenizer": {"train": {"vocabSize": 4096}},
        },
    }


def made(server: Any, value: dict[str, Any]) -> dict[str, Any]:
    path = f"/apis/cupola.dev/v1alpha1/namespaces/{value['metadata']['namespace']}/datasets"
    return dict(server.call("POST", path, value))


def test_what_is_created_is_read_back_as_a_plain_object(client: Client, namespace: str) -> None:
    stored = client.create(config_map(namespace))
    assert stored["metadata"]["uid"]
    assert client.get(key_of(stored)) == stored
    assert stored["metadata"]["managedFields"][0]["manager"] == "cupola"


def test_what_is_not_there_is_none(client: Client, namespace: str) -> None:
    assert client.get(Key("ConfigMap", namespace, "one")) is None
    assert client.get(Key("ConfigMap", "no-such-namespace", "one")) is None


def test_a_second_create_already_exists(client: Client, namespace: str) -> None:
    client.create(config_map(namespace))
    with pytest.raises(AlreadyExists):
        client.create(config_map(namespace))


def test_find_selects_by_labels_and_sorts_by_name(client: Client, namespace: str) -> None:
    for name, labels in (("b", {"x": "1", "y": "2"}), ("a", {"x": "1"}), ("c", {"x": "2"})):
        client.create(config_map(namespace, name, **labels))
    found = client.find("ConfigMap", namespace, {"x": "1"})
    assert [value["metadata"]["name"] for value in found] == ["a", "b"]
    assert {(value["kind"], value["apiVersion"]) for value in found} == {("ConfigMap", "v1")}


def test_find_reads_all_pages(
    client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    for number in range(10):
        client.create(config_map(namespace, f"m{number}", x="1"))
    found = client.find("ConfigMap", namespace, {"x": "1"})
    assert [value["metadata"]["name"] for value in found] == [f"m{i}" for i in range(10)]


def test_a_list_whose_next_page_has_expired_is_begun_anew(
    api: Any, proxy: Any, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 3)
    client = Client(api(url=proxy.url))
    for number in range(5):
        client.create(config_map(namespace, f"m{number}", x="1"))
    proxy.seen.clear()
    proxy.misbehave("GET", lambda _: False, status(410))
    assert len(client.find("ConfigMap", namespace, {"x": "1"})) == 5
    assert len(proxy.seen) == 4  # a page, the expired one, and both pages again


def test_find_without_a_namespace_looks_in_all(client: Client, server: Any, namespace: str) -> None:
    made(server, dataset(namespace, "everywhere"))
    keys = {key_of(value) for value in client.find("Dataset", "", {})}
    assert Key("Dataset", namespace, "everywhere") in keys


def test_a_status_is_replaced_whole(client: Client, server: Any, namespace: str) -> None:
    first = made(server, dataset(namespace))
    key = key_of(first)
    one = client.patch_status(
        key,
        {"phase": "Running", "retry": "token", "progress": {"fraction": 0.5, "stage": "clean"}},
        first["metadata"]["resourceVersion"],
    )
    two = client.patch_status(
        key,
        {"phase": "Running", "progress": {"fraction": 0.6}},
        one["metadata"]["resourceVersion"],
    )
    kept = client.get(key)
    assert kept is not None
    assert kept == two
    assert {**kept["status"], "progress": {"fraction": 0.6}} == kept["status"]
    assert "retry" not in kept["status"]
    assert kept["spec"] == first["spec"]
    assert kept["metadata"]["generation"] == 1


def test_a_status_decided_on_an_old_version_is_a_conflict(
    client: Client, server: Any, namespace: str
) -> None:
    value = made(server, dataset(namespace))
    version = value["metadata"]["resourceVersion"]
    client.patch_status(key_of(value), {"phase": "Running"}, version)
    with pytest.raises(Conflict):
        client.patch_status(key_of(value), {"phase": "Failed"}, version)
    assert client.get(key_of(value))["status"]["phase"] == "Running"  # type: ignore[index]


def test_a_status_of_what_is_gone_is_not_found(client: Client, namespace: str) -> None:
    with pytest.raises(NotFound):
        client.patch_status(Key("Dataset", namespace, "none"), {"phase": "Running"}, "1")


def test_a_status_that_does_not_fit_the_schema_is_refused(
    client: Client, server: Any, namespace: str
) -> None:
    value = made(server, dataset(namespace))
    version = value["metadata"]["resourceVersion"]
    with pytest.raises(Refused, match=r"refuses to update Dataset data: .*status\.phase"):
        client.patch_status(key_of(value), {"phase": "Dancing"}, version)


def test_an_object_is_replaced_in_the_version_that_it_had(client: Client, namespace: str) -> None:
    stored = client.create(config_map(namespace))
    changed = client.replace({**stored, "data": {"b": "2"}})
    there = client.get(key_of(stored))
    assert there
    assert (there["data"], changed["data"]) == ({"b": "2"}, {"b": "2"})
    with pytest.raises(Conflict):
        client.replace({**stored, "data": {"c": "3"}})
    client.delete(key_of(stored), stored["metadata"]["uid"])
    with pytest.raises(NotFound):
        client.replace(changed)


def test_finalizers_are_set_and_nothing_else(client: Client, server: Any, namespace: str) -> None:
    stored = made(server, dataset(namespace))
    key = key_of(stored)
    client.finalize(key, [FINALIZER], stored["metadata"]["resourceVersion"])
    held = client.get(key)
    assert held
    assert held["metadata"]["finalizers"] == [FINALIZER]
    assert held["metadata"]["generation"] == 1
    assert held["spec"] == stored["spec"]
    with pytest.raises(Conflict):
        client.finalize(key, [], stored["metadata"]["resourceVersion"])
    client.delete(key, held["metadata"]["uid"])
    going = client.get(key)
    assert going
    assert going["metadata"]["deletionTimestamp"]
    client.finalize(key, [], going["metadata"]["resourceVersion"])
    assert client.get(key) is None
    with pytest.raises(NotFound):
        client.finalize(key, [], going["metadata"]["resourceVersion"])


def test_a_delete_is_of_that_uid_alone(client: Client, namespace: str) -> None:
    stored = client.create(config_map(namespace))
    key = key_of(stored)
    client.delete(key, "00000000-0000-0000-0000-000000000000")
    assert client.get(key) is not None
    client.delete(key, stored["metadata"]["uid"])
    assert client.get(key) is None
    client.delete(key, stored["metadata"]["uid"])  # it is gone, which is what was asked for


def test_a_job_is_deleted_in_the_background(client: Client, namespace: str) -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "one", "namespace": namespace},
        "spec": {
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "main", "image": "x"}],
                }
            }
        },
    }
    stored = client.create(job)
    client.delete(key_of(stored), stored["metadata"]["uid"])
    assert client.get(key_of(stored)) is None  # by default it would wait for its pods, as orphans


@pytest.mark.parametrize("fault", [lost, half])
def test_a_create_whose_answer_is_lost_ends_as_already_exists(
    api: Any, proxy: Any, client: Client, namespace: str, fault: Any
) -> None:
    proxy.misbehave("POST", fault)
    with pytest.raises(AlreadyExists):
        Client(api(url=proxy.url)).create(config_map(namespace))
    assert client.get(Key("ConfigMap", namespace, "one")) is not None


def test_a_status_whose_answer_is_lost_ends_as_a_conflict_and_is_there(
    api: Any, proxy: Any, server: Any, namespace: str
) -> None:
    client = Client(api(url=proxy.url))
    value = made(server, dataset(namespace))
    proxy.misbehave("PUT", lost)
    with pytest.raises(Conflict):
        client.patch_status(
            key_of(value), {"phase": "Running"}, value["metadata"]["resourceVersion"]
        )
    assert client.get(key_of(value))["status"]["phase"] == "Running"  # type: ignore[index]


def test_a_delete_whose_answer_is_lost_is_done(api: Any, proxy: Any, namespace: str) -> None:
    client = Client(api(url=proxy.url))
    stored = client.create(config_map(namespace))
    proxy.misbehave("DELETE", lost)
    client.delete(key_of(stored), stored["metadata"]["uid"])
    assert client.get(key_of(stored)) is None


def test_what_fails_for_a_moment_is_asked_again(api: Any, proxy: Any, namespace: str) -> None:
    client = Client(api(url=proxy.url))
    proxy.misbehave("POST", status(500), cut, status(503))
    stored = client.create(config_map(namespace))
    proxy.misbehave("GET", half, status(429, **{"Retry-After": "1"}))
    assert client.get(key_of(stored)) == stored


def test_a_kind_that_the_cluster_does_not_know_is_not_found_and_cannot_be_created(
    client: Client, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = module.PLACES["PyTorchJob"]._replace(group="nobody.example")
    monkeypatch.setitem(module.PLACES, "PyTorchJob", place)
    assert client.find("PyTorchJob", namespace, {}) == []
    assert client.get(Key("PyTorchJob", namespace, "one")) is None
    job = {
        "apiVersion": "nobody.example/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": "one", "namespace": namespace},
    }
    with pytest.raises(KindMissing, match=r"CRD pytorchjobs\.nobody\.example is missing.*install"):
        client.create(job)


def test_a_namespace_that_is_missing_is_no_missing_kind(client: Client) -> None:
    with pytest.raises(NotFound):
        client.create(config_map("no-such-namespace"))


def test_a_permission_that_is_missing_is_named(api: Any, namespace: str) -> None:
    client = Client(api(NOBODY))
    with pytest.raises(Forbidden, match=f"may not list pods in namespace {namespace}; "):
        client.find("Pod", namespace, {})
    with pytest.raises(Forbidden, match=f"may not create jobs.batch in namespace {namespace}; "):
        client.create(
            {
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {"name": "one", "namespace": namespace},
            }
        )
    with pytest.raises(Forbidden, match=r"may not update datasets/status\.cupola\.dev in"):
        client.patch_status(Key("Dataset", namespace, "data"), {}, "1")


def test_a_permission_is_asked_for_again_before_it_is_missing(
    api: Any, proxy: Any, server: Any, namespace: str
) -> None:
    refusal = status(403)
    client = Client(api(NOBODY, url=proxy.url))
    with pytest.raises(Forbidden):
        client.find("Pod", namespace, {})
    assert len(proxy.seen) == 3  # an API server that starts refuses what it allows a moment later
    proxy.misbehave("GET", refusal)
    with pytest.raises(Refused):  # other refusals are what they are
        client.find("Pod", namespace, {})
    assert len(proxy.seen) == 4


def test_a_quota_is_no_missing_permission(client: Client, server: Any, namespace: str) -> None:
    server.call(
        "POST",
        f"/api/v1/namespaces/{namespace}/resourcequotas",
        {"metadata": {"name": "none"}, "spec": {"hard": {"count/configmaps": "0"}}},
    )
    path = f"/api/v1/namespaces/{namespace}/resourcequotas/none/status"
    limits = {"hard": {"count/configmaps": "0"}, "used": {"count/configmaps": "0"}}
    server.call("PATCH", path, {"status": limits})  # as its controller does
    with pytest.raises(Refused, match=r"refuses to create ConfigMap one: .*exceeded quota"):
        client.create(config_map(namespace))
