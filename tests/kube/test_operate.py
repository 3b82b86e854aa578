"""The operator as processes against a real API server, with no more than the permissions it names."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cupola_operator import labels
from cupola_operator.kube.api import Api
from cupola_operator.kube.client import Client
from cupola_operator.kube.release import release

from .apiserver import ADMIN, OPERATOR, free_port
from .conftest import allow, connect, install
from .operating import BRIEF, SETTINGS, Replica, World, dataset, pretrain, until

pytestmark = pytest.mark.apiserver


@pytest.fixture
def start(server: Any, namespace: str) -> Iterator[Callable[..., Replica]]:
    """Starts replicas that serve the test's namespace."""
    made: list[Replica] = []

    def one(name: str = "one", **options: Any) -> Replica:
        made.append(Replica(server, namespace, name, **options))
        return made[-1]

    yield one
    for replica in made:
        replica.end()


@pytest.fixture
def world(server: Any, namespace: str) -> World:
    return World(server, namespace)


def test_what_happens_to_children_and_references_wakes_a_resource(
    start: Callable[..., Replica], world: World
) -> None:
    replica = start()
    until(lambda: replica.page("/readyz") == (200, "ok\n"))
    world.apply(pretrain())
    until(lambda: world.ready("pretrainjobs", "base")[0] == "WaitingForDataset")
    world.apply(dataset(done=True))  # wakes what refers to it
    (job,) = until(lambda: world.list("/apis/kubeflow.org/v1", "pytorchjobs"))
    assert job["metadata"]["ownerReferences"][0]["name"] == "base"
    assert job["metadata"]["managedFields"][0]["manager"] == "cupola"

    world.apply(dataset("other"))
    (listing,) = until(lambda: world.list("/apis/batch/v1", "jobs"))
    until(lambda: "waits for its pods" in world.ready("datasets", "other")[1])
    begun = datetime.now(UTC) - timedelta(seconds=1000)
    pod = world.start_pod(listing, begun)  # wakes the Dataset; its own turn is a minute away
    until(lambda: world.status("datasets", "other")["phase"] == "Running")

    # Prometheus and status say the same, digit for digit.
    cost = world.status("datasets", "other")["cost"]
    assert float(cost["accrued"]) > 0
    mine = {"kind": "Dataset", "namespace": world.namespace, "name": "other"}
    money = frozenset({**mine, "currency": "EUR"}.items())

    def agree() -> bool:
        metrics, cost = replica.metrics(), world.status("datasets", "other")["cost"]
        return all(
            metrics[f"cupola_run_cost_{part}", money] == float(cost[part])
            for part in ("accrued", "wasted", "projected")
        )

    until(agree)
    metrics = replica.metrics()
    assert metrics["cupola_resource_phase", frozenset({**mine, "phase": "Running"}.items())] == 1
    assert metrics["cupola_resource_phase", frozenset({**mine, "phase": "Failed"}.items())] == 0
    assert metrics["cupola_run_attempts_total", frozenset(mine.items())] == 1
    seconds = metrics["cupola_run_gpu_seconds_total", frozenset(mine.items())]
    assert 1000 <= seconds <= 1100
    assert metrics["cupola_leader", frozenset()] == 1
    reads = {"verb": "get", "resource": "datasets", "code": "200"}
    assert metrics["cupola_api_requests_total", frozenset(reads.items())] > 1
    looks = frozenset({"kind": "Dataset"}.items())
    assert metrics["cupola_reconcile_duration_seconds_count", looks] > 1
    assert metrics["cupola_reconcile_errors_total", looks] == 0

    # A series goes with its object.
    _goes(world, float(cost["accrued"]))
    # A series goes with its object.
    until(lambda: ("cupola_run_cost_accrued", money) not in replica.metrics())

    # Only what Cupola made is streamed of kinds that others use, and nothing was refused.
    requests = world.requests()
    streams = [r["requestURI"] for r in requests if r["verb"] == "watch"]
    for plural in ("pods", "jobs", "pytorchjobs"):
        mine_ = [uri for uri in streams if f"/{plural}?" in uri]
        assert mine_
        assert all("managed-by%3Dcupola&" in uri for uri in mine_)
    assert {r["responseStatus"]["code"] for r in requests} <= {200, 201, 404, 409, 429}
    assert set(world.creates().values()) == {1}
    assert "secrets" not in {r["objectRef"]["resource"] for r in requests}
    assert f"created Job {world.namespace}/{listing['metadata']['name']}" in replica.said()
    assert pod


def _goes(world: World, cost: float) -> None:
    """A Dataset that is deleted goes when its pod is gone and its money is in the ledger."""
    world.server.kubectl("delete", "dset", "other", "-n", world.namespace, "--wait=false")
    until(lambda: not world.list("/apis/batch/v1", "jobs"))
    assert world.status("datasets", "other")
    force = ("--force", "--grace-period=0")
    world.server.kubectl("delete", "pod", "--all", "-n", world.namespace, *force)
    until(
        lambda: (
            "other"
            not in {
                value["metadata"]["name"]
                for value in world.list("/apis/cupola.dev/v1alpha1", "datasets")
            }
        )
    )
    (ledger,) = [
        value
        for value in world.list("/api/v1", "configmaps")
        if value["metadata"]["name"].startswith("cupola-ledger-")
    ]
    (entry,) = map(json.loads, ledger["data"].values())
    assert entry["name"] == "other"
    assert float(entry["cost"]) >= cost


def test_a_resource_is_left_as_it_was_written_but_for_the_finalizer(
    start: Callable[..., Replica], world: World
) -> None:
    start(namespaces=[])  # all of them
    world.apply(dataset())
    until(lambda: world.list("/apis/batch/v1", "jobs"))
    (value,) = world.list("/apis/cupola.dev/v1alpha1", "datasets")
    assert value["metadata"]["finalizers"] == [labels.FINALIZER]
    assert "annotations" not in value["metadata"]
    assert value["metadata"]["generation"] == 1
    managers = {
        (one["manager"], one.get("subresource")) for one in value["metadata"]["managedFields"]
    }
    assert ("cupola", "status") in managers
    assert ("cupola", None) not in managers


def test_a_replica_that_is_frozen_or_killed_is_replaced_and_nothing_is_made_twice(
    start: Callable[..., Replica], world: World
) -> None:
    one = start("one", terms=BRIEF)
    until(one.leads)
    two = start("two", terms=BRIEF)
    until(lambda: two.page("/readyz") == (200, "ok\n"))
    assert not two.leads()
    world.apply(dataset())
    until(lambda: world.list("/apis/batch/v1", "jobs"))
    assert not [name for name, _ in two.metrics() if name.startswith("cupola_run_")]

    one.process.send_signal(signal.SIGSTOP)
    until(two.leads)
    one.process.send_signal(signal.SIGCONT)
    until(lambda: "one does not hold the Lease any more" in one.said())
    assert not one.leads()
    world.apply(dataset("more"))
    until(lambda: len(world.list("/apis/batch/v1", "jobs")) == 2)

    two.process.kill()
    until(one.leads)
    world.apply(dataset("most"))
    until(lambda: len(world.list("/apis/batch/v1", "jobs")) == 3)
    assert set(world.creates().values()) == {1}


def test_a_replica_that_is_told_to_stop_hands_over_at_once(
    start: Callable[..., Replica], world: World
) -> None:
    one = start("one")
    until(one.leads)
    two = start("two")
    until(lambda: two.page("/readyz") == (200, "ok\n"))
    world.apply(dataset())
    until(lambda: world.list("/apis/batch/v1", "jobs"))
    begun = time.monotonic()
    one.process.terminate()
    assert one.process.wait(25) == 0
    until(two.leads, 25)  # long before the Lease would have ended
    assert time.monotonic() - begun < 50
    assert one.said().splitlines()[-1].endswith("INFO    stopped")


def test_without_the_training_operator_trainings_wait_for_it(
    start: Callable[..., Replica], world: World, server: Any
) -> None:
    server.kubectl("delete", "crd", "pytorchjobs.kubeflow.org")
    try:
        replica = start()
        until(lambda: replica.page("/readyz")[0] == 200)  # it does the rest of its work
        assert "CRD pytorchjobs.kubeflow.org is missing" in replica.page("/readyz")[1]
        world.apply(dataset(done=True))
        world.apply(pretrain())
        world.apply(dataset("other"))
        until(lambda: world.ready("pretrainjobs", "base")[0] == "TrainingOperatorMissing")
        assert world.status("pretrainjobs", "base")["phase"] == "Stalled"
        assert "install the Kubeflow training operator" in world.ready("pretrainjobs", "base")[1]
        until(lambda: world.list("/apis/batch/v1", "jobs"))
        assert replica.said().count("CRD pytorchjobs.kubeflow.org is missing") == 2  # log, Event
    finally:
        install(server, "pytorchjobs")
    until(lambda: world.list("/apis/kubeflow.org/v1", "pytorchjobs"))
    until(lambda: world.status("pretrainjobs", "base")["phase"] == "Pending")
    assert replica.page("/readyz") == (200, "ok\n")
    assert "nothing is missing any more" in replica.said()


def test_without_a_permission_it_is_named_and_the_work_goes_on_when_it_is_there(
    start: Callable[..., Replica], world: World, server: Any
) -> None:
    allow(server, OPERATOR, without=("Job",))
    try:
        replica = start()
        world.apply(dataset())
        until(lambda: world.ready("datasets", "data")[0] == "PermissionMissing")
        sentence = f"the operator may not list jobs.batch in namespace {world.namespace}"
        assert world.ready("datasets", "data")[1].startswith(sentence)
        code, text = replica.page("/readyz")
        assert code == 503
        assert "may not get, list, watch, create, delete jobs.batch" in text
        assert replica.page("/healthz") == (200, "ok\n")  # a restart would not help
    finally:
        allow(server, OPERATOR)
    until(lambda: world.list("/apis/batch/v1", "jobs"))
    until(lambda: replica.page("/readyz") == (200, "ok\n"))
    until(lambda: "waits for its pods" in world.ready("datasets", "data")[1])


def test_without_its_own_crds_it_waits_for_them(
    start: Callable[..., Replica], world: World, server: Any
) -> None:
    release(Client(Api(connect(server, ADMIN))), [])  # else what earlier tests left would hang
    server.kubectl("delete", "crd", "datasets.cupola.dev")
    try:
        replica = start()
        until(lambda: "CRD datasets.cupola.dev is missing" in replica.page("/readyz")[1])
        assert replica.page("/readyz")[0] == 503
        assert replica.page("/healthz")[0] == 200
    finally:
        install(server, "cupola")
    until(lambda: replica.page("/readyz") == (200, "ok\n"))
    world.apply(dataset())
    until(lambda: world.list("/apis/batch/v1", "jobs"))


def test_an_api_server_that_was_away_changes_nothing(
    start: Callable[..., Replica], world: World, server: Any
) -> None:
    replica = start(terms=BRIEF)
    world.apply(dataset())
    until(lambda: "waits for its pods" in world.ready("datasets", "data")[1])
    before = world.status("datasets", "data")
    server.kill()
    until(lambda: not replica.leads())  # it cannot renew, so it does not act
    server.start()
    until(replica.leads)
    world.apply(dataset("more"))
    until(lambda: len(world.list("/apis/batch/v1", "jobs")) == 2)
    assert world.status("datasets", "data") == before
    assert set(world.creates().values()) == {1}
    assert "Traceback" not in replica.said()


def test_a_folder_of_one_machine_is_no_store_of_a_cluster(tmp_path: Path) -> None:
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps({**SETTINGS, "store": "file:///data"}))
    done = subprocess.run(
        [sys.executable, "-m", "cupola_operator", "operate", "--settings", str(settings)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "store file:///data is a folder of one machine; on a cluster write s3://" in done.stderr


def test_the_command_runs_until_it_is_told_to_stop(server: Any, namespace: str) -> None:
    port = free_port()
    replica = Replica(server, namespace)  # writes the settings; the command itself is started here
    replica.end()
    environment = {
        **os.environ,
        "KUBECONFIG": str(server.kubeconfig(OPERATOR)),
        "POD_NAMESPACE": namespace,
        "POD_NAME": "operator-0",
    }
    arguments = ["--settings", str(server.folder / "settings.json"), "--log-format", "json"]
    arguments += ["--namespace", namespace, "--listen", f"127.0.0.1:{port}"]
    process = subprocess.Popen(
        [sys.executable, "-m", "cupola_operator", "operate", *arguments],
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    replica.port = port
    try:
        until(lambda: replica.page("/readyz") == (200, "ok\n"))
        until(replica.leads)
        assert replica.page("/nothing")[0] == 404
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=25)
    finally:
        process.kill()
        process.wait(10)
    assert process.returncode == 0
    assert '"message": "stopped"' in said.splitlines()[-1]
    lease = server.call(
        "GET", f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/cupola-operator"
    )
    assert lease["spec"]["holderIdentity"] == ""
