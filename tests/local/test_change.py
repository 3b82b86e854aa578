from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cupola_api import API_VERSION, kinds
from cupola_operator import labels
from cupola_operator.cluster import Conflict, Key, Object, key_of
from cupola_operator.cost import book
from cupola_operator.local.change import (
    CHANGE,
    Apply,
    Change,
    Delete,
    Resume,
    Retry,
    Suspend,
    perform,
)
from cupola_operator.local.store import Refused, Store

KEY = Key("Dataset", "default", "d")


def _dataset(name: str = "d", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Dataset",
        "metadata": {"name": name},
        "spec": {"sources": [{"name": "a", "uri": "store:///a", "format": "Jsonl"}], **spec},
    }


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store(tmp_path)
    made.apply(kinds.parse(_dataset()))
    return made


def _there(store: Store) -> Object:
    value = store.get(KEY)
    assert value
    return value


def _id(store: Store) -> dict[str, Any]:
    return {**KEY._asdict(), "uid": _there(store)["metadata"]["uid"]}


def _phase(store: Store, phase: str, reason: str = "R", **status: Any) -> None:
    ready = {
        "type": "Ready",
        "status": "False",
        "reason": reason,
        "lastTransitionTime": "2026-11-23T09:00:00Z",
    }
    version = _there(store)["metadata"]["resourceVersion"]
    store.patch_status(KEY, {"phase": phase, "conditions": [ready], **status}, version)


def _say(store: Store, change: Change, *, live: bool = True) -> str:
    return " ".join(perform(store, change, live=live).sentences)


def test_suspend_and_resume_change_one_field_and_say_what_happens(store: Store) -> None:
    before = _there(store)
    _phase(store, "Running", attempts=[{"number": 1, "name": "a"}])
    assert _say(store, Suspend(**_id(store))) == (
        "Dataset/d stops and then holds no devices; its finished stages stay, and it goes on by "
        "cupola resume Dataset/d."
    )
    assert _there(store)["spec"] == before["spec"] | {"suspend": True}
    assert _there(store)["metadata"]["generation"] == 2
    assert "is suspended already" in _say(store, Suspend(**_id(store)))
    assert _say(store, Resume(**_id(store))) == "Dataset/d goes on."
    assert _there(store)["spec"] == before["spec"]
    assert "is not suspended" in _say(store, Resume(**_id(store)))


def test_without_a_shell_it_is_said_that_nothing_happens_yet(store: Store) -> None:
    assert _say(store, Suspend(**_id(store)), live=False) == (
        "Dataset/d is suspended: nothing of it starts until cupola resume Dataset/d."
    )
    assert "as soon as cupola run works" in _say(store, Resume(**_id(store)), live=False)
    _phase(store, "Failed")
    assert "as soon as cupola run works" in _say(store, Retry(**_id(store), token="t"), live=False)
    assert "Nothing runs yet" in _say(store, Apply(resources=[_dataset("e")]), live=False)


def test_that_its_file_would_put_it_back_is_said(store: Store) -> None:
    perform(store, Apply(resources=[_dataset(suspend=True)]), live=True)
    assert _say(store, Resume(**_id(store))) == (
        "Dataset/d goes on. Its file names spec.suspend too: change it there, or the file puts it "
        "back."
    )


def test_resume_does_not_pretend_to_raise_a_budget(store: Store) -> None:
    _phase(store, "Suspended", "NamespaceBudgetExceeded")
    with pytest.raises(Refused, match="held by the budget of its namespace"):
        _say(store, Resume(**_id(store)))
    _phase(store, "Suspended", "BudgetExceeded")
    with pytest.raises(Refused, match=r"raise spec\.budget\.maxCost"):
        perform(store, Resume(**_id(store)), live=True)
    perform(store, Suspend(**_id(store)), live=True)
    assert "still held by its budget" in _say(store, Resume(**_id(store)))
    assert _there(store)["spec"]["suspend"] is False


def test_what_has_ended_has_nothing_to_stop(store: Store) -> None:
    _phase(store, "Succeeded")
    assert "so there is nothing to stop" in _say(store, Suspend(**_id(store)))


def test_only_what_has_failed_is_tried_again(store: Store) -> None:
    for phase in ("Running", "Succeeded", "Suspended", "Stalled"):
        _phase(store, phase)
        with pytest.raises(Refused, match=f"is {phase}; only what has Failed"):
            perform(store, Retry(**_id(store), token="t"), live=True)
    assert labels.RETRY not in _there(store)["metadata"]["annotations"]
    _phase(store, "Failed")
    assert "is tried again" in _say(store, Retry(**_id(store), token="t"))
    assert _there(store)["metadata"]["annotations"][labels.RETRY] == "t"


def test_what_was_measured_and_missed_its_thresholds_is_not_tried_again(store: Store) -> None:
    artifact = {"uri": "file:///x", "digest": f"sha256:{'a' * 64}", "bytes": 1}
    _phase(store, "Failed", "ThresholdMissed", artifact=artifact)
    with pytest.raises(Refused, match="change its thresholds"):
        perform(store, Retry(**_id(store), token="t"), live=True)


def test_a_retry_that_was_handled_is_not_asked_for_twice(store: Store) -> None:
    _phase(store, "Failed")
    change = Retry(**_id(store), token="t")
    perform(store, change, live=True)
    _phase(store, "Running", retry="t")
    before = _there(store)
    assert "is tried again" in _say(store, change)
    assert _there(store) == before


def test_a_deleted_resource_is_gone_and_a_later_one_of_its_name_is_not_meant(store: Store) -> None:
    change = Delete(**_id(store))
    assert "is deleted." in _say(store, change)
    assert store.get(KEY) is None
    store.apply(kinds.parse(_dataset()))
    for later in (change, Suspend(**change.model_dump(exclude={"verb"}))):
        with pytest.raises(Refused, match="is not there any more"):
            perform(store, later, live=True)
    assert _there(store)["spec"]["suspend"] is False


def _closable(store: Store) -> None:
    """The resource ran, as its finalizer and its status say."""
    value = _there(store)
    metadata = {**value["metadata"], "finalizers": [labels.FINALIZER]}
    store.replace({**value, "metadata": metadata})
    value = _there(store)
    attempt = {
        "number": 1,
        "name": "d-dset-r1-list-a1",
        "stage": "list",
        "startedAt": "2026-01-01T00:00:00Z",
        "endedAt": "2026-01-01T01:00:00Z",
        "gpuSeconds": "3600",
        "cost": "0.05",
        "outcome": "Failed",
    }
    cost = {"currency": "USD", "accrued": "0.05", "gpuHours": "1", "energyKwh": "0"}
    status = {"phase": "Failed", "run": {"revision": 1}, "attempts": [attempt], "cost": cost}
    store.patch_status(KEY, status, value["metadata"]["resourceVersion"])


def test_without_a_shell_what_is_deleted_is_closed_into_the_ledger_at_once(store: Store) -> None:
    _closable(store)
    done = perform(store, Delete(**_id(store)), live=False)
    assert "what it cost is told by cupola cost" in done.sentences[0]
    assert store.get(KEY) is None
    (ledger,) = store.find("ConfigMap", "default", book.SELECTOR)
    assert [entry.cost for entry in book.entries([ledger])] == ["0.05"]


def test_a_pod_that_a_killed_shell_left_is_waited_for(store: Store) -> None:
    _closable(store)
    uid = _there(store)["metadata"]["uid"]
    notes = labels.selector("Dataset", "d") | {labels.UID: uid, labels.REVISION: "1"}
    store.create(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "left", "namespace": "default", "labels": notes},
            "spec": {"containers": []},
        }
    )
    done = perform(store, Delete(**_id(store)), live=False)
    assert "what is left of it ends with the next cupola run" in done.sentences[0]
    assert _there(store)["metadata"]["deletionTimestamp"]
    with pytest.raises(Refused, match="is being deleted; apply it again"):
        perform(store, Apply(resources=[_dataset()]), live=False)


def test_apply_says_what_became_of_each(store: Store) -> None:
    change = Apply(resources=[_dataset(), _dataset("e")])
    done = perform(store, change, live=True)
    assert done.sentences[:2] == ["Dataset/d unchanged", "Dataset/e created"]
    assert done.applied == [KEY, Key("Dataset", "default", "e")]
    assert "Dataset/e configured" in _say(store, Apply(resources=[_dataset("e", maxPods=2)]))


def test_apply_refuses_all_if_one_is_wrong(store: Store) -> None:
    before = store.all()
    training = {
        "apiVersion": API_VERSION,
        "kind": "PretrainJob",
        "metadata": {"name": "t"},
        "spec": {"datasets": [{"name": "nothing"}], "model": {"size": "1M"}},
    }
    with pytest.raises(Refused) as caught:
        perform(store, Apply(resources=[_dataset("e"), _dataset(seed=7), training]), live=True)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith("Dataset/d: the fields of a run change only together")
    assert lines[1].startswith("PretrainJob/t: spec.datasets[0].name: Dataset/nothing is neither")
    assert store.all() == before


def test_applied_files_name_what_they_named_also_after_a_journey_as_json(store: Store) -> None:
    perform(store, Suspend(**_id(store)), live=True)
    sent = CHANGE.dump_json(Apply.of([kinds.parse(_dataset(maxPods=2))]))
    perform(store, CHANGE.validate_json(sent), live=True)
    assert _there(store)["spec"]["suspend"] is True
    assert _there(store)["spec"]["maxPods"] == 2
    perform(store, Apply.of([kinds.parse(_dataset(maxPods=2, suspend=False))]), live=True)
    assert _there(store)["spec"]["suspend"] is False


def test_a_change_does_not_lose_against_status_that_is_written_meanwhile(store: Store) -> None:
    stop = threading.Event()

    def patch() -> None:
        count = 0
        while not stop.is_set():
            count += 1
            value = _there(store)
            try:
                store.patch_status(
                    KEY, {"phase": "Running", "parts": count}, value["metadata"]["resourceVersion"]
                )
            except Conflict:  # the other was first
                continue

    thread = threading.Thread(target=patch)
    thread.start()
    try:
        for _ in range(20):
            perform(store, Suspend(**_id(store)), live=True)
            assert _there(store)["spec"]["suspend"] is True
            perform(store, Apply(resources=[_dataset(suspend=False)]), live=True)
            assert _there(store)["spec"]["suspend"] is False
    finally:
        stop.set()
        thread.join()
    assert _there(store)["status"]["phase"] == "Running"


@pytest.mark.parametrize(
    "wrong",
    [
        {"verb": "suspend", "kind": "Pod"},
        {"verb": "suspend", "name": 7},
        {"verb": "shred"},
        {"verb": "suspend", "more": 1},
        {"verb": "retry"},
        {"verb": "apply", "resources": []},
    ],
)
def test_a_change_of_another_form_is_none(wrong: dict[str, Any]) -> None:
    whole = {"kind": "Dataset", "namespace": "n", "name": "d", "uid": "u"} | wrong
    with pytest.raises(ValidationError):
        CHANGE.validate_python(whole)


def test_a_name_that_is_a_path_leads_nowhere(store: Store, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    for name in ("../../d", "/etc/passwd", "."):
        with pytest.raises(Refused, match="is not there any more"):
            perform(store, Delete(**{**_id(store), "name": name}), live=True)
        with pytest.raises((Refused, ValidationError)):
            perform(store, Apply(resources=[_dataset(name)]), live=True)
        escaped = _dataset()
        escaped["metadata"]["namespace"] = name
        with pytest.raises((Refused, ValidationError)):
            perform(store, Apply(resources=[escaped]), live=True)
    assert sorted(tmp_path.rglob("*")) == before
    assert key_of(_there(store)) == KEY
