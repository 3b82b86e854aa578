from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cupola_operator.cluster import key_of
from cupola_operator.decide import decide, permitted
from cupola_operator.settings import Settings

ON_A_CLUSTER = {"store": "s3://models"}
FILE = {"sources": [{"name": "a", "uri": "file:///raw", "format": "Jsonl"}]}
CLAIM = {"sources": [{"name": "a", "uri": "pvc://raw/a", "format": "Jsonl"}]}
BUCKET = {"sources": [{"name": "a", "uri": "s3://raw/a", "format": "Jsonl"}]}
HARNESS = {"tasks": [{"name": "t", "harness": {"task": "t", "data": "file:///tasks"}}]}


def world(kit: Any, kind: str, settings: dict[str, Any], **spec: Any) -> Any:
    cluster = kit.Cluster()
    key = key_of(cluster.create(kit.resource(kind, **spec)))
    given = Settings.model_validate(kit.SETTINGS.to_json() | settings)
    return kit.world(cluster, key, settings=given)


@pytest.mark.parametrize(
    ("kind", "settings", "spec", "words"),
    [
        ("Dataset", {}, {}, None),
        ("Dataset", {}, FILE, None),
        ("Dataset", {}, BUCKET, None),
        ("Dataset", {}, CLAIM, "spec.sources[0].uri: pvc://raw/a is in a PersistentVolumeClaim"),
        ("Dataset", {}, CLAIM, "; write file:///path or store:///path"),
        ("Dataset", ON_A_CLUSTER, {}, None),
        ("Dataset", ON_A_CLUSTER, CLAIM, None),
        ("Dataset", ON_A_CLUSTER, BUCKET, None),
        (
            "Dataset",
            ON_A_CLUSTER,
            FILE,
            "spec.sources[0].uri: file:///raw is a folder of one machine",
        ),
        (
            "Dataset",
            ON_A_CLUSTER,
            {"tokenizer": {"uri": "file:///t.json"}},
            "spec.tokenizer.uri: file:///t.json is a folder of one machine",
        ),
        (
            "Dataset",
            ON_A_CLUSTER,
            {
                "curation": {
                    "blockLists": [{"name": "rude", "uri": "file:///rude.txt", "matches": "Words"}]
                }
            },
            "spec.curation (block-rude): file:///rude.txt is a folder of one machine",
        ),
        ("Dataset", {"store": "pvc://claim"}, FILE, "write store:///path, or s3:// or pvc://"),
        ("PretrainJob", ON_A_CLUSTER, {"output": "file:///out"}, "spec.output: file:///out is a"),
        ("PretrainJob", ON_A_CLUSTER, {"output": "s3://out/x"}, None),
        ("FineTune", {}, {"output": "pvc://out/x"}, "spec.output: pvc://out/x is in a"),
        (
            "Evaluation",
            ON_A_CLUSTER,
            HARNESS | {"thresholds": []},
            "spec.tasks[0].harness.data: file",
        ),
    ],
)
def test_a_place_that_pods_cannot_reach_is_said_at_once(
    kit: Any, kind: str, settings: dict[str, Any], spec: dict[str, Any], words: str | None
) -> None:
    seen = world(kit, kind, settings, **spec)
    verdict = permitted.unreachable(seen)
    assert (verdict is None) is (words is None)
    if words:
        assert verdict
        assert words in verdict.message
        status = decide(seen).status
        assert status
        assert (status.phase, status.conditions[0].reason) == ("Stalled", "PlaceUnreachable")


def test_a_run_that_is_resolved_is_not_asked_again(kit: Any) -> None:
    cluster = kit.Cluster()
    key = key_of(cluster.create(kit.resource("Dataset", **FILE)))
    (create,) = decide(kit.world(cluster, key)).actions
    cluster.create(create.value)
    moved = Settings.model_validate(kit.SETTINGS.to_json() | ON_A_CLUSTER)
    assert permitted.unreachable(kit.world(cluster, key, settings=moved)) is None


ALLOWED = {"allowed": {"serviceAccounts": ["runs", "more"], "secrets": ["hub"]}}


@pytest.mark.parametrize(
    ("template", "settings", "words"),
    [
        (None, {}, None),
        ({"labels": {"team": "nlp"}}, {}, None),
        ({"serviceAccountName": "runs"}, ALLOWED, None),
        ({"envFromSecrets": ["hub"]}, ALLOWED, None),
        (
            {"serviceAccountName": "admin"},
            ALLOWED,
            "serviceAccountName: this installation does not allow service account admin; it allows runs,",
        ),
        (
            {"envFromSecrets": ["hub", "keys"]},
            ALLOWED,
            "envFromSecrets: this installation does not allow Secret keys; it allows hub.",
        ),
        ({"envFromSecrets": ["keys"]}, {}, "does not allow Secret keys; it allows none."),
    ],
)
def test_pods_are_who_they_may_be(
    kit: Any, template: dict[str, Any] | None, settings: dict[str, Any], words: str | None
) -> None:
    seen = world(kit, "Dataset", settings, **({"podTemplate": template} if template else {}))
    verdict = permitted.not_allowed(seen)
    assert (verdict is None) is (words is None)
    if words:
        assert verdict
        assert words in verdict.message
        status = decide(seen).status
        assert status
        assert (status.phase, status.conditions[0].reason) == ("Stalled", "NotAllowed")


def test_what_is_allowed_counts_when_an_attempt_starts(kit: Any) -> None:
    cluster = kit.Cluster()
    template = {"serviceAccountName": "runs"}
    key = key_of(cluster.create(kit.resource("Dataset", podTemplate=template)))
    open_to = Settings.model_validate(kit.SETTINGS.to_json() | ALLOWED)
    (create,) = decide(kit.world(cluster, key, settings=open_to)).actions
    cluster.create(create.value)
    closed = decide(kit.world(cluster, key))
    assert closed.actions == ()
    assert closed.status
    assert closed.status.conditions[0].reason == "NotAllowed"
    (create,) = decide(kit.world(cluster, key, settings=open_to)).actions
    cluster.create(create.value)
    running = decide(kit.world(cluster, key))
    assert running.status
    assert running.status.phase == "Pending"
    assert running.actions == ()
    assert permitted.forbidden(replace(kit.world(cluster, key), resource=None)) is None
