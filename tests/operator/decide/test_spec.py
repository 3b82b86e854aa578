from __future__ import annotations

from typing import Any

import pytest

from cupola_api.common import Phase
from cupola_operator.cluster import key_of
from cupola_operator.decide import decide, spec


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"tokens": "many"}, "spec.tokens: 'many' is not a count"),
        ({"tokenz": "1M"}, "did you mean 'tokens'?"),
        ({"tokens": "1M", "tokensPerParameter": 3}, "write either tokens or tokensPerParameter"),
    ],
)
def test_an_invalid_spec_is_stalled_and_says_what_to_write(
    kit: Any, change: dict[str, Any], words: str
) -> None:
    cluster = kit.Cluster()
    key = key_of(cluster.create(kit.resource("PretrainJob", **change)))
    world = kit.world(cluster, key)
    verdict = spec.invalid(world)
    assert verdict
    assert (verdict.phase, verdict.reason) == (Phase.STALLED, "InvalidSpec")
    assert words in verdict.message
    assert decide(world).actions == ()


@pytest.mark.parametrize("spec_value", [None, [], "text"])
def test_a_spec_that_is_no_map(kit: Any, spec_value: Any) -> None:
    cluster = kit.Cluster()
    value = kit.resource("Dataset") | {"spec": spec_value}
    world = kit.world(cluster, key_of(cluster.create(value)))
    assert spec.invalid(world)


def test_another_version_of_the_api(kit: Any) -> None:
    cluster = kit.Cluster()
    value = kit.resource("Dataset") | {"apiVersion": "cupola.dev/v9"}
    verdict = spec.invalid(kit.world(cluster, key_of(cluster.create(value))))
    assert verdict
    assert "apiVersion must be cupola.dev/v1alpha1" in verdict.message


def test_a_valid_spec_is_not_spoken_of(kit: Any) -> None:
    cluster = kit.Cluster()
    assert spec.invalid(kit.world(cluster, key_of(cluster.create(kit.resource("Dataset"))))) is None


def test_of_a_resource_that_is_deleted_and_never_had_pods_nothing_is_done(kit: Any) -> None:
    cluster = kit.Cluster()
    value = kit.resource("Dataset")
    value["metadata"]["finalizers"] = ["of.others/finalizer"]
    key = key_of(cluster.create(value))
    cluster.objects[key]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    decision = decide(kit.world(cluster, key))
    assert (decision.actions, decision.status, decision.again) == ((), None, None)
