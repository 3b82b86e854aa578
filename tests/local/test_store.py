from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from cupola_api import API_VERSION, kinds
from cupola_operator.cluster import AlreadyExists, Conflict, Key, NotFound, Object, key_of
from cupola_operator.local.store import EVENTS, Refused, Store


def _config_map(name: str = "c", **more: Any) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


def _pod(name: str = "p", owner: Object | None = None) -> Object:
    metadata: dict[str, Any] = {"name": name}
    if owner:
        metadata["ownerReferences"] = [
            {"kind": owner["kind"], "name": owner["metadata"]["name"], "uid": _uid(owner)}
        ]
    spec = {"containers": [{"name": "main"}], "terminationGracePeriodSeconds": 5}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _uid(value: Object) -> str:
    return str(value["metadata"]["uid"])


def _version(value: Object) -> str:
    return str(value["metadata"]["resourceVersion"])


def _dataset(**spec: Any) -> Any:
    return kinds.parse(
        {
            "apiVersion": API_VERSION,
            "kind": "Dataset",
            "metadata": {"name": "d", "labels": {"team": "a"}},
            "spec": {
                "sources": [{"name": "a", "uri": "store:///a", "format": "Jsonl"}],
                **spec,
            },
        }
    )


def test_a_created_object_gets_its_identity(tmp_path: Path) -> None:
    store = Store(tmp_path, clock=lambda: 0.0)
    one = store.create(_config_map("a"))
    two = store.create(_config_map("b"))
    metadata = one["metadata"]
    assert metadata["namespace"] == "default"
    assert metadata["generation"] == 1
    assert metadata["creationTimestamp"] == "1970-01-01T00:00:00Z"
    assert _uid(one) != _uid(two)
    assert int(_version(one)) < int(_version(two))
    with pytest.raises(AlreadyExists):
        store.create(_config_map("a"))


def test_what_is_given_out_is_a_copy(tmp_path: Path) -> None:
    store = Store(tmp_path)
    value = store.create(_config_map(data={"a": "1"}))
    value["data"]["a"] = "2"
    found = store.get(key_of(value))
    assert found
    assert found["data"] == {"a": "1"}
    found["data"]["a"] = "3"
    assert store.find("ConfigMap")[0]["data"] == {"a": "1"}


def test_objects_are_found_by_labels_and_sorted_by_name(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for name, labels in (("b", {"x": "1", "y": "1"}), ("a", {"x": "1"}), ("c", {"x": "2"})):
        value = _config_map(name)
        value["metadata"]["labels"] = labels
        store.create(value)
    assert [v["metadata"]["name"] for v in store.find("ConfigMap", "default", {"x": "1"})] == [
        "a",
        "b",
    ]
    assert store.find("ConfigMap", "other", {}) == []
    assert store.find("Pod", "default", {}) == []


def test_a_status_decided_on_an_old_version_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    value = store.create(_pod())
    newer = store.patch_status(key_of(value), {"phase": "Running"}, _version(value))
    with pytest.raises(Conflict):
        store.patch_status(key_of(value), {"phase": "Failed"}, _version(value))
    assert newer["metadata"]["generation"] == 1
    with pytest.raises(NotFound):
        store.patch_status(Key("Pod", "default", "x"), {}, "1")


def test_an_equal_status_changes_nothing_and_wakes_nobody(tmp_path: Path) -> None:
    store = Store(tmp_path)
    value = store.create(_pod())
    value = store.patch_status(key_of(value), {"phase": "Running"}, _version(value))
    woken: list[Object] = []
    store.subscribe(lambda value, _: woken.append(value))
    same = store.patch_status(key_of(value), {"phase": "Running"}, _version(value))
    assert _version(same) == _version(value)
    assert woken == []


def test_a_generation_counts_changes_of_spec_alone(tmp_path: Path) -> None:
    store = Store(tmp_path)
    value = store.create(_pod())
    value["metadata"]["labels"] = {"a": "b"}
    value = store.replace(value)
    assert value["metadata"]["generation"] == 1
    value["spec"]["terminationGracePeriodSeconds"] = 6
    value["status"] = {"phase": "Running"}
    value = store.replace(value)
    assert value["metadata"]["generation"] == 2
    assert "status" not in value


def test_an_immutable_config_map_stays_as_it_is(tmp_path: Path) -> None:
    store = Store(tmp_path)
    value = store.create(_config_map(immutable=True, data={"a": "1"}))
    with pytest.raises(Refused, match="immutable"):
        store.replace({**value, "data": {"a": "2"}})
    with pytest.raises(Refused, match="immutable"):
        store.replace({**value, "immutable": False})
    assert store.replace(value) == value


def test_deletion_of_an_owner_takes_what_it_owns(tmp_path: Path) -> None:
    store = Store(tmp_path)
    owner = store.create(_config_map("owner"))
    child = _config_map("child")
    child["metadata"]["ownerReferences"] = [{"uid": _uid(owner)}]
    child = store.create(child)
    pod = store.create(_pod("grandchild", child))
    store.delete(key_of(owner), _uid(owner))
    assert store.get(key_of(owner)) is None
    assert store.get(key_of(child)) is None
    left = store.get(key_of(pod))
    assert left
    assert "deletionTimestamp" in left["metadata"]


def test_a_child_whose_owner_is_gone_when_it_arrives_goes_too(tmp_path: Path) -> None:
    store = Store(tmp_path)
    child = _config_map("child")
    child["metadata"]["ownerReferences"] = [{"uid": "nobody"}]
    store.create(child)
    assert store.find("ConfigMap") == []


def test_a_deleted_pod_stays_until_its_node_has_stopped_it(tmp_path: Path) -> None:
    store = Store(tmp_path, clock=lambda: 100.0)
    pod = store.create(_pod())
    store.delete(key_of(pod), _uid(pod))
    marked = store.get(key_of(pod))
    assert marked
    assert marked["metadata"]["deletionTimestamp"] == "1970-01-01T00:01:45Z"
    store.delete(key_of(pod), _uid(pod))
    assert store.get(key_of(pod)) == marked
    store.remove(key_of(pod), _uid(pod))
    assert store.get(key_of(pod)) is None


def test_an_object_with_finalizers_stays_marked_until_it_has_none(tmp_path: Path) -> None:
    store = Store(tmp_path, clock=lambda: 100.0)
    value = _config_map()
    value["metadata"]["finalizers"] = ["a", "b"]
    value = store.create(value)
    child = _config_map("child")
    child["metadata"]["ownerReferences"] = [{"uid": _uid(value)}]
    store.create(child)
    store.delete(key_of(value), _uid(value))
    store.delete(key_of(value), _uid(value))
    store.remove(key_of(value), _uid(value))
    marked = Store(tmp_path).get(key_of(value))
    assert marked
    assert marked["metadata"]["deletionTimestamp"] == "1970-01-01T00:01:40Z"
    assert len(store.find("ConfigMap")) == 2, "what it owns goes after it"
    with pytest.raises(AlreadyExists):
        store.create(_config_map())
    del marked["metadata"]["deletionTimestamp"]
    marked["metadata"]["finalizers"] = ["b"]
    marked = store.replace(marked)
    assert "deletionTimestamp" in marked["metadata"], "a deletion cannot be taken back"
    gone: list[Object] = []
    store.subscribe(lambda value, deleted: gone.append(value) if deleted else None)
    store.replace({**marked, "metadata": {**marked["metadata"], "finalizers": []}})
    assert store.all() == Store(tmp_path).all() == []
    assert [value["metadata"]["name"] for value in gone] == ["c", "child"]


def test_a_pod_with_finalizers_stays_after_its_node_is_done_with_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    pod = _pod()
    pod["metadata"]["finalizers"] = ["a"]
    pod = store.create(pod)
    store.delete(key_of(pod), _uid(pod))
    store.remove(key_of(pod), _uid(pod))
    marked = store.get(key_of(pod))
    assert marked
    store.replace({**marked, "metadata": {**marked["metadata"], "finalizers": []}})
    assert store.get(key_of(pod)), "its node still has to say so"
    store.remove(key_of(pod), _uid(pod))
    assert store.get(key_of(pod)) is None


def test_apply_keeps_finalizers_and_takes_none_from_a_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    file = _dataset().to_json()
    file["metadata"]["finalizers"] = ["of-a-controller-that-is-not-here"]
    first = store.apply(kinds.parse(file))
    assert "finalizers" not in first["metadata"]
    kept = store.replace({**first, "metadata": {**first["metadata"], "finalizers": ["ours"]}})
    assert store.apply(_dataset(maxPods=3))["metadata"]["finalizers"] == ["ours"]
    store.delete(key_of(kept), _uid(kept))
    again = store.apply(_dataset(maxPods=4))
    assert again["metadata"]["finalizers"] == ["ours"]
    assert "deletionTimestamp" in again["metadata"]


def test_deletion_of_another_object_of_that_name_does_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    value = store.create(_config_map())
    store.delete(key_of(value), "another")
    store.remove(key_of(value), "another")
    store.delete(Key("Pod", "default", "absent"), "any")
    assert store.get(key_of(value)) == value


def test_a_new_store_finds_what_the_old_one_left(tmp_path: Path) -> None:
    store = Store(tmp_path)
    owner = store.create(_config_map("owner"))
    value = store.create(_config_map(data={"a": "1"}))
    again = Store(tmp_path)
    assert again.all() == store.all()
    newer = again.create(_config_map("d"))
    assert int(_version(newer)) > int(_version(value)) > int(_version(owner))


def test_a_crash_between_owner_and_child_is_made_good_at_the_start(tmp_path: Path) -> None:
    store = Store(tmp_path)
    owner = store.create(_config_map("owner"))
    pod = store.create(_pod("child", owner))
    (tmp_path / "objects/ConfigMap/default/owner.yaml").unlink()
    left = Store(tmp_path).get(key_of(pod))
    assert left
    assert "deletionTimestamp" in left["metadata"]


@pytest.mark.parametrize(
    ("field", "text"), [("name", "../x"), ("namespace", ".."), ("name", "A"), ("namespace", "a/b")]
)
def test_a_name_that_is_a_path_is_refused(tmp_path: Path, field: str, text: str) -> None:
    value = _config_map()
    value["metadata"][field] = text
    with pytest.raises(Refused, match=f"metadata.{field}"):
        Store(tmp_path).create(value)
    assert not list(tmp_path.rglob("*.yaml"))


def test_apply_stores_defaults_and_a_repetition_does_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store.apply(_dataset())
    assert first["spec"]["tokenizer"] == {"train": {"vocabSize": 32000, "algorithm": "Bpe"}}
    assert first["spec"]["revision"] == 1
    assert first["metadata"]["labels"] == {"team": "a"}
    first = store.patch_status(key_of(first), {"phase": "Running"}, _version(first))
    assert store.apply(_dataset()) == first
    assert kinds.parse(first).spec == _dataset().spec


def test_apply_keeps_identity_and_status_of_what_it_updates(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store.apply(_dataset())
    first = store.patch_status(key_of(first), {"phase": "Succeeded"}, _version(first))
    second = store.apply(_dataset(maxPods=3))
    assert second["spec"]["maxPods"] == 3
    assert second["status"] == {"phase": "Succeeded"}
    assert second["metadata"]["generation"] == 2
    assert _uid(second) == _uid(first)


def test_apply_refuses_what_the_api_server_would_refuse(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store.apply(_dataset())
    with pytest.raises(Refused, match=r"raise spec.revision"):
        store.apply(_dataset(seed=1))
    assert store.get(key_of(first)) == first
    assert store.apply(_dataset(seed=1, revision=2))["metadata"]["generation"] == 2


def test_what_an_older_version_stored_may_be_replaced(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store.apply(_dataset())
    store.replace({**first, "spec": {"olderField": 1}})
    assert store.apply(_dataset(seed=1))["spec"]["seed"] == 1


def test_callbacks_tell_of_changes_and_of_the_end(tmp_path: Path) -> None:
    store = Store(tmp_path)
    seen: list[tuple[str, bool]] = []
    store.subscribe(lambda value, deleted: seen.append((value["metadata"]["name"], deleted)))
    value = store.create(_pod())
    store.patch_status(key_of(value), {"phase": "Running"}, _version(value))
    store.remove(key_of(value), _uid(value))
    assert seen == [("p", False), ("p", False), ("p", True)]


def test_events_are_counted_bounded_and_kept(tmp_path: Path) -> None:
    store = Store(tmp_path)
    key = Key("Dataset", "default", "d")
    for number in range(EVENTS + 5):
        store.event(key, kind="Normal", reason="Started", message=f"try {number}")
    store.event(key, kind="Normal", reason="Started", message="try 100")
    events = Store(tmp_path).events()
    assert len(events) == EVENTS
    assert (events[-1]["message"], events[-1]["count"]) == ("try 100", 2)
    assert events[0]["message"] == "try 5"


def test_writers_in_many_threads_lose_no_update(tmp_path: Path) -> None:
    store = Store(tmp_path)
    key = key_of(store.create(_pod()))

    def add() -> None:
        for _ in range(20):
            while True:
                value = store.get(key)
                assert value
                number = value.get("status", {}).get("n", 0)
                try:
                    store.patch_status(key, {"n": number + 1}, _version(value))
                    break
                except Conflict:
                    continue

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    value = store.get(key)
    assert value
    assert value["status"] == {"n": 80}
    assert Store(tmp_path).get(key) == value


NAMES = st.sampled_from(["a", "b", "c"])


class _Writers(RuleBasedStateMachine):
    """Writers that hold copies of any age: only one that holds the newest may write."""

    folder: Path

    def __init__(self) -> None:
        super().__init__()
        self.store = Store(self.folder)
        for value in self.store.all():
            self.store.remove(key_of(value), _uid(value))
        self.held: list[Object] = []
        self.newest: dict[str, str] = {}
        self.versions: set[int] = set()

    def _wrote(self, value: Object) -> None:
        version = int(_version(value))
        assert version > max(self.versions, default=0)
        self.versions.add(version)
        self.held.append(value)
        self.newest[value["metadata"]["name"]] = _version(value)

    @rule(name=NAMES)
    def create(self, name: str) -> None:
        if name in self.newest:
            with pytest.raises(AlreadyExists):
                self.store.create(_pod(name))
        else:
            self._wrote(self.store.create(_pod(name)))

    @rule(data=st.data(), phase=st.integers())
    def patch(self, data: st.DataObject, phase: int) -> None:
        if not self.held:
            return
        value = data.draw(st.sampled_from(self.held))
        key, name = key_of(value), value["metadata"]["name"]
        if name not in self.newest:
            with pytest.raises(NotFound):
                self.store.patch_status(key, {"n": phase}, _version(value))
        elif self.newest[name] != _version(value):
            with pytest.raises(Conflict):
                self.store.patch_status(key, {"n": phase}, _version(value))
        else:
            new = self.store.patch_status(key, {"n": phase}, _version(value))
            if _version(new) != _version(value):
                self._wrote(new)

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        if not self.held:
            return
        value = data.draw(st.sampled_from(self.held))
        name = value["metadata"]["name"]
        there = self.store.get(key_of(value))
        self.store.remove(key_of(value), _uid(value))
        if there and _uid(there) == _uid(value):
            del self.newest[name]

    @invariant()
    def disk_and_memory_agree(self) -> None:
        assert Store(self.folder).all() == self.store.all()
        assert {v["metadata"]["name"]: _version(v) for v in self.store.all()} == self.newest


def test_versions_and_conflicts_hold_for_any_order_of_writers(tmp_path: Path) -> None:
    _Writers.folder = tmp_path
    run_state_machine_as_test(
        _Writers,
        settings=settings(
            max_examples=15,
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
