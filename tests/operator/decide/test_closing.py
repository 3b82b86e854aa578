from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

import pytest

from cupola_api.outcome import Outcome, OutcomeKind
from cupola_operator import labels
from cupola_operator.bookkeeping import LEDGER_PATIENCE
from cupola_operator.cluster import Forbidden, Key, NotFound, Refused
from cupola_operator.cost.book import entries, key
from cupola_operator.reconcile import OBSTACLE_SECONDS, Reconciler

BASE = Key("PretrainJob", "default", "base")
JOB = Key("PyTorchJob", "default", "base-ptj-r1-a1")
LEDGER = key("default", "2026-01")
HOUR = 3600


class Bench:
    def __init__(self, kit: Any, kind: str = "PretrainJob") -> None:
        self.kit = kit
        self.cluster = kit.Cluster()
        self.controllers = kit.Controllers(self.cluster)
        if kind != "Dataset":
            self.cluster.create(kit.done("Dataset"))
        self.said: dict[str, float] = {}
        self.reconciler = Reconciler(
            self.cluster,
            kit.SETTINGS,
            clock=lambda: self.controllers.now,
            progress_every=0,
            scrape=lambda _: self.said,
        )
        value = kit.resource(kind)
        value["metadata"]["finalizers"] = ["of.others/finalizer"]
        self.key = self.cluster.apply(value)

    def look(self, times: int = 1) -> None:
        for _ in range(times):
            self.reconciler.reconcile(self.key)

    def runs(self) -> None:
        """Its first attempt runs."""
        self.look(4)
        self.controllers.sync()
        for number, pod in enumerate(self.controllers.pods()):
            self.controllers.start(pod, f"10.0.0.{number}")
        self.look()

    def wait(self, seconds: float) -> None:
        self.controllers.now += self.kit.seconds(seconds)

    def delete(self) -> None:
        self.cluster.delete(self.key, self.value["metadata"]["uid"])
        self.value["metadata"]["deletionTimestamp"] = self.now

    @property
    def now(self) -> str:
        return f"{self.controllers.now:%Y-%m-%dT%H:%M:%SZ}"

    @property
    def value(self) -> Any:
        return self.cluster.objects[self.key]

    @property
    def held(self) -> bool:
        return labels.FINALIZER in self.value["metadata"]["finalizers"]

    def money(self) -> list[tuple[str, str, str | None]]:
        """Month, key and money of each entry of the ledgers."""
        return [
            (one.name[-7:], name, json.loads(text).get("cost"))
            for one, value in sorted(self.cluster.objects.items())
            if one.name.startswith("cupola-ledger-")
            for name, text in value["data"].items()
        ]


@pytest.fixture
def bench(kit: Any) -> Bench:
    return Bench(kit)


def test_the_finalizer_is_there_before_the_first_job(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    create, held = bench.cluster.create, []

    def made(value: Any) -> Any:
        held.append((value["kind"], bench.held))
        return create(value)

    monkeypatch.setattr(bench.cluster, "create", made)
    bench.look(4)
    assert held == [("ConfigMap", False), ("PyTorchJob", True)]
    assert "of.others/finalizer" in bench.value["metadata"]["finalizers"]


def test_a_resource_from_before_the_ledger_gets_the_finalizer(bench: Bench) -> None:
    bench.runs()
    bench.value["metadata"]["finalizers"] = []
    bench.look()
    assert bench.value["metadata"]["finalizers"] == [labels.FINALIZER]


def test_a_resource_goes_when_its_pods_have_ended_and_its_money_is_in_the_ledger(
    bench: Bench,
) -> None:
    bench.runs()
    bench.wait(HOUR)
    bench.delete()
    bench.look(2)
    assert JOB not in bench.cluster.objects
    (ready,) = [c for c in bench.value["status"]["conditions"] if c["type"] == "Ready"]
    assert ready["reason"] == "Deleting"
    assert bench.held
    for pod in bench.controllers.pods():
        bench.controllers.end(pod, code=143)
    bench.look(4)
    # Two pods of two slots each, for an hour at 0.36.
    uid = bench.value["metadata"]["uid"]
    assert bench.money() == [("2026-01", f"{uid}.r1", "1.44")]
    assert not bench.held
    assert entries([bench.cluster.objects[LEDGER]])[0].estimated is False
    bench.look()
    assert len(bench.money()) == 1


def test_an_operator_that_dies_between_two_writes_counts_nothing_twice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.runs()
    bench.wait(HOUR)
    bench.delete()
    bench.look(2)
    for pod in bench.controllers.pods():
        bench.controllers.end(pod, code=143)

    class Dies(Exception):
        pass

    def dies(*_: Any) -> None:
        raise Dies

    with monkeypatch.context() as patch:
        patch.setattr(bench.cluster, "finalize", dies)
        with pytest.raises(Dies):
            bench.look(4)
    written = bench.money()
    assert written
    bench.wait(HOUR)
    bench.look(2)
    assert bench.money() == written
    assert not bench.held


def test_the_money_of_a_run_is_shared_over_the_months(bench: Bench) -> None:
    bench.controllers.now = datetime.fromisoformat("2026-01-31T23:00:00+00:00")
    bench.runs()
    bench.wait(2 * HOUR)
    for pod in bench.controllers.pods():
        bench.controllers.end(pod, code=143)
    bench.delete()
    bench.look(5)
    uid = bench.value["metadata"]["uid"]
    assert bench.money() == [("2026-01", f"{uid}.r1", "1.44"), ("2026-02", f"{uid}.r1", "1.44")]


def test_a_run_that_ended_is_closed_at_once(bench: Bench) -> None:
    bench.runs()
    bench.wait(HOUR)
    said = Outcome(outcome=OutcomeKind.FAILED, reason="InvalidConfig", failure="User")
    for pod in bench.controllers.pods():
        bench.controllers.end(pod, said, code=2)
    bench.controllers.sync()
    bench.look(6)
    assert bench.value["status"]["phase"] == "Failed"
    bench.delete()
    bench.look()
    assert [money for _, _, money in bench.money()] == ["1.44"]
    assert not bench.held


def test_what_never_held_devices_goes_at_once(bench: Bench) -> None:
    while not bench.held:
        bench.look()
    bench.delete()
    bench.look(5)
    assert {money for _, _, money in bench.money()} <= {"0"}
    assert not bench.held


def test_children_that_were_orphaned_on_purpose_stop_all_the_same(bench: Bench) -> None:
    bench.runs()
    bench.delete()
    del bench.cluster.objects[JOB]["metadata"]["ownerReferences"]
    bench.look(2)
    assert JOB not in bench.cluster.objects


@pytest.mark.parametrize("kind", ["PretrainJob", "Dataset", "Evaluation"])
def test_pods_that_outlive_a_job_that_nobody_recorded_are_charged(kit: Any, kind: str) -> None:
    bench = Bench(kit, kind)
    for other in ("PretrainJob", "FineTune"):
        if kind == "Evaluation":
            bench.cluster.create(kit.done(other))
    jobs: list[Key] = []
    while not jobs:
        bench.look()
        jobs = [one for one in bench.cluster.objects if one.kind in ("Job", "PyTorchJob")]
    bench.controllers.sync()
    for pod in bench.controllers.pods():
        bench.controllers.start(pod)
    bench.value["status"]["attempts"] = []
    del bench.cluster.objects[jobs[0]]
    bench.wait(HOUR)
    bench.delete()
    bench.look()
    for pod in bench.controllers.pods():
        bench.controllers.end(pod, code=143)
    bench.look(6)
    charged = {"PretrainJob": "1.44", "Dataset": "0.36", "Evaluation": "0.72"}[kind]
    assert [money for _, _, money in bench.money()] == [charged]
    assert not bench.held


def test_a_run_whose_configmap_is_gone_is_closed_as_it_was_last_seen(bench: Bench) -> None:
    bench.runs()
    bench.wait(HOUR)
    bench.look()
    bench.cluster.remove(Key("ConfigMap", "default", "base-ptj-r1"))
    bench.delete()
    bench.look(2)
    assert JOB not in bench.cluster.objects
    for pod in bench.controllers.pods():
        bench.controllers.end(pod, code=143)
    bench.look(3)
    (entry,) = entries([bench.cluster.objects[LEDGER]])
    assert (entry.cost, entry.estimated) == ("1.44", True)
    assert not bench.held


def test_an_invalid_spec_does_not_keep_a_resource(bench: Bench) -> None:
    bench.runs()
    bench.wait(HOUR)
    bench.value["spec"] = {"oops": 1}
    bench.delete()
    bench.look(2)
    for pod in bench.controllers.pods():
        bench.controllers.end(pod, code=143)
    bench.look(4)
    assert [money for _, _, money in bench.money()] == ["1.44"]
    assert not bench.held


def test_a_status_that_cannot_be_read_does_not_keep_a_resource(bench: Bench) -> None:
    bench.runs()
    bench.value["status"]["phase"] = "Odd"
    bench.delete()
    bench.look(2)
    for pod in bench.controllers.pods():
        bench.controllers.end(pod, code=143)
    bench.look(4)
    assert not bench.held


def test_a_node_that_never_answers_does_not_keep_a_resource(bench: Bench) -> None:
    bench.runs()
    bench.wait(HOUR)
    bench.delete()
    bench.look(3)  # the pods are asked to stop, and never do
    for pod in bench.controllers.pods():
        pod["metadata"]["deletionTimestamp"] = bench.now
    bench.wait(120)
    bench.look(4)
    assert not bench.held
    (entry,) = entries([bench.cluster.objects[LEDGER]])
    assert entry.estimated
    assert Decimal(entry.cost or 0) >= Decimal("1.44")


def test_every_stage_of_a_dataset_is_closed(kit: Any) -> None:
    bench = Bench(kit, "Dataset")
    bench.runs()
    bench.wait(HOUR)
    bench.delete()
    bench.look(2)
    assert not [one for one in bench.cluster.objects if one.kind == "Job"]
    for pod in bench.controllers.pods():
        bench.controllers.end(pod, code=143)
    bench.look(4)
    assert [money for _, _, money in bench.money()] == ["0.36"]
    assert not bench.held


def test_a_new_revision_starts_when_the_old_one_is_in_the_ledger(bench: Bench, kit: Any) -> None:
    bench.runs()
    bench.wait(HOUR)
    bench.cluster.apply(kit.resource("PretrainJob", revision=2, tokens="4M"))
    bench.look(2)
    assert bench.value["status"]["run"]["revision"] == 1
    for pod in bench.controllers.pods():
        bench.controllers.end(pod, code=143)
    bench.look(8)
    uid = bench.value["metadata"]["uid"]
    assert bench.money() == [("2026-01", f"{uid}.r1", "1.44")]
    assert bench.value["status"]["run"]["revision"] == 2
    assert Key("PyTorchJob", "default", "base-ptj-r2-a1") in bench.cluster.objects


def test_a_job_of_an_old_revision_that_lost_its_labels_goes_too(bench: Bench, kit: Any) -> None:
    bench.runs()
    bench.cluster.objects[JOB]["metadata"]["labels"].pop(labels.KIND)
    for pod in bench.controllers.pods():
        bench.controllers.end(pod, code=143)
    bench.controllers.sync()
    bench.cluster.apply(kit.resource("PretrainJob", revision=2, tokens="4M"))
    bench.look(6)
    assert bench.value["status"]["run"]["revision"] == 2
    assert JOB not in bench.cluster.objects


def test_status_forgets_nothing_that_could_not_be_written(
    bench: Bench, kit: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.runs()
    for pod in bench.controllers.pods():
        bench.controllers.end(pod, code=143)
    bench.look(2)
    bench.cluster.apply(kit.resource("PretrainJob", revision=2, tokens="4M"))
    create = bench.cluster.create

    def refuses(value: Any) -> Any:
        if value["metadata"]["name"].startswith("cupola-ledger-"):
            raise Refused("exceeded quota")
        return create(value)

    with monkeypatch.context() as patch:
        patch.setattr(bench.cluster, "create", refuses)
        bench.look(6)
    status = bench.value["status"]
    assert (status["phase"], status["run"]["revision"]) == ("Stalled", 1)
    assert len(status["attempts"]) == 1
    bench.look(8)
    assert len(bench.money()) == 1
    assert bench.value["status"]["run"]["revision"] == 2


def test_a_ledger_that_changed_meanwhile_is_read_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.cluster.create(
        {
            "kind": "ConfigMap",
            "metadata": {
                "name": LEDGER.name,
                "namespace": "default",
                "labels": {
                    labels.MANAGED_BY: labels.CUPOLA,
                    labels.COMPONENT: "ledger",
                },
            },
        }
    )
    bench.runs()
    for pod in bench.controllers.pods():
        bench.controllers.end(pod, code=143)
    bench.look(2)
    bench.delete()
    replace, tries = bench.cluster.replace, []

    def slow(value: Any) -> Any:
        if value["kind"] == "ConfigMap" and not tries:
            tries.append(1)
            there = bench.cluster.objects[LEDGER]
            bench.cluster._put({**there, "data": {"other.r1": "{}"}})
        return replace(value)

    monkeypatch.setattr(bench.cluster, "replace", slow)
    bench.look(4)
    assert len(bench.cluster.objects[LEDGER]["data"]) == 2
    assert not bench.held


@pytest.mark.parametrize("error", [Refused("exceeded quota"), Forbidden("may not create")])
def test_a_ledger_that_cannot_be_written_keeps_a_resource_for_a_bounded_time(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    bench.runs()
    for pod in bench.controllers.pods():
        bench.controllers.end(pod, code=143)
    bench.look(2)
    bench.delete()

    def refuses(_: Any) -> Any:
        raise error

    monkeypatch.setattr(bench.cluster, "create", refuses)
    bench.look()
    assert bench.reconciler.reconcile(BASE) == OBSTACLE_SECONDS
    assert bench.held
    bench.wait(LEDGER_PATIENCE.total_seconds() + 1)
    bench.look()
    assert not bench.held
    (told,) = [e for e in bench.cluster.events if e[2] == "LedgerNotWritten"]
    assert str(error) in told[3]


def test_a_namespace_that_is_going_keeps_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.runs()
    for pod in bench.controllers.pods():
        bench.controllers.end(pod, code=143)
    bench.look(2)
    bench.delete()

    def going(_: Any) -> Any:
        raise NotFound("the namespace is being deleted")

    monkeypatch.setattr(bench.cluster, "create", going)
    bench.look(2)
    assert not bench.held


def test_what_earlier_resources_of_the_name_spent_counts_for_the_budget(
    bench: Bench, kit: Any
) -> None:
    bench.runs()
    bench.wait(HOUR)
    for pod in bench.controllers.pods():
        bench.controllers.end(pod, code=143)
    bench.delete()
    bench.look(4)
    bench.cluster.remove(BASE)
    bench.controllers.sync()
    bench.cluster.apply(kit.resource("PretrainJob", budget={"maxCost": "1.46"}))
    bench.look(6)
    status = bench.value["status"]
    assert status["run"]["spentBefore"] == "1.44"
    assert status["phase"] == "Suspended"
    (ready,) = [c for c in status["conditions"] if c["type"] == "Ready"]
    assert ready["reason"] == "BudgetExceeded"
    assert "1.44 of it by earlier resources of this name" in ready["message"]
    bench.cluster.apply(
        kit.resource("PretrainJob", budget={"maxCost": "1.46"}, revision=2, tokens="4M")
    )
    bench.look(6)
    assert "spentBefore" not in bench.value["status"]["run"]
