"""What a person has to put right is said in status, and tried again."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from cupola_operator.bookkeeping import LEDGER_PATIENCE
from cupola_operator.children import text_of
from cupola_operator.cluster import (
    Forbidden,
    Key,
    KindMissing,
    NotFound,
    Obstacle,
    Refused,
    Unavailable,
)
from cupola_operator.decide.verdict import SOON
from cupola_operator.reconcile import OBSTACLE_SECONDS, Reconciler, utc_now

DATA = Key("Dataset", "default", "data")


class Bench:
    def __init__(self, kit: Any) -> None:
        self.cluster = kit.Cluster()
        self.reconciler = Reconciler(self.cluster, kit.SETTINGS, scrape=lambda _: {})

    def ready(self, key: Key = DATA) -> Any:
        conditions = self.cluster.objects[key]["status"]["conditions"]
        return next(one for one in conditions if one["type"] == "Ready")


@pytest.fixture
def bench(kit: Any) -> Bench:
    one = Bench(kit)
    one.cluster.apply(kit.resource("Dataset"))
    return one


def fail(error: Exception) -> Any:
    def call(*_: Any) -> Any:
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (KindMissing("install it"), "TrainingOperatorMissing"),
        (Forbidden("may not create"), "PermissionMissing"),
        (Refused("exceeded quota"), "ChildRefused"),
    ],
)
def test_a_create_that_is_refused_stalls_the_resource(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Obstacle, reason: str
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bench.cluster, "create", fail(error))
        assert bench.reconciler.reconcile(DATA) == OBSTACLE_SECONDS
    assert bench.cluster.objects[DATA]["status"]["phase"] == "Stalled"
    assert (bench.ready()["reason"], bench.ready()["message"]) == (reason, str(error))
    assert bench.cluster.events[-1] == (DATA, "Warning", reason, str(error))
    bench.reconciler.reconcile(DATA)  # it is put right
    assert bench.ready()["reason"] != reason


def test_nothing_is_made_in_a_namespace_that_is_going(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.cluster, "create", fail(NotFound("it is being deleted")))
    assert bench.reconciler.reconcile(DATA) == SOON
    assert bench.ready()["reason"] == "Resolving"


def test_a_look_that_is_forbidden_stalls_the_resource(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(bench.cluster, "find", fail(Forbidden("may not list pods")))
        assert bench.reconciler.reconcile(DATA) == OBSTACLE_SECONDS
        assert bench.reconciler.reconcile(DATA) == OBSTACLE_SECONDS
    assert bench.ready()["message"] == "may not list pods"
    assert len(bench.cluster.events) == 1
    bench.reconciler.reconcile(DATA)
    assert bench.ready()["reason"] == "Resolving"


def test_what_has_ended_stays_as_it_ended(
    kit: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bench = Bench(kit)
    bench.cluster.apply(kit.done("Dataset"))
    with monkeypatch.context() as patch:
        patch.setattr(bench.cluster, "find", fail(Forbidden("may not list pods")))
        assert bench.reconciler.reconcile(DATA) == OBSTACLE_SECONDS
    assert bench.cluster.objects[DATA]["status"]["phase"] == "Succeeded"
    assert "Dataset/data: may not list pods" in caplog.text


def test_a_resource_that_is_being_deleted_is_told_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.cluster.objects[DATA]["metadata"]["deletionTimestamp"] = text_of(utc_now())
    monkeypatch.setattr(bench.cluster, "find", fail(Forbidden("may not list pods")))
    assert bench.reconciler.reconcile(DATA) == OBSTACLE_SECONDS
    assert "status" not in bench.cluster.objects[DATA]


def test_a_resource_that_is_deleted_goes_though_its_pods_cannot_be_seen_for_long(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    deleted = utc_now() - LEDGER_PATIENCE - timedelta(seconds=1)
    bench.cluster.objects[DATA]["metadata"]["deletionTimestamp"] = text_of(deleted)
    monkeypatch.setattr(bench.cluster, "find", fail(Forbidden("may not list pods")))
    assert bench.reconciler.reconcile(DATA) is None
    assert DATA not in bench.cluster.objects


def test_a_cluster_that_does_not_answer_is_an_error_and_changes_nothing(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench.cluster, "find", fail(Unavailable("no answer")))
    with pytest.raises(Unavailable):
        bench.reconciler.reconcile(DATA)
    assert "status" not in bench.cluster.objects[DATA]
