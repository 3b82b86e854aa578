from __future__ import annotations

from typing import Any

import pytest

from cupola_api import metrics
from cupola_api.common import Attempt
from cupola_operator import labels, reconcile
from cupola_operator.cluster import Key
from cupola_operator.decide import decide
from cupola_operator.reconcile import Reconciler, utc_now
from cupola_operator.resources import StatusUnreadable

DATA = Key("Dataset", "default", "data")
BASE = Key("PretrainJob", "default", "base")
LIST = Key("ConfigMap", "default", "data-dset-r1-list")


class Bench:
    def __init__(self, kit: Any, *, every: float = 0) -> None:
        self.kit = kit
        self.cluster = kit.Cluster()
        self.controllers = kit.Controllers(self.cluster)
        self.said: dict[str, float] = {}
        self.reconciler = Reconciler(
            self.cluster,
            kit.SETTINGS,
            clock=lambda: self.controllers.now,
            progress_every=every,
            scrape=lambda _: self.said,
        )

    def status(self, key: Key) -> Any:
        return self.cluster.objects[key].get("status", {})

    def reason(self, key: Key) -> str:
        (ready,) = [c for c in self.status(key)["conditions"] if c["type"] == "Ready"]
        return str(ready["reason"])


@pytest.fixture
def bench(kit: Any) -> Bench:
    one = Bench(kit)
    one.cluster.apply(kit.resource("Dataset"))
    return one


def test_what_is_not_there_is_left_alone(kit: Any) -> None:
    one = Bench(kit)
    assert one.reconciler.reconcile(DATA) is None
    assert one.cluster.objects == {}


def test_the_time_is_in_utc() -> None:
    assert utc_now().utcoffset().total_seconds() == 0  # type: ignore[union-attr]


def test_a_resource_that_is_deleted_and_never_had_pods_is_left_alone(bench: Bench) -> None:
    bench.cluster.objects[DATA]["metadata"] |= {
        "deletionTimestamp": "2026-01-01T00:00:00Z",
        "finalizers": ["of.others/finalizer"],
    }
    assert bench.reconciler.reconcile(DATA) is None
    assert list(bench.cluster.objects) == [DATA]


def test_an_object_that_is_ours_already_is_done(bench: Bench) -> None:
    bench.reconciler.reconcile(DATA)
    bench.cluster.find = lambda *_: []  # lists that lag behind
    assert bench.reconciler.reconcile(DATA) is not None
    assert bench.reason(DATA) == "Resolving"


def strange(bench: Bench, **owner: Any) -> None:
    references = [{"controller": True, **owner}] if owner else []
    bench.cluster.create(
        {
            "kind": "ConfigMap",
            "metadata": {
                "name": LIST.name,
                "namespace": "default",
                "ownerReferences": references,
            },
        }
    )


@pytest.mark.parametrize("owner", [{}, {"kind": "Deployment", "name": "data", "uid": "x"}])
def test_a_strangers_object_is_a_name_conflict(bench: Bench, owner: dict[str, str]) -> None:
    strange(bench, **owner)
    assert bench.reconciler.reconcile(DATA) == 60
    assert (bench.status(DATA)["phase"], bench.reason(DATA)) == ("Stalled", "NameConflict")
    bench.cluster.remove(LIST)
    bench.reconciler.reconcile(DATA)
    assert bench.reason(DATA) == "Resolving"


def test_a_child_that_lost_its_labels_is_told_of(bench: Bench) -> None:
    uid = bench.cluster.objects[DATA]["metadata"]["uid"]
    strange(bench, kind="Dataset", name="data", uid=uid)
    assert bench.reconciler.reconcile(DATA) == 60
    assert bench.reason(DATA) == "NameConflict"
    ready = bench.status(DATA)["conditions"][0]
    assert "lost its labels" in ready["message"]


def test_what_an_earlier_resource_of_the_name_left_is_waited_for(bench: Bench) -> None:
    strange(bench, kind="Dataset", name="data", uid="an earlier uid")
    assert bench.reconciler.reconcile(DATA) == 1
    assert bench.reason(DATA) == "Resolving"
    bench.cluster.remove(LIST)
    bench.reconciler.reconcile(DATA)
    assert LIST in bench.cluster.objects


def test_what_is_on_its_way_out_is_waited_for(bench: Bench) -> None:
    strange(bench)
    bench.cluster.objects[LIST]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert bench.reconciler.reconcile(DATA) == 1
    assert bench.reason(DATA) == "Resolving"


def test_what_vanishes_between_two_calls_is_made_at_the_next_look(bench: Bench) -> None:
    strange(bench)
    get = bench.cluster.get
    bench.cluster.get = lambda key: None if key == LIST else get(key)
    assert bench.reconciler.reconcile(DATA) == 1


def test_an_attempt_is_not_made_while_the_old_job_is_there(bench: Bench, kit: Any) -> None:
    bench.cluster.create(kit.done("Dataset", "other"))
    bench.cluster.apply(kit.resource("PretrainJob", datasets=[{"name": "other"}]))
    bench.reconciler.reconcile(BASE)
    ended = {
        "number": 1,
        "name": "base-ptj-r1-a1",
        "outcome": "Lost",
        "reason": "PodsLost",
        "message": "gone",
    }
    bench.cluster.objects[BASE]["status"]["attempts"] = [ended]
    old = Key("PyTorchJob", "default", "base-ptj-r1-a1")
    bench.cluster.create({"kind": "PyTorchJob", "metadata": {"name": old.name, "labels": {}}})
    new = Key("PyTorchJob", "default", "base-ptj-r1-a2")
    assert bench.reconciler.reconcile(BASE) == 1
    assert new not in bench.cluster.objects
    bench.cluster.remove(old)
    bench.reconciler.reconcile(BASE)
    assert new in bench.cluster.objects


def test_a_resource_that_changed_meanwhile_is_looked_at_again(bench: Bench) -> None:
    def change() -> None:
        bench.cluster.before_patch = lambda: None
        value = bench.cluster.objects[DATA]
        bench.cluster._put({**value, "spec": {**value["spec"], "maxPods": 3}})

    bench.cluster.before_patch = change
    assert bench.reconciler.reconcile(DATA) == 0
    assert bench.status(DATA) == {}
    bench.reconciler.reconcile(DATA)
    assert bench.reason(DATA) in ("Resolving", "Listing")


def test_a_resource_that_goes_meanwhile_is_no_error(bench: Bench) -> None:
    bench.cluster.before_patch = lambda: bench.cluster.remove(DATA)
    assert bench.reconciler.reconcile(DATA) == 0
    assert bench.reconciler.reconcile(DATA) is None


def test_people_are_told_once_of_each_change(bench: Bench) -> None:
    for _ in range(4):
        bench.reconciler.reconcile(DATA)
    told = [(kind, reason) for _, kind, reason, _ in bench.cluster.events]
    assert told == [("Normal", "Resolving"), ("Normal", "Listing"), ("Normal", "Listing")]
    bench.cluster.apply(bench.kit.resource("Dataset", oops=1))
    bench.reconciler.reconcile(DATA)
    assert bench.cluster.events[-1][1:3] == ("Warning", "InvalidSpec")


@pytest.mark.parametrize(("every", "patched"), [(0, True), (3600, False)])
def test_progress_alone_is_written_at_intervals(kit: Any, every: float, patched: bool) -> None:
    one = Bench(kit, every=every)
    one.cluster.create(kit.done("Dataset"))
    one.cluster.apply(kit.resource("PretrainJob"))
    for _ in range(3):
        one.reconciler.reconcile(BASE)
        one.controllers.sync()
    for pod in one.controllers.pods():
        one.controllers.start(pod)
    one.reconciler.reconcile(BASE)
    before = one.cluster.objects[BASE]["metadata"]["resourceVersion"]
    one.controllers.now += kit.seconds(30)
    one.said = {metrics.STEP: 5, metrics.CHECKPOINT_STEP: 4}
    assert one.reconciler.reconcile(BASE) == every
    after = one.cluster.objects[BASE]["metadata"]["resourceVersion"]
    assert (before != after) is patched
    if patched:
        assert one.status(BASE)["progress"]["step"] == 5
        assert one.status(BASE)["cost"]["accrued"] == "0.012"
    for pod in one.controllers.pods():
        one.controllers.end(pod, code=1)
    one.reconciler.reconcile(BASE)
    assert one.status(BASE)["attempts"][0]["outcome"] == "Failed"


def test_the_same_status_is_not_written_again(bench: Bench) -> None:
    bench.cluster.apply(bench.kit.resource("PretrainJob", datasets=[{"name": "nobody"}]))
    bench.reconciler.reconcile(BASE)
    before = bench.cluster.objects[BASE]["metadata"]["resourceVersion"]
    assert bench.reconciler.reconcile(BASE) is None
    assert bench.cluster.objects[BASE]["metadata"]["resourceVersion"] == before


def test_a_resource_wakes_itself_and_what_refers_to_it(bench: Bench, kit: Any) -> None:
    bench.cluster.apply(kit.resource("PretrainJob"))
    bench.cluster.apply(kit.resource("PretrainJob", "other", datasets=[{"name": "nobody"}]))
    bench.cluster.apply(kit.resource("FineTune"))
    bench.cluster.apply(kit.resource("Evaluation", oops=1))
    bench.cluster.create(
        kit.resource("PretrainJob") | {"metadata": {"name": "b", "namespace": "x"}}
    )
    woken = bench.reconciler.wakes(bench.cluster.objects[DATA])
    assert woken == [DATA, BASE, Key("FineTune", "default", "tuned")]


def test_a_resource_that_refers_to_itself_is_woken_once(bench: Bench, kit: Any) -> None:
    key = bench.cluster.apply(kit.resource("Dataset", "me", tokenizer={"dataset": "me"}))
    assert bench.reconciler.wakes(bench.cluster.objects[key]) == [key]


@pytest.mark.parametrize("kind", ["Pod", "Job", "PyTorchJob", "ConfigMap"])
def test_a_child_wakes_the_resource_it_is_of(bench: Bench, kind: str) -> None:
    value = {
        "kind": kind,
        "metadata": {
            "name": "x",
            "namespace": "default",
            "labels": labels.selector("PretrainJob", "base"),
        },
    }
    assert bench.reconciler.wakes(value) == [BASE]


@pytest.mark.parametrize(
    "tags", [None, {}, {labels.KIND: "PretrainJob"}, {labels.KIND: "Pod", labels.NAME: "x"}]
)
def test_an_object_of_nobody_wakes_nobody(bench: Bench, tags: Any) -> None:
    value = {"kind": "Pod", "metadata": {"name": "x", "namespace": "default", "labels": tags}}
    assert bench.reconciler.wakes(value) == []


def test_a_status_that_could_not_be_read_again_is_not_written(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(world: Any) -> Any:
        decision = decide(world)
        attempts = [Attempt.model_construct(number=0, name="a")]
        status = decision.status.model_copy(update={"attempts": attempts})
        return decision._replace(status=status)

    monkeypatch.setattr(reconcile, "decide", wrong)
    with pytest.raises(StatusUnreadable, match=r"Dataset/data: status.attempts.0"):
        bench.reconciler.reconcile(DATA)
    assert "status" not in bench.cluster.objects[DATA]
