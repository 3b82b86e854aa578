from __future__ import annotations

from typing import Any

import pytest

from cupola_api.artifact import digest_of
from cupola_operator.cluster import key_of
from cupola_operator.decide import references

TASK = {"input": "q", "output": "a"}


def world(kit: Any, value: Any, *others: Any) -> Any:
    cluster = kit.Cluster()
    for other in others:
        cluster.create(other)
    return kit.world(cluster, key_of(cluster.create(value)))


def with_status(value: Any, **fields: Any) -> Any:
    value["status"] = {**value.get("status", {}), **fields}
    return value


def failed(value: Any) -> Any:
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "AttemptsExhausted",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return with_status(value, phase="Failed", conditions=[condition])


def test_what_does_not_exist_yet_is_waited_for(kit: Any) -> None:
    verdict = references.waiting(world(kit, kit.resource("PretrainJob")))
    assert verdict
    assert verdict.phase == "Waiting"
    assert verdict.reason == "WaitingForDataset"
    assert verdict.message == "Dataset data does not exist yet; create it"
    assert verdict.actions == ()


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda kit: kit.resource("Dataset"), "Dataset data is not finished yet (Pending)"),
        (
            lambda kit: with_status(kit.resource("Dataset"), phase="Running"),
            "Dataset data is not finished yet (Running)",
        ),
        (
            lambda kit: failed(kit.resource("Dataset")),
            "Dataset data failed (AttemptsExhausted); repair it first",
        ),
        (
            lambda kit: with_status(kit.resource("Dataset"), phase="Failed"),
            "Dataset data failed (Failed); repair it first",
        ),
        (lambda kit: kit.resource("Dataset", oops=1), "Dataset data is not valid: spec.oops"),
        (
            lambda kit: with_status(kit.done("Dataset", revision=2), run={"revision": 1}),
            "Dataset data is about to run revision 2",
        ),
        (
            lambda kit: with_status(kit.done("Dataset"), summary=None),
            "Dataset data is about to run revision 1",
        ),
    ],
)
def test_what_is_not_finished_is_waited_for(kit: Any, make: Any, words: str) -> None:
    verdict = references.waiting(world(kit, kit.resource("PretrainJob"), make(kit)))
    assert verdict
    assert verdict.phase == "Waiting"
    assert verdict.message.startswith(words)


def test_what_is_being_deleted_does_not_exist(kit: Any) -> None:
    cluster = kit.Cluster()
    data = key_of(cluster.create(kit.done("Dataset")))
    cluster.objects[data]["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    key = key_of(cluster.create(kit.resource("PretrainJob")))
    verdict = references.waiting(kit.world(cluster, key))
    assert verdict
    assert "does not exist yet" in verdict.message


def test_a_finished_one_is_not_waited_for(kit: Any) -> None:
    assert references.waiting(world(kit, kit.resource("PretrainJob"), kit.done("Dataset"))) is None


def test_all_that_is_missing_is_said_and_the_first_is_the_reason(kit: Any) -> None:
    verdict = references.waiting(world(kit, kit.resource("Evaluation")))
    assert verdict
    assert verdict.reason == "WaitingForFineTune"
    assert verdict.message.startswith("FineTune tuned ")
    for name in ("; PretrainJob base ", "; Dataset data "):
        assert name in verdict.message


@pytest.mark.parametrize(
    "value",
    [
        ("Dataset", {"tokenizer": {"dataset": "data"}}),
        ("FineTune", {"base": {"fineTune": "tuned"}}),
    ],
)
def test_what_refers_to_itself_can_never_start(kit: Any, value: Any) -> None:
    kind, fields = value
    verdict = references.circular(world(kit, kit.resource(kind, **fields)))
    assert verdict
    assert (verdict.phase, verdict.reason) == ("Stalled", "RefersToItself")
    assert verdict.message.startswith(f"{kind} {kit.resource(kind)['metadata']['name']} ")
    assert verdict.message.endswith("refer to another one")


def test_a_ring_of_fine_tunes_is_seen(kit: Any) -> None:
    other = kit.resource("FineTune", "other", base={"fineTune": "tuned"})
    mine = kit.resource("FineTune", base={"fineTune": "other"})
    assert references.circular(world(kit, mine, other))


def test_a_chain_is_no_ring(kit: Any) -> None:
    other = kit.resource("FineTune", "other")
    mine = kit.resource("FineTune", base={"fineTune": "other"})
    assert references.circular(world(kit, mine, other)) is None


@pytest.mark.parametrize(
    ("kind", "fields", "task", "path"),
    [
        ("FineTune", {}, None, "spec.dataset"),
        ("FineTune", {}, TASK, None),
        ("Evaluation", {}, None, None),
        (
            "Evaluation",
            {"tasks": [{"name": "f", "pythonFunction": {"dataset": "data"}}], "thresholds": []},
            None,
            "spec.tasks[0].pythonFunction.dataset",
        ),
        (
            "Evaluation",
            {"tasks": [{"name": "f", "pythonFunction": {"dataset": "data"}}], "thresholds": []},
            TASK,
            None,
        ),
        ("PretrainJob", {}, None, None),
    ],
)
def test_prompts_and_answers_need_a_task(
    kit: Any, kind: str, fields: dict[str, Any], task: Any, path: str | None
) -> None:
    data = kit.done("Dataset", **({"task": task} if task else {}))
    verdict = references.dataset_without_task(world(kit, kit.resource(kind, **fields), data))
    if path is None:
        assert verdict is None
    else:
        assert verdict
        assert verdict.reason == "DatasetHasNoTask"
        assert verdict.message.startswith(f"{path}: Dataset data has no prompts")
        assert verdict.message.endswith("name one that has it")


def other_tokenizer(kit: Any, value: Any) -> Any:
    if value["kind"] == "Dataset":
        return with_status(value, summary=kit.summary(tokenizerDigest=digest_of("other")))
    model = {**value["status"]["model"], "tokenizerDigest": digest_of("other")}
    return with_status(value, model=model)


@pytest.mark.parametrize(
    ("kind", "odd", "between"),
    [
        ("PretrainJob", ("Dataset", "more"), ("Dataset data", "Dataset more")),
        ("FineTune", ("Dataset", "data"), ("PretrainJob base", "Dataset data")),
        ("FineTune", ("PretrainJob", "base"), ("PretrainJob base", "Dataset data")),
        ("Evaluation", ("PretrainJob", "base"), ("FineTune tuned", "PretrainJob base")),
        ("Evaluation", ("Dataset", "data"), ("FineTune tuned", "Dataset data")),
    ],
)
def test_different_tokenizers_do_not_mix(
    kit: Any, kind: str, odd: tuple[str, str], between: tuple[str, str]
) -> None:
    fields = {"datasets": [{"name": "data"}, {"name": "more"}]} if kind == "PretrainJob" else {}
    names = [
        ("Dataset", "data"),
        ("Dataset", "more"),
        ("PretrainJob", "base"),
        ("FineTune", "tuned"),
    ]
    done = {name: kit.done(*name) for name in names if name[0] != kind}
    mine = kit.resource(kind, **fields)
    assert references.tokenizers_differ(world(kit, mine, *done.values())) is None
    done[odd] = other_tokenizer(kit, done[odd])
    verdict = references.tokenizers_differ(world(kit, mine, *done.values()))
    assert verdict
    assert (verdict.phase, verdict.reason) == ("Stalled", "TokenizerMismatch")
    assert verdict.message.startswith(f"{between[0]} and {between[1]} have different tokenizers")
    assert verdict.message.endswith("make again what was made with the other")


def test_a_model_that_does_not_know_its_tokenizer_is_not_compared(kit: Any) -> None:
    base = kit.done("PretrainJob")
    del base["status"]["model"]
    seen = world(kit, kit.resource("FineTune"), base, kit.done("Dataset"))
    assert references.tokenizers_differ(seen) is None
    young = kit.resource("Dataset")
    seen = world(kit, kit.resource("FineTune"), kit.done("PretrainJob"), young)
    assert references.tokenizers_differ(seen) is None


def test_others_are_compared_beside_a_model_that_does_not_know_its_tokenizer(kit: Any) -> None:
    tuned = kit.done("FineTune")
    del tuned["status"]["model"]
    data = other_tokenizer(kit, kit.done("Dataset"))
    seen = world(kit, kit.resource("Evaluation"), tuned, kit.done("PretrainJob"), data)
    verdict = references.tokenizers_differ(seen)
    assert verdict
    assert verdict.message.startswith("PretrainJob base and Dataset data have different")


def test_a_spec_that_is_not_valid_waits_for_nothing(kit: Any) -> None:
    seen = world(kit, kit.resource("FineTune", oops=1))
    assert references.waiting(seen) is None
    assert references.tokenizers_differ(seen) is None


def test_a_run_that_is_resolved_needs_its_references_no_more(kit: Any) -> None:
    cluster = kit.Cluster()
    value = kit.resource("FineTune")
    key = key_of(cluster.create(value))
    world_before = kit.world(cluster, key)
    assert references.waiting(world_before)
    cluster.create(
        {
            "kind": "ConfigMap",
            "metadata": {
                "name": "tuned-ft-r1",
                "namespace": "default",
                "labels": {
                    "app.kubernetes.io/managed-by": "cupola",
                    "cupola.dev/kind": "FineTune",
                    "cupola.dev/name": "tuned",
                },
                "ownerReferences": [{"uid": world_before.uid, "controller": True}],
            },
        }
    )
    seen = kit.world(cluster, key)
    for policy in (
        references.circular,
        references.waiting,
        references.dataset_without_task,
        references.tokenizers_differ,
    ):
        assert policy(seen) is None
