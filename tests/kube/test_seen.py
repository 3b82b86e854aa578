from __future__ import annotations

from typing import Any

from cupola_operator.cluster import Key
from cupola_operator.kube.seen import Seen

DATA, BASE = Key("Dataset", "ns", "data"), Key("PretrainJob", "ns", "base")


def pretrain(*datasets: str, version: str = "1", name: str = "base") -> dict[str, Any]:
    return {
        "apiVersion": "cupola.dev/v1alpha1",
        "kind": "PretrainJob",
        "metadata": {"name": name, "namespace": "ns", "resourceVersion": version},
        "spec": {
            "datasets": [{"name": one} for one in datasets],
            "model": {"shape": {"layers": 1, "hidden": 16, "heads": 2}},
        },
    }


def test_who_refers_to_a_resource_is_known_also_before_it_is_there() -> None:
    seen = Seen()
    seen.put(pretrain("data", "more"))
    seen.put(pretrain("data", name="other"))
    assert list(seen.dependents(DATA)) == [BASE, Key("PretrainJob", "ns", "other")]
    assert list(seen.dependents(BASE)) == []


def test_a_reference_that_was_taken_out_wakes_nobody() -> None:
    seen = Seen()
    seen.put(pretrain("data"))
    seen.put(pretrain("more", version="2"))
    assert list(seen.dependents(DATA)) == []
    assert list(seen.dependents(Key("Dataset", "ns", "more"))) == [BASE]


def test_an_older_version_that_comes_late_changes_nothing() -> None:
    seen = Seen()
    seen.put(pretrain("data", version="10"))
    seen.put(pretrain("more", version="9"))
    assert list(seen.dependents(DATA)) == [BASE]


def test_what_is_gone_is_forgotten() -> None:
    seen = Seen()
    seen.put(pretrain("data"))
    assert seen.keys() == {BASE}
    seen.drop(BASE)
    seen.drop(BASE)
    assert seen.objects() == []
    assert list(seen.dependents(DATA)) == []


def test_a_resource_that_is_not_valid_is_kept_and_refers_to_nothing() -> None:
    seen = Seen()
    seen.put({**pretrain("data"), "spec": {}})
    assert len(seen.objects()) == 1
    assert list(seen.dependents(DATA)) == []
